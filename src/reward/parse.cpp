// Presets by name, and a recursive descent over the grammar
//   sum := product (('+' | '-') product)*    product := sign ('*' sign)*    sign := '-' sign | '+' sign | atom
//   atom := number | name | '(' sum ')'

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <numeric>
#include <system_error>

#include "vlmprobe/core/error.h"
#include "vlmprobe/reward/formula.h"

namespace vlmprobe::reward {
namespace {

constexpr auto kOp = "reward::parse";
constexpr std::size_t kMaxText = 4096;
constexpr int kMaxNesting = 64;

struct Preset {
  const char* name;
  PaperOptions options;
};
constexpr std::array kPresets = {
    Preset{"paper", {}},
    Preset{"paper-no-diversity", {.semantic = false, .lexical = false}},
    Preset{"paper-no-penalty", {.penalty = false}},
    Preset{"paper-no-lexical", {.lexical = false}},
    Preset{"paper-no-semantic", {.semantic = false}},
};

// Letters to insert, delete or replace (Levenshtein).
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0]++;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t changed = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, changed});
    }
  }
  return row.back();
}

bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

class Parser {
 public:
  Parser(std::string_view text, std::span<const std::string> custom) : text_(text), custom_(custom) {}

  Formula whole() {
    Formula formula = sum();
    skip();
    expect(at_ == text_.size(), kOp, "text: expected an operator or the end at character {}, got '{}'", at_ + 1,
           rest());
    return formula;
  }

 private:
  Formula sum() {
    Formula left = product();
    for (char op = peek(); op == '+' || op == '-'; op = peek()) {
      ++at_;
      left = op == '+' ? left + product() : left - product();
    }
    return left;
  }
  Formula product() {
    Formula left = sign();
    while (take('*')) left = left * sign();
    return left;
  }
  Formula sign() {
    expect(++nesting_ <= kMaxNesting, kOp, "text: expected at most {} nested signs and parentheses", kMaxNesting);
    Formula formula = take('-') ? -sign() : take('+') ? sign() : atom();
    --nesting_;
    return formula;
  }
  Formula atom() {
    if (take('(')) {
      Formula inner = sum();
      expect(take(')'), kOp, "text: expected ')' at character {}, got '{}'", at_ + 1, rest());
      return inner;
    }
    const char next = peek();
    if (is_digit(next) || next == '.') return number();
    expect(is_letter(next), kOp, "text: expected a number, a term or '(' at character {}, got '{}'", at_ + 1, rest());
    return name();
  }
  Formula number() {
    double value = 0;
    const auto [end, error] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), value);
    expect(error == std::errc() && std::isfinite(value), kOp,
           "text: expected a finite number at character {}, got '{}'", at_ + 1, rest());
    at_ = static_cast<std::size_t>(end - text_.data());
    return Formula::number(value);
  }
  Formula name() {
    const std::size_t begin = at_;
    while (at_ < text_.size() && (is_letter(text_[at_]) || is_digit(text_[at_]))) ++at_;
    const auto word = text_.substr(begin, at_ - begin);
    const auto known = std::find(kTermNames.begin(), kTermNames.end(), word);
    if (known != kTermNames.end()) return Formula::term(static_cast<TermId>(known - kTermNames.begin()));
    if (std::find(custom_.begin(), custom_.end(), word) != custom_.end()) return Formula::custom(std::string(word));
    unknown(word);
  }
  // A text of letters and '-' only was meant as one name.
  [[noreturn]] void unknown(std::string_view word) const {
    const bool one = std::all_of(text_.begin(), text_.end(), [](char c) { return is_letter(c) || c == '-'; });
    const std::string got(one ? text_.substr(0, 100) : word.substr(0, 100));
    std::vector<std::string> allowed(kTermNames.begin(), kTermNames.end());
    allowed.insert(allowed.end(), custom_.begin(), custom_.end());
    for (const Preset& preset : kPresets) allowed.emplace_back(preset.name);
    const auto nearest = std::min_element(allowed.begin(), allowed.end(), [&](const auto& a, const auto& b) {
      return distance(a, got) < distance(b, got);
    });
    throw InvalidArgument(
        formatted("[{}] text: expected {}, got {} (nearest: {})", kOp, joined(allowed, ", "), got, *nearest));
  }

  void skip() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\n')) ++at_;
  }
  char peek() {
    skip();
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  bool take(char wanted) {
    const bool found = peek() == wanted;
    at_ += found;
    return found;
  }
  std::string_view rest() const { return text_.substr(at_, 20); }

  std::string_view text_;
  std::span<const std::string> custom_;
  std::size_t at_ = 0;
  int nesting_ = 0;
};

std::string_view trimmed(std::string_view text) {
  constexpr auto kBlank = " \t\n";
  const std::size_t begin = std::min(text.find_first_not_of(kBlank), text.size());
  return text.substr(begin, text.find_last_not_of(kBlank) + 1 - begin);
}

}  // namespace

Formula paper(const PaperOptions& options) {
  const auto weight = [](const char* name, double value) {
    expect(std::isfinite(value) && value >= 0, "reward::paper", "{}: expected a finite number from 0 on, got {}", name,
           value);
  };
  weight("lambda_scale", options.lambda_scale);
  weight("lambda_penalty", options.lambda_penalty);

  const auto term = [](TermId id) { return Formula::term(id); };
  const bool both = options.semantic && options.lexical;
  Formula reward = Formula::number(both ? options.lambda_scale : 2 * options.lambda_scale);
  if (both) reward = reward * (term(TermId::semantic) + term(TermId::lexical));
  if (options.semantic && !both) reward = reward * term(TermId::semantic);
  if (options.lexical && !both) reward = reward * term(TermId::lexical);
  reward = reward * term(TermId::valid) * term(TermId::wrong);
  return options.penalty ? reward - Formula::number(options.lambda_penalty) * term(TermId::invalid) : reward;
}

std::vector<std::string> preset_names() {
  std::vector<std::string> names;
  for (const Preset& preset : kPresets) names.emplace_back(preset.name);
  return names;
}

Formula parse(std::string_view text, std::span<const std::string> custom) {
  expect(text.size() <= kMaxText, kOp, "text: expected at most {} characters, got {}", kMaxText, text.size());
  const std::string_view line = trimmed(text);
  for (const Preset& preset : kPresets)
    if (line == preset.name) return paper(preset.options);
  return Parser(line, custom).whole();
}

}  // namespace vlmprobe::reward
