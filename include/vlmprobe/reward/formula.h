// The run-time form of the reward algebra, for Python, for configuration files and for the command line.
//
//   parse("0.5 * (semantic + lexical) * valid * wrong - invalid")     or a preset's name: parse("paper-no-lexical")
//
// Grammar: numbers, the terms semantic, lexical, valid, wrong, invalid, names of custom terms, + - *, parentheses; the
// precedence of Python. Nothing else is read, nothing is evaluated but this. `text()` prints the line that parses to
// the same formula. Values and unknowns follow value.h, as in the static expressions (expression.h), which `score`
// there takes as well as a Formula.
//
// Presets (docs/departures.md): R = 2 lambda_scale Delta V (1 - C) - lambda_penalty (1 - V), where Delta is the mean of
// the diversity terms that are present, 1 if there is none; with both this is eq. 5 of the paper.
//
// Throws InvalidArgument for unknown names (with the nearest known one), numbers that are not finite, and formulas of
// more than 64 levels or 4096 parts. A Formula does not change after it was made; any thread may evaluate it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "vlmprobe/reward/terms.h"
#include "vlmprobe/reward/value.h"

namespace vlmprobe::reward {

class Formula {
 public:
  static Formula number(double value);
  static Formula term(TermId term);
  static Formula custom(const std::string& name);  // a name as in Python; its values are a column (Columns::custom)

  Formula operator+(const Formula& other) const { return combined(Kind::add, other); }
  Formula operator-(const Formula& other) const { return combined(Kind::subtract, other); }
  Formula operator*(const Formula& other) const { return combined(Kind::multiply, other); }
  Formula operator-() const;

  std::string text() const;
  const std::vector<std::string>& custom_names() const { return names_; }  // the order of Columns::custom

  // The value of each question, NaN for unknown, into out [Q], for columns as terms.h has them, else InvalidArgument;
  // and f(name, term) for each term, as the static expressions have it.
  void evaluate(const Columns& columns, std::span<double> out) const;
  template <class Visitor>
  void visit(Visitor&& visitor) const {
    for (const Part& part : parts_)
      if (part.kind == Kind::term || part.kind == Kind::custom) visitor(name(part), Leaf{part});
  }

 private:
  enum class Kind : std::uint8_t { number, term, custom, negate, add, subtract, multiply };
  struct Part {  // of the formula in postfix order
    Kind kind;
    double number = 0;
    std::size_t index = 0;  // the TermId, or the custom term's place in names_
  };
  struct Leaf {
    Part part;
    void evaluate(const Columns& columns, std::span<double> out) const;
  };
  static constexpr std::size_t kMaxDepth = 64, kMaxParts = 4096;

  struct Block;
  static void read(const Part& part, const Columns& columns, std::size_t begin, std::size_t count, Block& block);
  void combine(const Columns& columns, std::size_t begin, std::size_t count, std::vector<Block>& stack) const;
  std::string_view name(const Part& part) const;
  Formula combined(Kind kind, const Formula& other) const;

  std::vector<Part> parts_;
  std::vector<std::string> names_;
  std::size_t depth_ = 1;  // of the stack that `combine` needs
};

struct PaperOptions {
  double lambda_scale = 0.5;  // at least 0
  double lambda_penalty = 1;  // at least 0
  bool semantic = true;
  bool lexical = true;
  bool penalty = true;
};

Formula paper(const PaperOptions& options = {});

// paper, paper-no-diversity, paper-no-penalty, paper-no-lexical, paper-no-semantic
std::vector<std::string> preset_names();

// A preset's name or an expression; `custom` are the names of further terms that may be used.
Formula parse(std::string_view text, std::span<const std::string> custom = {});

}  // namespace vlmprobe::reward
