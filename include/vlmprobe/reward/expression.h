// The reward algebra as expression templates: terms are typed values, and
//
//   0.5 * (semantic + lexical) * valid * wrong - 1.0 * invalid
//
// is an expression, evaluated per question without allocation. Header-only, no torch.
//
//   semantic, lexical   the two novelties (memory/question_memory.h), in [0, 1], NaN where unknown
//   valid, invalid      V and 1 - V; a missing or malformed slot has V = 0
//   wrong               1 - C
//   custom(name, f)     f(columns, q) -> double, NaN for unknown; for terms of your own
//
// Rules for a question's reward (value.h has those of products and sums):
//   V unknown: NaN, whatever the expression is. V = 0: products with `valid` are exactly 0 and `penalty * invalid` is
//   exactly the penalty, whatever C and the novelties are. V = 1 and C unknown: NaN where `wrong` counts.
// A sequence's total is the mean over its scorable (not NaN) questions, in order; NaN when it has none.
// Columns outside what terms.h says throw InvalidArgument before anything is computed.
// Each term is logged as it is before weighting, NaN for unknown, also under a weight of 0.
// Source: paper, eqs. 2 and 5. Any thread may evaluate an expression.
#pragma once

#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "vlmprobe/reward/terms.h"
#include "vlmprobe/reward/value.h"

namespace vlmprobe::reward {

// Every static expression derives from it. It has at(columns, q) -> Value and visit(f), which calls
// f(name, term) for each term it is made of, from left to right. A run-time one has evaluate(columns, out) for at.
struct Node {};

template <class E>
concept StaticExpression = std::is_base_of_v<Node, std::remove_cvref_t<E>>;
template <class E>
concept Operand = StaticExpression<E> || std::is_arithmetic_v<std::remove_cvref_t<E>>;

namespace detail {

// The value of each question into out [Q], NaN for unknown. Columns that were checked.
template <StaticExpression E>
void evaluate(const E& expression, const Columns& columns, std::span<double> out) {
  for (std::size_t q = 0; q < out.size(); ++q) out[q] = expression.at(columns, q).value;
}
template <class E>
  requires requires(const E& e, const Columns& columns, std::span<double> out) { e.evaluate(columns, out); }
void evaluate(const E& expression, const Columns& columns, std::span<double> out) {
  expression.evaluate(columns, out);
}

}  // namespace detail

template <class E>
concept Expression = requires(const E& expression, const Columns& columns, std::span<double> out) {
  detail::evaluate(expression, columns, out);
  expression.visit([](std::string_view, const auto&) {});
};

template <TermId kId>
struct Term : Node {
  constexpr Value at(const Columns& columns, std::size_t q) const { return read(kId, columns, q); }
  template <class Visitor>
  constexpr void visit(Visitor&& visitor) const {
    visitor(kTermNames[static_cast<std::size_t>(kId)], *this);
  }
};

inline constexpr Term<TermId::semantic> semantic;
inline constexpr Term<TermId::lexical> lexical;
inline constexpr Term<TermId::valid> valid;
inline constexpr Term<TermId::wrong> wrong;
inline constexpr Term<TermId::invalid> invalid;

template <class Call>
struct Custom : Node {
  std::string_view name;  // outlives the expression: a literal
  Call call;
  constexpr Custom(std::string_view term_name, Call function) : name(term_name), call(std::move(function)) {}
  constexpr Value at(const Columns& columns, std::size_t q) const { return measured(call(columns, q)); }
  template <class Visitor>
  constexpr void visit(Visitor&& visitor) const {
    visitor(name, *this);
  }
};

template <class Call>
constexpr auto custom(std::string_view name, Call call) {
  return Custom<Call>(name, std::move(call));
}

struct Constant : Node {
  double number;
  constexpr explicit Constant(double value) : number(value) {}
  constexpr Value at(const Columns&, std::size_t) const { return constant(number); }
  template <class Visitor>
  constexpr void visit(Visitor&&) const {}
};

template <class Op, class Left, class Right>
struct Binary : Node {
  Left left;
  Right right;
  constexpr Binary(Left l, Right r) : left(std::move(l)), right(std::move(r)) {}
  constexpr Value at(const Columns& columns, std::size_t q) const {
    return Op{}(left.at(columns, q), right.at(columns, q));
  }
  template <class Visitor>
  constexpr void visit(Visitor&& visitor) const {
    left.visit(visitor), right.visit(visitor);
  }
};

template <Operand E>
constexpr auto node(E operand) {
  if constexpr (StaticExpression<E>) {
    return operand;
  } else {
    return Constant(static_cast<double>(operand));
  }
}
template <class Op, class Left, class Right>
constexpr auto binary(Left left, Right right) {
  return Binary<Op, decltype(node(left)), decltype(node(right))>(node(left), node(right));
}

template <Operand Left, Operand Right>
  requires(StaticExpression<Left> || StaticExpression<Right>)
constexpr auto operator+(Left left, Right right) {
  return binary<std::plus<>>(left, right);
}
template <Operand Left, Operand Right>
  requires(StaticExpression<Left> || StaticExpression<Right>)
constexpr auto operator-(Left left, Right right) {
  return binary<std::minus<>>(left, right);
}
template <Operand Left, Operand Right>
  requires(StaticExpression<Left> || StaticExpression<Right>)
constexpr auto operator*(Left left, Right right) {
  return binary<std::multiplies<>>(left, right);
}
template <StaticExpression E>
constexpr auto operator-(E operand) {
  return binary<std::multiplies<>>(-1.0, operand);
}

namespace detail {

// Of columns that were checked. `question` is [Q], `total` [num_sequences], and term_of(name) gives the [Q] of a term
// that is logged, empty for one that is there already.
template <Expression E, class TermOf>
void score_into(const E& expression, const Columns& columns, std::span<double> question, std::span<double> total,
                const TermOf& term_of) {
  evaluate(expression, columns, question);
  std::vector<std::int64_t> scorable(total.size(), 0);
  std::fill(total.begin(), total.end(), 0.0);
  for (std::size_t q = 0; q < question.size(); ++q) {
    question[q] = columns.valid[q] < 0 ? kUnknown : question[q];
    const bool scored = !std::isnan(question[q]);
    const auto row = static_cast<std::size_t>(columns.sequence[q]);
    total[row] += scored ? question[q] : 0.0;
    scorable[row] += scored;
  }
  for (std::size_t b = 0; b < total.size(); ++b)
    total[b] = scorable[b] > 0 ? total[b] / static_cast<double>(scorable[b]) : kUnknown;

  expression.visit([&](std::string_view name, const auto& term) { evaluate(term, columns, term_of(name)); });
}

}  // namespace detail

struct Scores {
  std::vector<double> question;                                    // [Q], NaN = cannot be scored
  std::vector<double> total;                                       // [num_sequences], float64 sums in index order
  std::vector<std::pair<std::string, std::vector<double>>> terms;  // each [Q], before weighting
};

template <Expression E>
Scores score(const E& expression, const Columns& columns) {
  check(columns, "reward::score");
  Scores scores{
      std::vector<double>(columns.size()), std::vector<double>(static_cast<std::size_t>(columns.num_sequences)), {}};
  detail::score_into(expression, columns, scores.question, scores.total,
                     [&](std::string_view name) -> std::span<double> {
                       for (const auto& logged : scores.terms)
                         if (logged.first == name) return {};
                       return scores.terms.emplace_back(std::string(name), std::vector<double>(columns.size())).second;
                     });
  return scores;
}

// Equation 5 as a static expression.
constexpr auto equation5(double lambda_scale = 0.5, double lambda_penalty = 1.0) {
  return lambda_scale * (semantic + lexical) * valid * wrong - lambda_penalty * invalid;
}

}  // namespace vlmprobe::reward
