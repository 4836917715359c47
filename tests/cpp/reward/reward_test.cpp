#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "support.h"
#include "vlmprobe/core/error.h"
#include "vlmprobe/core/random.h"
#include "vlmprobe/reward/expression.h"
#include "vlmprobe/reward/formula.h"
#include "vlmprobe/reward/score.h"

using namespace vlmprobe;
using reward::Columns;
using reward::Formula;
using reward::invalid;
using reward::lexical;
using reward::semantic;
using reward::valid;
using reward::wrong;

namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

bool same(double a, double b) {
  return a == b || (std::isnan(a) && std::isnan(b));
}
bool same(const std::vector<double>& a, const std::vector<double>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](double x, double y) { return same(x, y); });
}

// Columns that own their values; any of them may be unknown.
struct Table {
  explicit Table(std::int64_t questions = 0, std::uint64_t seed = 1) {
    random::Sequence draw(seed, random::Stream::kVerifier, 0);
    const double novelties[] = {0, 1, kNaN, 0.25, 0.7};
    for (std::int64_t q = 0; q < questions; ++q)
      add(q / 3, draw.below(3) - 1, draw.below(3) - 1, novelties[draw.below(5)], novelties[draw.below(5)]);
  }
  void add(std::int64_t b, int v, int c, double s, double l) {
    sequence.push_back(b), valid_.push_back(static_cast<std::int8_t>(v)),
        correct.push_back(static_cast<std::int8_t>(c));
    semantic_.push_back(s), lexical_.push_back(l);
  }
  Columns columns() const {
    return {sequence.empty() ? 0 : sequence.back() + 1, sequence, valid_, correct, semantic_, lexical_};
  }
  std::vector<std::int64_t> sequence;
  std::vector<std::int8_t> valid_, correct;
  std::vector<double> semantic_, lexical_;
};

// One question's equation 5 by cases, without the algebra.
double by_cases(const Table& t, std::size_t q, double scale, double penalty) {
  if (t.valid_[q] < 0) return kNaN;
  if (t.valid_[q] == 0) return -penalty;
  if (t.correct[q] < 0) return kNaN;
  return t.correct[q] == 1 ? 0.0 : scale * (t.semantic_[q] + t.lexical_[q]);
}

template <class T>
at::Tensor tensor(const std::vector<T>& values, at::ScalarType type) {
  at::Tensor out = at::empty({static_cast<std::int64_t>(values.size())}, type);
  std::copy(values.begin(), values.end(), out.mutable_data_ptr<T>());
  return out;
}

reward::Batch batch(const Table& t) {
  return {t.columns().num_sequences,    tensor(t.sequence, at::kLong),    tensor(t.valid_, at::kChar),
          tensor(t.correct, at::kChar), tensor(t.semantic_, at::kDouble), tensor(t.lexical_, at::kDouble)};
}

}  // namespace

TEST_CASE("equation 5 by hand") {
  Table t;
  t.add(0, 1, 0, 0.4, 0.5);     // valid, wrong: 0.5 * (0.4 + 0.5) = 0.45
  t.add(0, 0, -1, kNaN, kNaN);  // invalid: -1, whatever else is unknown
  t.add(1, 1, 1, 0.4, 0.5);     // valid, right: 0
  t.add(1, -1, 1, 0.4, 0.5);    // validity unknown: unscored
  t.add(2, 1, -1, 0.4, 0.5);    // correctness unknown: unscored
  const auto scores = reward::score(reward::equation5(), t.columns());
  CHECK(same(scores.question, {0.45, -1, 0, kNaN, kNaN}));
  CHECK(same(scores.total, {(0.45 - 1) / 2, 0, kNaN}));
  REQUIRE(scores.terms.size() == 5);
  CHECK(scores.terms[0].first == "semantic");
  CHECK(same(scores.terms[0].second, {0.4, kNaN, 0.4, 0.4, 0.4}));
  CHECK(scores.terms[3].first == "wrong");
  CHECK(same(scores.terms[3].second, {1, kNaN, 0, 0, kNaN}));
  CHECK(same(scores.terms[4].second, {0, 1, 0, kNaN, 0}));
}

TEST_CASE("equation 5 equals its cases for every mixture of unknowns") {
  const Table t(3000);
  const auto scores = reward::score(reward::equation5(0.3, 0.7), t.columns());
  for (std::size_t q = 0; q < 3000; ++q) REQUIRE(same(scores.question[q], by_cases(t, q, 0.3, 0.7)));
  for (std::size_t b = 0; b < 1000; ++b) {
    double sum = 0;
    int n = 0;
    for (std::size_t q = 3 * b; q < 3 * b + 3; ++q)
      if (!std::isnan(scores.question[q])) sum += scores.question[q], ++n;
    REQUIRE(same(scores.total[b], n == 0 ? kNaN : sum / n));
  }
}

TEST_CASE("the static and the run-time expression agree on every value and every unknown") {
  const Table t(2000, 2);
  const auto s = Formula::term(reward::TermId::semantic), l = Formula::term(reward::TermId::lexical);
  const auto v = Formula::term(reward::TermId::valid), w = Formula::term(reward::TermId::wrong);
  const auto i = Formula::term(reward::TermId::invalid);
  const auto n = [](double value) { return Formula::number(value); };
  const auto check = [&](const auto& fixed, const Formula& formula) {
    const auto a = reward::score(fixed, t.columns()), b = reward::score(formula, t.columns());
    CAPTURE(formula.text());
    REQUIRE(same(a.question, b.question));
    REQUIRE(same(a.total, b.total));
    REQUIRE(a.terms.size() == b.terms.size());
    for (std::size_t k = 0; k < a.terms.size(); ++k) {
      REQUIRE(a.terms[k].first == b.terms[k].first);
      REQUIRE(same(a.terms[k].second, b.terms[k].second));
    }
  };
  check(0.5 * (semantic + lexical) * valid * wrong - 1.0 * invalid, n(0.5) * (s + l) * v * w - n(1) * i);
  check(semantic * lexical - 2 * (wrong - valid), s * l - n(2) * (w - v));
  check(-semantic * (1 - valid) + 0 * lexical, -s * (n(1) - v) + n(0) * l);
  check((valid + wrong) * semantic, (v + w) * s);
  check(lexical - (semantic - wrong), l - (s - w));
}

TEST_CASE("a zero gates only when it is certain") {
  Table t;
  t.add(0, 1, 1, kNaN, 0);  // right: wrong = 0 gates the unknown novelty
  t.add(0, 1, -1, 0, 0);    // a novelty of 0 does not gate an unknown verdict
  t.add(0, 0, 0, kNaN, 1);  // 1 - valid is as certain as invalid
  const Columns c = t.columns();
  CHECK(same(reward::score(semantic * wrong, c).question, {0, kNaN, kNaN}));
  CHECK(same(reward::score(semantic * valid * wrong, c).question, {0, kNaN, 0}));
  CHECK(same(reward::score(lexical * wrong, c).question, {0, kNaN, 1}));
  CHECK(same(reward::score((1 - valid) * semantic, c).question, {0, 0, kNaN}));
  CHECK(same(reward::score(lexical + 0 * semantic, c).question, {0, 0, 1}));  // weight 0: a monitor
  CHECK(reward::score(lexical + 0 * semantic, c).terms[1].first == "semantic");
}

TEST_CASE("unknown validity is unscored even where the expression does not ask") {
  Table t;
  t.add(0, -1, 1, 0.5, 0.5);
  CHECK(same(reward::score(semantic, t.columns()).question, {kNaN}));
  CHECK(same(reward::score(0.5 * semantic * valid * wrong, t.columns()).question, {kNaN}));
}

TEST_CASE("a term of one's own from a callable") {
  Table t;
  t.add(0, 1, 0, 0.4, 0.5), t.add(1, 0, 0, 0.4, 0.5);
  const auto early =
      reward::custom("early", [](const Columns& c, std::size_t q) { return c.sequence[q] == 0 ? 2.0 : 3.0; });
  const auto scores = reward::score(early * valid * wrong + 0 * early, t.columns());
  CHECK(same(scores.question, {2, 0}));
  REQUIRE(scores.terms.size() == 3);
  CHECK(scores.terms[0].first == "early");
  CHECK(same(scores.terms[0].second, {2, 3}));
}

TEST_CASE("presets are equation 5 with terms left out") {
  CHECK(reward::paper().text() == "0.5 * (semantic + lexical) * valid * wrong - 1.0 * invalid");
  CHECK(reward::parse(" paper-no-lexical ").text() == "1.0 * semantic * valid * wrong - 1.0 * invalid");
  CHECK(reward::parse("paper-no-semantic").text() == "1.0 * lexical * valid * wrong - 1.0 * invalid");
  CHECK(reward::parse("paper-no-diversity").text() == "1.0 * valid * wrong - 1.0 * invalid");
  CHECK(reward::parse("paper-no-penalty").text() == "0.5 * (semantic + lexical) * valid * wrong");
  CHECK(reward::paper({.lambda_scale = 0.25, .lambda_penalty = 0.5, .semantic = false}).text() ==
        "0.5 * lexical * valid * wrong - 0.5 * invalid");
  const Table t(500, 3);
  CHECK(same(reward::score(reward::paper(), t.columns()).question,
             reward::score(reward::equation5(), t.columns()).question));
  CHECK(thrown([] { reward::paper({.lambda_scale = -1}); }) ==
        "[reward::paper] lambda_scale: expected a finite number from 0 on, got -1");
  CHECK(thrown([] { reward::paper({.lambda_penalty = kNaN}); }) ==
        "[reward::paper] lambda_penalty: expected a finite number from 0 on, got nan");
}

TEST_CASE("a text parses to the formula that prints it") {
  const std::pair<const char*, const char*> cases[] = {
      {"0.5*(semantic+lexical)*valid*wrong - invalid", "0.5 * (semantic + lexical) * valid * wrong - invalid"},
      {"semantic-(lexical-wrong)", "semantic - (lexical - wrong)"},
      {"(semantic-lexical)-wrong", "semantic - lexical - wrong"},
      {"semantic*(lexical*wrong)", "semantic * (lexical * wrong)"},
      {"-semantic*valid", "-semantic * valid"},
      {"-(semantic+valid)", "-(semantic + valid)"},
      {"- -1e-9 * +valid", "1e-09 * valid"},
      {"semantic - -2*valid", "semantic - -2.0 * valid"},
      {"((3))", "3.0"},
  };
  for (const auto& [text, printed] : cases) {
    CHECK(reward::parse(text).text() == printed);
    CHECK(reward::parse(printed).text() == printed);
  }
}

TEST_CASE("random formulas survive printing and parsing, value for value") {
  const Table t(50, 4);
  random::Sequence draw(5, random::Stream::kFault, 0);
  for (int round = 0; round < 300; ++round) {
    std::vector<Formula> pool;
    for (int id = 0; id < 5; ++id) pool.push_back(Formula::term(static_cast<reward::TermId>(id)));
    pool.push_back(Formula::number(draw.uniform() - 0.5));
    for (int n = 0; n < 8; ++n) {
      const Formula a = pool[draw.below(static_cast<int>(pool.size()))],
                    b = pool[draw.below(static_cast<int>(pool.size()))];
      pool.push_back(draw.chance(0.3) ? a + b : draw.chance(0.4) ? a - b : draw.chance(0.6) ? a * b : -a);
    }
    const std::string text = pool.back().text();
    CAPTURE(text);
    const Formula back = reward::parse(text);
    REQUIRE(back.text() == text);
    REQUIRE(same(reward::score(back, t.columns()).question, reward::score(pool.back(), t.columns()).question));
  }
}

TEST_CASE("a text that is no formula is refused where it goes wrong") {
  const std::string allowed =
      "semantic, lexical, valid, wrong, invalid, paper, paper-no-diversity, paper-no-penalty, paper-no-lexical, "
      "paper-no-semantic";
  const auto message = [](std::string_view text) { return thrown([&] { reward::parse(text); }); };
  CHECK(message("0.5 * semantik") ==
        "[reward::parse] text: expected " + allowed + ", got semantik (nearest: semantic)");
  CHECK(message("paper-no-lexcal") ==
        "[reward::parse] text: expected " + allowed + ", got paper-no-lexcal (nearest: paper-no-lexical)");
  CHECK(message("") == "[reward::parse] text: expected a number, a term or '(' at character 1, got ''");
  CHECK(message("valid wrong") == "[reward::parse] text: expected an operator or the end at character 7, got 'wrong'");
  CHECK(message("(valid") == "[reward::parse] text: expected ')' at character 7, got ''");
  CHECK(message("valid / 2") == "[reward::parse] text: expected an operator or the end at character 7, got '/ 2'");
  CHECK(message("1e999 * valid") ==
        "[reward::parse] text: expected a finite number at character 1, got '1e999 * valid'");
  CHECK(message("__import__('os')").starts_with("[reward::parse] text: expected semantic, "));
  CHECK(message(std::string(2000, '(')) == "[reward::parse] text: expected at most 64 nested signs and parentheses");
  CHECK(message(std::string(5000, ' ')) == "[reward::parse] text: expected at most 4096 characters, got 5000");
  CHECK(thrown([] { Formula::custom("2x"); }).starts_with("[reward::Formula] name: expected letters, digits and _"));
  CHECK(thrown([] { Formula::custom("valid"); }) ==
        "[reward::Formula] name: expected another one than the terms that are there, got 'valid'");
  CHECK(thrown([] { Formula::number(kNaN); }) == "[reward::Formula] number: expected a finite one, got nan");
  const std::array<std::string, 1> custom = {"short"};
  CHECK(reward::parse("short * valid", custom).custom_names() == std::vector<std::string>{"short"});
  Formula deep = Formula::number(1);
  CHECK(thrown([&] {
          for (int i = 0; i < 70; ++i) deep = Formula::number(1) + deep;
        }) == "[reward::Formula] expected at most 64 levels");
}

TEST_CASE("tensors score as columns do") {
  const Table t(300, 6);
  const auto expected = reward::score(reward::equation5(), t.columns());
  const auto rewards = reward::score(reward::paper(), batch(t));
  CHECK(same({rewards.question.const_data_ptr<double>(), rewards.question.const_data_ptr<double>() + 300},
             expected.question));
  CHECK(same({rewards.total.const_data_ptr<double>(), rewards.total.const_data_ptr<double>() + 100}, expected.total));
  CHECK(rewards.terms.size() == 5);

  const Formula formula = Formula::custom("b") * Formula::custom("a") + Formula::custom("b");
  auto with = batch(t);
  with.custom = {{"a", at::full({300}, 3, at::kDouble)}, {"b", at::full({300}, 2, at::kDouble)}};
  const auto custom = reward::score(formula, with);
  for (std::size_t q = 0; q < 300; ++q)
    REQUIRE(same(custom.question.const_data_ptr<double>()[q], t.valid_[q] < 0 ? kNaN : 2.0 * 3.0 + 2.0));
  CHECK(reward::score(reward::paper(), batch(Table())).total.numel() == 0);
}

TEST_CASE("columns on spans are checked before anything is read or written") {
  const Table table(6, 3);
  const std::int8_t three[] = {1, 1, 1}, odd[] = {1, 1, 1, 1, 1, 7};
  const double short_column[] = {0.5}, large[] = {0, 0, 0, 0, 0, 2}, infinite[] = {0, 0, 0, 0, 0, -INFINITY};
  const std::int64_t outside[] = {0, 0, 0, 1, 1, 2}, below[] = {0, 0, 0, 1, 1, -1};
  const auto message = [&](auto change) {
    Columns columns = table.columns();
    change(columns);
    const std::string fixed = thrown([&] { reward::score(reward::equation5(), columns); });
    CHECK(thrown([&] { reward::score(reward::paper(), columns); }) == fixed);
    std::vector<double> out(6);
    CHECK(thrown([&] { reward::paper().evaluate(columns, out); }).size() > 0);
    return fixed;
  };
  CHECK(message([&](Columns& c) { c.sequence = outside; }) ==
        "[reward::score] sequence: row 5: expected an index below num_sequences, got 2");
  CHECK(message([&](Columns& c) { c.sequence = below; }) ==
        "[reward::score] sequence: row 5: expected an index below num_sequences, got -1");
  CHECK(message([](Columns& c) { c.num_sequences = -4; }) ==
        "[reward::score] num_sequences: expected at least 0, got -4");
  CHECK(message([&](Columns& c) { c.valid = three; }) ==
        "[reward::score] valid: expected shape [Q], got [3] (Q=6 was set by sequence)");
  CHECK(message([&](Columns& c) { c.correct = odd; }) == "[reward::score] correct: row 5: expected 1, 0 or -1, got 7");
  CHECK(message([&](Columns& c) { c.semantic = short_column; }) ==
        "[reward::score] semantic: expected shape [Q], got [1] (Q=6 was set by sequence)");
  CHECK(message([](Columns& c) { c.lexical = {}; }) ==
        "[reward::score] lexical: expected shape [Q], got [0] (Q=6 was set by sequence)");
  CHECK(message([&](Columns& c) { c.lexical = large; }) ==
        "[reward::score] lexical: row 5: expected a value in [0, 1] or NaN, got 2");
  CHECK(message([&](Columns& c) { c.custom = {infinite}; }) ==
        "[reward::score] custom: row 5: expected a finite value or NaN, got -inf");
}

TEST_CASE("a formula is evaluated into one result for each question, with the values of its custom terms") {
  const Table table(6, 3);
  std::vector<double> five(5), six(6);
  CHECK(thrown([&] { reward::paper().evaluate(table.columns(), five); }) ==
        "[reward::Formula] out: expected 6 entries, got 5");
  CHECK(thrown([&] { Formula::custom("a").evaluate(table.columns(), six); }) ==
        "[reward::Formula] custom: expected the values of 1 terms, got 0");
  CHECK(thrown([&] { reward::score(Formula::custom("a"), table.columns()); }) ==
        "[reward::Formula] custom: expected the values of 1 terms, got 0");
}

TEST_CASE("wrong columns are named") {
  const auto message = [](auto change) {
    auto wrong_batch = batch(Table(3));
    change(wrong_batch);
    return thrown([&] { reward::score(reward::paper() + Formula::custom("a"), wrong_batch); });
  };
  CHECK(message([](auto& b) { b.num_sequences = 0; }) ==
        "[reward::score] sequence: row 0: expected an index below num_sequences, got 0");
  CHECK(message([](auto& b) { b.num_sequences = -1; }) == "[reward::score] num_sequences: expected at least 0, got -1");
  CHECK(message([](auto& b) { b.valid = at::full({3}, 2, at::kChar); }) ==
        "[reward::score] valid: row 0: expected 1, 0 or -1, got 2");
  CHECK(message([](auto& b) { b.correct = at::ones({3}, at::kBool); }) ==
        "[reward::score] correct: expected Char, got Bool");
  CHECK(message([](auto& b) { b.semantic = at::ones({4}, at::kDouble); }) ==
        "[reward::score] semantic: expected shape [Q], got [4] (Q=3 was set by sequence)");
  CHECK(message([](auto& b) { b.lexical = at::full({3}, 1.5, at::kDouble); }) ==
        "[reward::score] lexical: row 0: expected a value in [0, 1] or NaN, got 1.5");
  CHECK(message([](auto&) {}) == "[reward::score] custom: expected values for the term a, got none");
  CHECK(message([](auto& b) { b.custom["a"] = at::full({3}, std::numeric_limits<double>::infinity(), at::kDouble); }) ==
        "[reward::score] a: row 0: expected a finite value or NaN, got inf");
}
