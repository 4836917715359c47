#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "support.h"
#include "vlmprobe/core/random.h"
#include "vlmprobe/metrics/bootstrap.h"

namespace {

using namespace vlmprobe;

// Of four clusters at 95 %: sqrt(4/3) and the quantiles 3.182446305 of t with 3 degrees of freedom and 1.959963985.
const double kWider4 = std::sqrt(4.0 / 3) * 3.182446305284263 / 1.959963984540054;

struct Table {
  std::vector<double> successes, totals;
  metrics::ClusterSums sums() const { return {successes, totals}; }
};

}  // namespace

TEST_CASE("the difference is that of the pooled rates") {
  const Table a{{1, 2, 0}, {2, 2, 4}}, b{{0, 1, 1}, {2, 2, 1}};
  // 3/8 - 2/5 = -0.025
  const auto found = metrics::paired_difference(a.sums(), b.sums(), 1, 2000);
  CHECK(found.value == doctest::Approx(-0.025).epsilon(1e-12));
  CHECK(found.low <= found.value);
  CHECK(found.high >= found.value);
  CHECK(found.clusters == 3);
  CHECK(found.draws == 2000);
}

TEST_CASE("with two clusters the draws are known") {
  // Weights (2, 0), (1, 1), (1, 1), (0, 2): differences 1, 0, 0, -1. The quantiles are -1 and 1, widened and cut to it.
  const Table a{{1, 0}, {1, 1}}, b{{0, 1}, {1, 1}};
  const auto found = metrics::paired_difference(a.sums(), b.sums(), 3, 4000);
  CHECK(found.value == 0);
  CHECK(found.low == -1);
  CHECK(found.high == 1);
  CHECK(found.p == 1);
}

TEST_CASE("draws are those of the counters") {
  const Table a{{1, 0, 2, 5}, {3, 2, 4, 5}}, b{{2, 1, 0, 3}, {4, 2, 1, 5}};
  double s[4] = {};
  for (std::uint32_t i = 0; i < 4; ++i) {
    const auto c = static_cast<std::size_t>(4 * random::uniform(7, random::Stream::kBootstrap, 0, 0, i));
    s[0] += a.successes[c], s[1] += a.totals[c], s[2] += b.successes[c], s[3] += b.totals[c];
  }
  const double value = 8.0 / 14 - 6.0 / 12, draw = s[0] / s[1] - s[2] / s[3];
  const auto found = metrics::ratio_difference(a.sums(), b.sums(), 7, 1);
  const double only = value + kWider4 * (draw - value);  // one draw shows nothing, so 0 and the value are in it
  CHECK(found.low == doctest::Approx(std::min({only, value, 0.0})).epsilon(1e-9));
  CHECK(found.high == doctest::Approx(std::max({only, value, 0.0})).epsilon(1e-9));
}

TEST_CASE("one ratio: its value, its draws, and no bound at 1") {
  // Skills per question: 7/3, 2/2, 0/1, 12/4: 21 over 10.
  const Table skills{{7, 2, 0, 12}, {3, 2, 1, 4}};
  const auto found = metrics::ratio(skills.sums(), 5, 1);
  double s = 0, n = 0;
  for (std::uint32_t i = 0; i < 4; ++i) {
    const auto c = static_cast<std::size_t>(4 * random::uniform(5, random::Stream::kBootstrap, 0, 0, i));
    s += skills.successes[c], n += skills.totals[c];
  }
  CHECK(found.value == doctest::Approx(2.1).epsilon(1e-12));
  CHECK(found.low == doctest::Approx(2.1 + kWider4 * (s / n - 2.1)).epsilon(1e-9));
  CHECK(found.clusters == 4);

  const auto many = metrics::ratio(skills.sums(), 5, 4000);
  CHECK(many.low > -5);
  CHECK(many.low < 2.1);
  CHECK(many.high > 2.1);
  CHECK(metrics::ratio(skills.sums(), 5, 4000, 0.5).high < many.high);
}

TEST_CASE("an interval of one ratio is as wide as its linearised deviation says") {
  // 100 clusters of 4, rates 0.25 and 0.75 in turn: the residuals are -1 and 1, so the deviation is
  // sqrt(100/99 * 100) / 400 = 0.02513; t with 99 degrees of freedom is 1.984.
  Table rates;
  for (int c = 0; c < 100; ++c) rates.successes.push_back(c % 2 == 0 ? 1 : 3), rates.totals.push_back(4);
  const auto found = metrics::ratio(rates.sums(), 9, 20000);
  CHECK(found.high - found.low == doctest::Approx(2 * 1.984 * 0.02513).epsilon(0.03));
}

TEST_CASE("a difference of ratios is that of rates but for the bound") {
  const Table a{{1, 0, 2, 5}, {3, 2, 4, 5}}, b{{2, 1, 0, 3}, {4, 2, 1, 5}};
  const auto rates = metrics::paired_difference(a.sums(), b.sums(), 7, 500);
  const auto ratios = metrics::ratio_difference(a.sums(), b.sums(), 7, 500);
  CHECK(ratios.value == rates.value);
  CHECK(ratios.low >= rates.low);
  CHECK(ratios.high <= rates.high);
  const Table large{{40, 10, 20, 90}, {3, 2, 4, 5}};
  CHECK(metrics::ratio_difference(large.sums(), b.sums(), 7, 500).value == doctest::Approx(160.0 / 14 - 0.5));
  CHECK(metrics::ratio_difference(large.sums(), b.sums(), 7, 500).high > 12);
}

TEST_CASE("p is below 0.05 where the interval leaves 0 out, and never 0") {
  for (const double shift : {0.0, 0.05, 0.1, 0.15, 0.2, 0.4}) {
    Table a, b;
    for (int c = 0; c < 40; ++c) {
      const double noise = 0.1 * random::uniform(1, random::Stream::kQuestion, 0, 0, static_cast<std::uint32_t>(c));
      a.successes.push_back(0.4 + shift + noise * (c % 2 == 0 ? 2 : -2)), a.totals.push_back(1);
      b.successes.push_back(0.4), b.totals.push_back(1);
    }
    const auto found = metrics::paired_difference(a.sums(), b.sums(), 2, 1999);
    CHECK((found.p < 0.05) == (found.low > 0 || found.high < 0));
    CHECK(found.p >= 2.0 / 2000);
  }
}

TEST_CASE("p is never below the sign test's, whatever few images seem to say") {
  const auto p_of = [](std::vector<double> a, std::vector<double> b) {
    const std::vector<double> one(a.size(), 1);
    return metrics::paired_difference({a, one}, {b, one}, 3, 4000).p;
  };
  // All of n images differ in one direction: 2 of 2^n signs do. One against the others: n and none of n, twice.
  CHECK(p_of({1, 1}, {0, 0}) == 0.5);
  CHECK(p_of({1, 1, 1}, {0, 0, 0}) == doctest::Approx(0.25));
  CHECK(p_of({0, 0, 0, 0}, {1, 1, 1, 1}) == 0.125);
  CHECK(p_of({1, 1, 1, 1, 1}, {0, 0, 0, 0, 0}) == 0.0625);
  CHECK(p_of({1, 1, 1, 1, 1, 0}, {0, 0, 0, 0, 0, 1}) >= 2 * 7.0 / 64);
  CHECK(p_of({1, 1, 1, 1, 0, 1, 0}, {0, 0, 0, 0, 0, 1, 0}) == 0.125);  // images that agree say nothing
  CHECK(p_of({1, 1, 0, 0}, {0, 0, 1, 1}) == 1);
  const std::vector<double> fifty(50, 1), none(50, 0);
  CHECK(p_of(fifty, none) < 0.001);
}

TEST_CASE("the exact one-sided p by hand, and the least that it can be of many images") {
  const auto p_of = [](std::vector<double> a, std::vector<double> b) {
    const std::vector<double> one(a.size(), 1);
    return metrics::exact_p_higher({a, one}, {b, one});
  };
  CHECK(p_of({1, 1, 1}, {0, 0, 0}) == 0.125);
  CHECK(p_of({0, 0, 0}, {1, 1, 1}) == 1);
  CHECK(p_of({1, 1, 1, 0}, {0, 0, 0, 1}) == 5.0 / 16);  // all four signs, or all but one of the four
  CHECK(p_of({1}, {0}) == 1);                           // one image says nothing
  const Table a{{1, 1, 0, 0, 0}, {1, 1, 0, 0, 0}}, b{{0, 0, 0, 0, 0}, {0, 0, 1, 1, 1}};
  CHECK(metrics::exact_p_higher(a.sums(), b.sums()) == doctest::Approx(1.0 / 10));
  CHECK(metrics::exact_p_higher(b.sums(), a.sums()) == 1);
  const std::vector<double> forty(40, 1), none(40, 0);
  CHECK(p_of(forty, none) == doctest::Approx(std::pow(2.0, -40)));
}

TEST_CASE("images of one method alone can be labelled in so many ways: Fisher's exact test") {
  const auto p_of = [](int wrong_a, int only_a, int wrong_b, int only_b) {
    Table a, b;
    for (int i = 0; i < only_a + only_b; ++i) {
      const bool of_a = i < only_a;
      a.successes.push_back(i < wrong_a), a.totals.push_back(of_a);
      b.successes.push_back(!of_a && i - only_a < wrong_b), b.totals.push_back(!of_a);
    }
    return metrics::paired_difference(a.sums(), b.sums(), 3, 4000).p;
  };
  // Of the 252 ways in which 4 of 10 wrong ones fall on either half, 6 x 1 give 4 to one side and none to the other.
  CHECK(p_of(4, 5, 0, 5) >= doctest::Approx(2 * 6.0 / 252));
  CHECK(p_of(5, 5, 0, 5) >= doctest::Approx(2.0 / 252));
  // 5 of 10 against none of 10: C(15, 5) = 3003 of the C(20, 10) = 184756 ways, twice; Fisher's p is 0.0325. Drawn.
  CHECK(p_of(5, 10, 0, 10) > 0.025);

  // Two and two: six ways, and the two extreme ones are as large.
  const Table a{{1, 1, 0, 0}, {1, 1, 0, 0}}, b{{0, 0, 0, 0}, {0, 0, 1, 1}};
  CHECK(metrics::paired_difference(a.sums(), b.sums(), 3, 4000).p >= doctest::Approx(1.0 / 3));
}

TEST_CASE("what was seen of few images alike is no certainty") {
  const auto of = [](std::vector<double> a, std::vector<double> b) {
    const std::vector<double> one(a.size(), 1);
    return metrics::paired_difference({a, one}, {b, one}, 3, 4000);
  };
  const std::vector<double> fifty(50, 1), none(50, 0);
  // t with 49 degrees of freedom is 2.0096, so u = 4.0385/54.0385 = 0.0747: for two rates at their bounds 0.1057.
  CHECK(of(none, none).low == doctest::Approx(-0.0747).epsilon(1e-3));
  CHECK(of(none, none).high == doctest::Approx(0.0747).epsilon(1e-3));
  CHECK(of(fifty, none).low == doctest::Approx(1 - 0.1057).epsilon(1e-3));
  CHECK(of(fifty, none).high == 1);
  CHECK(of(fifty, fifty).low == doctest::Approx(-0.0747).epsilon(1e-3));
  std::vector<double> half(50, 0);
  for (std::size_t i = 0; i < 50; i += 2) half[i] = 1;
  CHECK(of(half, half).high == doctest::Approx(0.1057).epsilon(1e-3));

  const Table whole{{3, 3, 3, 3, 3}, {1, 1, 1, 1, 1}}, broken{{0.5, 0.5, 0.5}, {1, 1, 1}};
  // t with 4 degrees of freedom is 2.7764: u = 7.709/12.709 = 0.6066.
  CHECK(metrics::ratio(whole.sums(), 1).low == doctest::Approx(3 - 0.6066).epsilon(1e-3));
  CHECK(metrics::ratio(whole.sums(), 1).high == doctest::Approx(3 + 0.6066).epsilon(1e-3));
  CHECK(std::isinf(metrics::ratio(broken.sums(), 1).high));
  const auto same = metrics::ratio_difference(whole.sums(), whole.sums(), 1);
  CHECK(same.low == doctest::Approx(-0.6066).epsilon(1e-3));
  CHECK(same.p == 1);
}

TEST_CASE("what an image does to both methods cancels") {
  Table a, b;
  for (int c = 0; c < 60; ++c) {
    const double hard = c % 3 == 0 ? 9 : 1;  // of 10, in both; a has one more on every other image
    a.successes.push_back(hard + (c % 2 == 0 ? 1 : 0)), a.totals.push_back(10);
    b.successes.push_back(hard), b.totals.push_back(10);
  }
  const auto found = metrics::paired_difference(a.sums(), b.sums(), 5, 4000);
  CHECK(found.value == doctest::Approx(0.05));
  CHECK(found.high - found.low < 0.03);  // unpaired it would be 0.3
  CHECK(found.p < 0.001);
}

TEST_CASE("nothing is known from one image, or without rows") {
  const Table one{{1}, {2}}, none{{0, 0}, {0, 0}}, some{{1, 0}, {1, 1}};
  const auto single = metrics::paired_difference(one.sums(), one.sums(), 1);
  CHECK(single.value == 0);
  CHECK(single.low == -1);
  CHECK(single.high == 1);
  const auto empty = metrics::paired_difference(none.sums(), some.sums(), 1);
  CHECK(std::isnan(empty.value));
  CHECK(empty.p == 1);
  CHECK(std::isnan(metrics::paired_difference({}, {}, 1).value));
  for (const auto& ratio : {metrics::ratio(one.sums(), 1), metrics::ratio(none.sums(), 1), metrics::ratio({}, 1)}) {
    CHECK(ratio.low == -std::numeric_limits<double>::infinity());
    CHECK(ratio.high == std::numeric_limits<double>::infinity());
    CHECK(ratio.draws == 0);
  }
  CHECK(metrics::ratio(one.sums(), 1).value == 0.5);
  CHECK(std::isnan(metrics::ratio(none.sums(), 1).value));
}

TEST_CASE("draws without a row of a method are left out") {
  const Table a{{1, 1, 0, 0}, {1, 1, 0, 0}}, b{{1, 1, 0, 0}, {1, 1, 1, 1}};
  const auto found = metrics::paired_difference(a.sums(), b.sums(), 1, 1000);
  CHECK(found.draws < 970);  // (1/2)^4 of them have no row of a
  CHECK(found.draws > 900);
}

TEST_CASE("a method that was asked about one image is as unknown as its rate alone") {
  const Table a{{6, 0, 0, 0}, {9, 0, 0, 0}}, b{{1, 1, 0, 0}, {1, 1, 1, 1}};
  const auto rates = metrics::paired_difference(a.sums(), b.sums(), 1, 1000);
  CHECK(rates.value == doctest::Approx(2.0 / 3 - 0.5));
  CHECK(rates.low == -1);
  CHECK(rates.high == 1);
  CHECK(rates.p == 1);
  CHECK(std::isinf(metrics::ratio_difference(b.sums(), a.sums(), 1, 1000).high));
  CHECK(std::isinf(metrics::ratio(a.sums(), 1, 1000).high));
}

TEST_CASE("wrong sums are named") {
  const Table a{{1, 2}, {2, 2}}, more{{3, 2}, {2, 2}}, shorter{{1}, {2}};
  using metrics::paired_difference;
  CHECK(thrown([&] { paired_difference(more.sums(), a.sums(), 1); }) ==
        "[metrics::paired_difference] a: cluster 0: expected 0 to 2 successes, got 3");
  CHECK(thrown([&] { paired_difference(a.sums(), shorter.sums(), 1); }) ==
        "[metrics::paired_difference] b: expected 2 clusters, got 1 successes and 1 totals");
  CHECK(thrown([&] { paired_difference(a.sums(), a.sums(), 1, 0); }) ==
        "[metrics::paired_difference] draws: expected 1 to 2^32 - 1, got 0");
  CHECK(thrown([&] { paired_difference(a.sums(), a.sums(), 1, 10, 1.0); }) ==
        "[metrics::paired_difference] confidence: expected a number in (0, 1), got 1");
  const Table negative{{1, 2}, {2, -2}}, endless{{1, std::numeric_limits<double>::infinity()}, {2, 2}};
  CHECK(thrown([&] { metrics::ratio(negative.sums(), 1); }) ==
        "[metrics::ratio] sums: cluster 1: expected a finite sum over a total of 0 or more, got 2 over -2");
  CHECK(thrown([&] { metrics::ratio_difference(a.sums(), endless.sums(), 1); }) ==
        "[metrics::ratio_difference] b: cluster 1: expected a finite sum over a total of 0 or more, got inf over 2");
  CHECK(thrown([&] { metrics::ratio(a.sums(), 1, -1); }) == "[metrics::ratio] draws: expected 1 to 2^32 - 1, got -1");
}
