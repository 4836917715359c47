#include "vlmprobe/reward/formula.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>

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
  std::string text = fmt::format("{}", value);
  return text.find_first_of(".e") == text.npos ? text + ".0" : text;
}

struct Printed {
  std::string text;
  int binding;  // 1 sum, 2 product, 3 sign, 4 name or number
};

std::string within(const Printed& part, int binding) {
  return part.binding < binding ? fmt::format("({})", part.text) : part.text;
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

Value Formula::read(const Part& part, const Columns& columns, std::size_t q) {
  if (part.kind == Kind::number) return constant(part.number);
  if (part.kind == Kind::term) return reward::read(static_cast<TermId>(part.index), columns, q);
  return measured(columns.custom[part.index][q]);
}

Value Formula::at(const Columns& columns, std::size_t q) const {
  std::array<Value, kMaxDepth> stack;
  std::size_t top = 0;  // values on the stack
  for (const Part& part : parts_) {
    switch (part.kind) {
      case Kind::negate:
        stack[top - 1] = -stack[top - 1];
        break;
      case Kind::add:
        --top, stack[top - 1] = stack[top - 1] + stack[top];
        break;
      case Kind::subtract:
        --top, stack[top - 1] = stack[top - 1] - stack[top];
        break;
      case Kind::multiply:
        --top, stack[top - 1] = stack[top - 1] * stack[top];
        break;
      default:
        stack[top++] = read(part, columns, q);
    }
  }
  return stack[0];
}

std::string Formula::text() const {
  std::vector<Printed> stack;
  for (const Part& part : parts_) {
    if (part.kind == Kind::number) {
      stack.push_back({number_text(part.number), std::signbit(part.number) ? 3 : 4});
    } else if (part.kind == Kind::term || part.kind == Kind::custom) {
      stack.push_back({std::string(name(part)), 4});
    } else if (part.kind == Kind::negate) {
      stack.back() = {fmt::format("-{}", within(stack.back(), 3)), 3};
    } else {
      const Printed right = stack.back();
      stack.pop_back();
      const int binding = part.kind == Kind::multiply ? 2 : 1;
      const auto sign = part.kind == Kind::add ? " + " : part.kind == Kind::subtract ? " - " : " * ";
      stack.back() = {fmt::format("{}{}{}", within(stack.back(), binding), sign, within(right, binding + 1)), binding};
    }
  }
  return stack[0].text;
}

}  // namespace vlmprobe::reward
