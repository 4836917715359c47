#include <cmath>
#include <numeric>
#include <vector>

#include "support.h"
#include "vlmprobe/core/random.h"
#include "vlmprobe/metrics/bootstrap.h"

namespace {

using namespace vlmprobe;

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
  const auto found = metrics::paired_difference(a.sums(), b.sums(), 7, 1);
  CHECK(found.low == doctest::Approx(value + std::sqrt(4.0 / 3) * (draw - value)).epsilon(1e-12));
  CHECK(found.high == found.low);
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
}

TEST_CASE("draws without a row of a method are left out") {
  const Table a{{1, 0, 0, 0}, {1, 0, 0, 0}}, b{{1, 1, 0, 0}, {1, 1, 1, 1}};
  const auto found = metrics::paired_difference(a.sums(), b.sums(), 1, 1000);
  CHECK(found.draws < 800);  // (3/4)^4 of them have no row of a
  CHECK(found.draws > 560);
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
}
