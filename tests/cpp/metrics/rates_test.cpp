#include "vlmprobe/metrics/rates_tensor.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "support.h"
#include "vlmprobe/core/random.h"
#include "vlmprobe/metrics/quantiles.h"

using namespace vlmprobe;
using namespace vlmprobe::metrics;

namespace {

constexpr double kTolerance64 = 1e-9;
using Successes = std::vector<std::int8_t>;
using Labels = std::vector<std::int64_t>;

Rate run(const Successes& successes, const Labels& cluster, double confidence = 0.95) {
  return rate(std::span<const std::int8_t>(successes), std::span<const std::int64_t>(cluster), confidence);
}

// Wilson's score interval as the roots of (p - x)^2 = t^2 x (1 - x) / n, by bisection: no closed form in common.
double wilson_end(double p, double n, double t, double outside) {
  double inside = p;
  for (int step = 0; step < 200; ++step) {
    const double x = 0.5 * (inside + outside);
    ((p - x) * (p - x) <= t * t * x * (1 - x) / n ? inside : outside) = x;
  }
  return inside;
}

// `clusters` groups of `size` rows; a row copies its cluster's own coin with probability `copy`, else tosses p = 0.3.
void clustered(std::uint32_t seed, int clusters, int size, double copy, Successes& successes, Labels& cluster) {
  random::Sequence draws(11, random::Stream::kBootstrap, seed);
  successes.clear(), cluster.clear();
  for (int c = 0; c < clusters; ++c) {
    const bool shared = draws.chance(0.3);
    for (int i = 0; i < size; ++i) {
      successes.push_back(draws.chance(copy) ? shared : draws.chance(0.3));
      cluster.push_back(c);
    }
  }
}

}  // namespace

TEST_CASE("a clustered rate by hand") {
  // Clusters {1,1}, {0,0}, {1,0}, {1,0}: p = 4/8. Residuals 1, -1, 0, 0: V_clustered = 4/3 * 2/64 = 1/24;
  // V_simple = 0.25/7; the effect is 7/6 and n_effective 48/7. t with 3 degrees of freedom is 3.182446.
  const Rate result = run({1, 1, 0, 0, 1, 0, 1, 0}, {5, 5, 6, 6, 7, 7, 8, 8});
  CHECK(result.value == 0.5);
  CHECK(result.n == 8);
  CHECK(result.clusters == 4);
  CHECK(result.design_effect == doctest::Approx(7.0 / 6).epsilon(kTolerance64));
  CHECK(result.n_effective == doctest::Approx(48.0 / 7).epsilon(kTolerance64));
  CHECK(result.df == 3);  // 2 * 3/4 * 2^2 / (2 - 2^2/4) = 6, held to m - 1
  CHECK(result.low == doctest::Approx(wilson_end(0.5, 48.0 / 7, 3.182446305284263, 0)).epsilon(kTolerance64));
  CHECK(result.high == doctest::Approx(wilson_end(0.5, 48.0 / 7, 3.182446305284263, 1)).epsilon(kTolerance64));
}

TEST_CASE("rates agree with scalar loops on ragged clusters, and the order of rows does not matter") {
  random::Sequence draws(3, random::Stream::kQuestion, 5);
  Successes successes;
  Labels cluster;
  for (int i = 0; i < 301; ++i) {
    cluster.push_back(draws.below(40) - 20);
    successes.push_back(static_cast<std::int8_t>(draws.chance(cluster.back() < 0 ? 0.7 : 0.2) ? 1 : 0));
  }
  double total = 0, squares = 0;
  for (const int success : successes) total += success;
  const double n = 301, p = total / n, m = 40;
  for (std::int64_t label = -20; label < 20; ++label) {
    double residual = 0;
    for (std::size_t i = 0; i < 301; ++i)
      if (cluster[i] == label) residual += successes[i] - p;
    squares += residual * residual;
  }
  const double effect = m / (m - 1) * squares / (n * n) / (p * (1 - p) / (n - 1));
  const Rate result = run(successes, cluster);
  CHECK(effect > 1);
  CHECK(result.clusters == 40);
  CHECK(result.design_effect == doctest::Approx(effect).epsilon(kTolerance64));
  double sum_squares = 0, sum_fourths = 0;  // every cluster has more than one row here
  for (std::int64_t label = -20; label < 20; ++label) {
    double residual = 0;
    for (std::size_t i = 0; i < 301; ++i)
      if (cluster[i] == label) residual += successes[i] - p;
    sum_squares += std::pow(residual, 2), sum_fourths += std::pow(residual, 4);
  }
  const double df = 2 * (m - 1) / m * sum_squares * sum_squares / (sum_fourths - sum_squares * sum_squares / m);
  CHECK(result.df == doctest::Approx(std::min(df, m - 1)).epsilon(kTolerance64));
  const double t = t_quantile(0.975, result.df);
  CHECK(result.low == doctest::Approx(wilson_end(p, n / effect, t, 0)).epsilon(kTolerance64));
  CHECK(result.high == doctest::Approx(wilson_end(p, n / effect, t, 1)).epsilon(kTolerance64));

  std::ranges::reverse(successes), std::ranges::reverse(cluster);
  CHECK(run(successes, cluster).low == result.low);
}

TEST_CASE("few clusters that hold most of what varies leave few degrees of freedom, and single rows none less") {
  // 20 clusters of two rows, one success in 36, two in the others' stead: residuals by hand.
  Successes successes(40, 0);
  Labels cluster(40);
  for (std::size_t i = 0; i < 40; ++i) cluster[i] = static_cast<std::int64_t>(i / 2);
  successes[0] = successes[1] = successes[2] = 1;
  // p = 3/40: residuals 1.85, 0.85 and 18 of -0.15. Squares 3.4225 + 0.7225 + 0.405 = 4.55; fourths 11.71350625 +
  // 0.52200625 + 0.0091125 = 12.244625; df = 2 * 19/20 * 4.55^2 / (12.244625 - 4.55^2/20) = 3.5107, held to 4.
  CHECK(run(successes, cluster).df == 4);
  // A fourth success in a third cluster and a fifth in a fourth: p = 1/8, residuals 1.75, three of 0.75, 16 of -0.25.
  // Squares 3.0625 + 1.6875 + 1 = 5.75; fourths 9.37890625 + 0.94921875 + 0.0625 = 10.390625;
  // df = 1.9 * 33.0625 / (10.390625 - 1.653125) = 7.18956.
  successes[4] = successes[6] = 1;
  CHECK(run(successes, cluster).df == doctest::Approx(1.9 * 33.0625 / 8.7375).epsilon(kTolerance64));
  for (std::size_t i = 0; i < 40; ++i) cluster[i] = static_cast<std::int64_t>(i);
  CHECK(run(successes, cluster).df == 39);
}

TEST_CASE("one row per cluster has design effect 1, and copies of a row add nothing") {
  const Successes once = {1, 0, 0, 1, 0, 0, 1};
  const Rate single = run(once, {0, 1, 2, 3, 4, 5, 6});
  CHECK(single.design_effect == 1);
  CHECK(single.n_effective == 7);

  Successes thrice;
  Labels cluster;
  for (std::size_t i = 0; i < once.size(); ++i)
    for (int copy = 0; copy < 3; ++copy) thrice.push_back(once[i]), cluster.push_back(static_cast<std::int64_t>(i));
  // V_clustered = 7/6 * 9 * 7 p(1 - p)/21^2 = p(1 - p)/6, that of the 7 rows; over p(1 - p)/20 it is 10/3, and
  // 21/(10/3) = 6.3.
  CHECK(run(thrice, cluster).n_effective == doctest::Approx(6.3).epsilon(kTolerance64));
}

TEST_CASE("clusters that agree less than chance are taken for chance") {
  const Rate result = run({1, 0, 1, 0, 1, 0}, {0, 0, 1, 1, 2, 2});
  CHECK(result.design_effect == 1);
  CHECK(result.n_effective == 6);
}

TEST_CASE("edges: no row, one row, one cluster, no success, no failure") {
  const Rate none = run({}, {}), unscored = run({-1, -1}, {0, 1});
  for (const Rate& result : {none, unscored}) {
    CHECK(std::isnan(result.value));
    CHECK(std::isnan(result.design_effect));
    CHECK(result.low == 0);
    CHECK(result.high == 1);
    CHECK(result.n_effective == 0);
    CHECK(result.df == 0);
    CHECK(result.clusters == 0);
  }
  CHECK(unscored.n_unscored == 2);

  const Rate one = run({1, 0, 1}, {4, 4, 4});
  CHECK(one.value == doctest::Approx(2.0 / 3));
  CHECK(one.low == 0);
  CHECK(one.high == 1);
  CHECK(one.n_effective == 1);
  CHECK(one.design_effect == 3);

  const Rate zero = run({0, 0, 0, 0}, {0, 0, 1, 2}), all = run({1, 1, 1, 1}, {0, 0, 1, 2});
  const double t2 = std::pow(t_quantile(0.975, 2), 2);
  CHECK(zero.low == 0);
  CHECK(zero.high == doctest::Approx(t2 / (4 + t2)).epsilon(kTolerance64));  // Wilson at p = 0
  CHECK(all.low == doctest::Approx(4 / (4 + t2)).epsilon(kTolerance64));
  CHECK(all.high == 1);
  CHECK(zero.design_effect == 1);
}

TEST_CASE("unscored rows change nothing but their count") {
  const Rate with = run({1, -1, 0, 1, -1, 0}, {0, 0, 1, 2, 9, 3}), without = run({1, 0, 1, 0}, {0, 1, 2, 3});
  CHECK(with.low == without.low);
  CHECK(with.high == without.high);
  CHECK(with.n == 4);
  CHECK(with.n_unscored == 2);
  CHECK(with.clusters == 4);
}

TEST_CASE("the interval covers at its level when rows are clustered; ignoring the clusters does not") {
  // 1000 data sets of 60 images x 4 questions, within-image correlation 0.64, p = 0.3. The coverage's own deviation is
  // sqrt(.95 * .05 / 1000) = 0.007.
  int covered = 0, covered_naive = 0;
  Successes successes;
  Labels cluster, each(240);
  for (std::size_t i = 0; i < each.size(); ++i) each[i] = static_cast<std::int64_t>(i);
  for (std::uint32_t repeat = 0; repeat < 1000; ++repeat) {
    clustered(repeat, 60, 4, 0.8, successes, cluster);
    const Rate aware = run(successes, cluster), naive = run(successes, each);
    covered += aware.low <= 0.3 && 0.3 <= aware.high;
    covered_naive += naive.low <= 0.3 && 0.3 <= naive.high;
  }
  CHECK(covered >= 930);
  CHECK(covered <= 975);
  CHECK(covered_naive < 850);
}

TEST_CASE("tensors give what spans give") {
  const Successes successes = {1, 0, -1, 1, 0};
  const Labels cluster = {3, 3, 1, 1, 8};
  const Rate expected = run(successes, cluster);
  const at::Tensor as_int8 = at::tensor({1, 0, -1, 1, 0}, at::kChar), labels = at::tensor(cluster);
  CHECK(rate(as_int8, labels).low == expected.low);
  CHECK(rate(as_int8, labels).n_unscored == 1);
  CHECK(rate(as_int8, labels, 0.5).low > expected.low);
  const at::Tensor scored = at::tensor({1, 0, 1, 0}, at::kLong).to(at::kBool), images = at::arange(4, at::kLong);
  CHECK(rate(scored, images).value == 0.5);
}

TEST_CASE("errors of rate name the argument, what was expected and what came") {
  const at::Tensor successes = at::zeros({2}, at::kBool), cluster = at::zeros({2}, at::kLong);
  CHECK(thrown([&] { rate(successes, at::zeros({3}, at::kLong)); }) ==
        "[metrics::rate] cluster: expected shape [N], got [3] (N=2 was set by successes)");
  CHECK(thrown([&] { rate(successes.to(at::kFloat), cluster); }) ==
        "[metrics::rate] successes: expected bool or int8, got Float");
  CHECK(thrown([&] { rate(successes, cluster.to(at::kInt)); }) == "[metrics::rate] cluster: expected int64, got Int");
  CHECK(thrown([] { run({1, 2}, {0, 1}); }) ==
        "[metrics::rate] successes: expected 1, 0 or -1 (unscored), got 2 in row 1");
  CHECK(thrown([] { run({1, 0}, {0}); }) == "[metrics::rate] cluster: expected 2 labels, one per success, got 1");
  CHECK(thrown([] { run({1}, {0}, 1.0); }) == "[metrics::rate] confidence must be in (0, 1), got 1");
}
