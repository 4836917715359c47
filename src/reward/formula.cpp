#include "vlmprobe/reward/formula.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cctype>
#include <cmath>
#include <cstring>

#include "vlmprobe/core/error.h"

namespace vlmprobe::reward {
namespace {

constexpr auto kOp = "reward::Formula";

bool is_name(std::string_view text) {
  const auto letter = [](char c) { return std::isalpha(static_cast<unsigned char>(c)) || c == '_'; };
  const auto inner = [&](char c) { return letter(c) || (c >= '0' && c <= '9'); };
  return !text.empty() && text.size() <= 100 && letter(text[0]) && std::all_of(text.begin(), text.end(), inner);
}

// As Python prints a float: the shortest digits that read back to the same value, with a point.
std::string number_text(double value) {
  std::string text = formatted("{}", value);
  return text.find_first_of(".e") == text.npos ? text + ".0" : text;
}

struct Printed {
  std::string text;
  int binding;  // 1 sum, 2 product, 3 sign, 4 name or number
};

std::string within(const Printed& part, int binding) {
  return part.binding < binding ? formatted("({})", part.text) : part.text;
}

}  // namespace

Formula Formula::number(double value) {
  expect(std::isfinite(value), kOp, "number: expected a finite one, got {}", value);
  Formula formula;
  formula.parts_ = {{Kind::number, value}};
  return formula;
}

Formula Formula::term(TermId term) {
  Formula formula;
  formula.parts_ = {{Kind::term, 0, static_cast<std::size_t>(term)}};
  return formula;
}

Formula Formula::custom(const std::string& name) {
  expect(is_name(name), kOp, "name: expected letters, digits and _ without a digit in front, got '{}'", name);
  expect(std::find(kTermNames.begin(), kTermNames.end(), name) == kTermNames.end(), kOp,
         "name: expected another one than the terms that are there, got '{}'", name);
  Formula formula;
  formula.names_ = {name};
  formula.parts_ = {{Kind::custom, 0, 0}};
  return formula;
}

Formula Formula::operator-() const {
  if (parts_.size() == 1 && parts_[0].kind == Kind::number) return number(-parts_[0].number);
  Formula formula = *this;
  formula.parts_.push_back({Kind::negate});
  expect(formula.parts_.size() <= kMaxParts, kOp, "expected at most {} parts", kMaxParts);
  return formula;
}

Formula Formula::combined(Kind kind, const Formula& other) const {
  Formula formula = *this;
  formula.depth_ = std::max(depth_, other.depth_ + 1);
  expect(formula.depth_ <= kMaxDepth, kOp, "expected at most {} levels", kMaxDepth);
  expect(parts_.size() + other.parts_.size() < kMaxParts, kOp, "expected at most {} parts", kMaxParts);
  for (Part part : other.parts_) {
    if (part.kind == Kind::custom) {
      const std::string& wanted = other.names_[part.index];
      const auto known = std::find(formula.names_.begin(), formula.names_.end(), wanted);
      part.index = static_cast<std::size_t>(known - formula.names_.begin());
      if (known == formula.names_.end()) formula.names_.push_back(wanted);
    }
    formula.parts_.push_back(part);
  }
  formula.parts_.push_back({kind});
  return formula;
}

std::string_view Formula::name(const Part& part) const {
  return part.kind == Kind::term ? kTermNames[part.index] : std::string_view(names_[part.index]);
}

// A few questions side by side, so that one look at a part serves them all: value.h's Value in columns, with a mask of
// all bits for `certain`.
struct Formula::Block {
  using Doubles [[gnu::vector_size(16)]] = double;
  using Masks [[gnu::vector_size(16)]] = std::int64_t;
  static constexpr std::size_t kSize = 64, kLanes = sizeof(Doubles) / sizeof(double), kVectors = kSize / kLanes;

  std::array<Doubles, kVectors> value{};
  std::array<Masks, kVectors> certain{};

  void set(std::size_t count, const double* values, bool are_certain) {
    std::memcpy(value.data(), values, count * sizeof(double));
    certain.fill(Masks{} - static_cast<std::int64_t>(are_certain));
  }
  void negate() {
    for (Doubles& each : value) each = -each;
  }
  void add(const Block& right, double sign) {
    for (std::size_t i = 0; i < kVectors; ++i) {
      value[i] += sign * right.value[i];
      certain[i] &= right.certain[i];
    }
  }
  void multiply(const Block& right) {
    for (std::size_t i = 0; i < kVectors; ++i) {
      const Masks zero = (certain[i] & (value[i] == 0)) | (right.certain[i] & (right.value[i] == 0));
      value[i] = std::bit_cast<Doubles>(std::bit_cast<Masks>(value[i] * right.value[i]) & ~zero);
      certain[i] = (certain[i] & right.certain[i]) | zero;
    }
  }
};

void Formula::read(const Part& part, const Columns& columns, std::size_t begin, std::size_t count, Block& block) {
  const auto measured = [&](std::span<const double> column) { block.set(count, column.data() + begin, false); };
  // A mask of `certain` at unknown ones, too: NaN is no zero, so nothing can tell.
  const auto indicator = [&](std::span<const std::int8_t> column, Value (*of)(std::int8_t)) {
    const std::array values = {of(-1).value, of(0).value, of(1).value};
    std::array<double, Block::kSize> found;
    for (std::size_t i = 0; i < count; ++i) found[i] = values[static_cast<std::size_t>(column[begin + i] + 1)];
    block.set(count, found.data(), true);
  };
  if (part.kind == Kind::number) {
    std::array<double, Block::kSize> same;
    same.fill(part.number);
    return block.set(Block::kSize, same.data(), true);
  }
  if (part.kind == Kind::custom) return measured(columns.custom[part.index]);
  switch (static_cast<TermId>(part.index)) {
    case TermId::semantic:
      return measured(columns.semantic);
    case TermId::lexical:
      return measured(columns.lexical);
    case TermId::valid:
      return indicator(columns.valid, reward::indicator);
    case TermId::wrong:
      return indicator(columns.correct, opposite);
    case TermId::invalid:
      return indicator(columns.valid, opposite);
  }
}

void Formula::combine(const Columns& columns, std::size_t begin, std::size_t count, std::vector<Block>& stack) const {
  std::size_t top = 0;  // blocks on the stack
  for (const Part& part : parts_) {
    switch (part.kind) {
      case Kind::negate:
        stack[top - 1].negate();
        break;
      case Kind::add:
      case Kind::subtract:
        --top, stack[top - 1].add(stack[top], part.kind == Kind::add ? 1.0 : -1.0);
        break;
      case Kind::multiply:
        --top, stack[top - 1].multiply(stack[top]);
        break;
      default:
        read(part, columns, begin, count, stack[top++]);
    }
  }
}

void Formula::evaluate(const Columns& columns, std::span<double> out) const {
  check(columns, "reward::Formula", names_.size());
  expect(out.size() == columns.size(), "reward::Formula", "out: expected {} entries, got {}", columns.size(),
         out.size());
  std::vector<Block> stack(depth_);
  for (std::size_t begin = 0; begin < out.size(); begin += Block::kSize) {
    const std::size_t count = std::min(Block::kSize, out.size() - begin);
    combine(columns, begin, count, stack);
    std::memcpy(out.data() + begin, stack[0].value.data(), count * sizeof(double));
  }
}

void Formula::Leaf::evaluate(const Columns& columns, std::span<double> out) const {
  Block block;
  for (std::size_t begin = 0; begin < out.size(); begin += Block::kSize) {
    const std::size_t count = std::min(Block::kSize, out.size() - begin);
    read(part, columns, begin, count, block);
    std::memcpy(out.data() + begin, block.value.data(), count * sizeof(double));
  }
}

std::string Formula::text() const {
  std::vector<Printed> stack;
  for (const Part& part : parts_) {
    if (part.kind == Kind::number) {
      stack.push_back({number_text(part.number), std::signbit(part.number) ? 3 : 4});
    } else if (part.kind == Kind::term || part.kind == Kind::custom) {
      stack.push_back({std::string(name(part)), 4});
    } else if (part.kind == Kind::negate) {
      stack.back() = {formatted("-{}", within(stack.back(), 3)), 3};
    } else {
      const Printed right = stack.back();
      stack.pop_back();
      const int binding = part.kind == Kind::multiply ? 2 : 1;
      const auto sign = part.kind == Kind::add ? " + " : part.kind == Kind::subtract ? " - " : " * ";
      stack.back() = {formatted("{}{}{}", within(stack.back(), binding), sign, within(right, binding + 1)), binding};
    }
  }
  return stack[0].text;
}

}  // namespace vlmprobe::reward
