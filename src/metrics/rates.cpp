#include "vlmprobe/metrics/rates.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "vlmprobe/core/error.h"
#include "vlmprobe/metrics/quantiles.h"

namespace vlmprobe::metrics {
namespace {

constexpr std::string_view kOp = "metrics::rate";
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kLeastDf = 4;

struct Count {
  std::int64_t n = 0, successes = 0;
};

struct Spread {
  double design_effect, df;
};

// Needs two clusters or more.
Spread spread(const std::map<std::int64_t, Count>& clusters, const Count& all) {
  const auto n = static_cast<double>(all.n), m = static_cast<double>(clusters.size());
  const double p = static_cast<double>(all.successes) / n;
  if (all.successes == 0 || all.successes == all.n) return {1, m - 1};
  if (clusters.size() == static_cast<std::size_t>(all.n)) return {1, m - 1};  // one each: equal but for rounding

  double squares = 0, several = 0, several_squares = 0, several_fourths = 0;
  for (const auto& [label, count] : clusters) {
    const double residual = static_cast<double>(count.successes) - p * static_cast<double>(count.n);
    const double square = residual * residual;
    squares += square;
    if (count.n > 1) several += 1, several_squares += square, several_fourths += square * square;
  }
  const double clustered = m / (m - 1) * squares / (n * n), simple = p * (1 - p) / (n - 1);
  const double noise = several_fourths - several_squares * several_squares / several;
  const double df = noise > 0 ? 2 * (m - 1) / m * squares * squares / noise : m - 1;
  return {std::max(1.0, clustered / simple), std::clamp(df, std::min(kLeastDf, m - 1), m - 1)};
}

struct Interval {
  double low, high;
};

Interval wilson(double p, double n, double quantile) {
  const double square = quantile * quantile / n, centre = (p + square / 2) / (1 + square);
  const double half = std::sqrt(square * p * (1 - p) + square * square / 4) / (1 + square);
  return {p == 0 ? 0 : std::max(0.0, centre - half), p == 1 ? 1 : std::min(1.0, centre + half)};
}

}  // namespace

Rate rate(std::span<const std::int8_t> successes, std::span<const std::int64_t> cluster, double confidence) {
  expect(successes.size() == cluster.size(), kOp, "cluster: expected {} labels, one per success, got {}",
         successes.size(), cluster.size());
  expect(confidence > 0 && confidence < 1, kOp, "confidence must be in (0, 1), got {}", confidence);

  std::map<std::int64_t, Count> clusters;
  Count all;
  std::int64_t unscored = 0;
  for (std::size_t i = 0; i < successes.size(); ++i) {
    const int success = successes[i];
    expect(success >= -1 && success <= 1, kOp, "successes: expected 1, 0 or -1 (unscored), got {} in row {}", success,
           i);
    if (success == -1) {
      ++unscored;
      continue;
    }
    Count& count = clusters[cluster[i]];
    count.n += 1, count.successes += success;
    all.n += 1, all.successes += success;
  }

  const auto n = static_cast<double>(all.n);
  Rate result{.value = all.n == 0 ? kNan : static_cast<double>(all.successes) / n,
              .low = 0,
              .high = 1,
              .n = all.n,
              .n_unscored = unscored,
              .n_effective = all.n == 0 ? 0.0 : 1.0,
              .design_effect = all.n == 0 ? kNan : n,
              .df = 0,
              .clusters = static_cast<std::int64_t>(clusters.size())};
  if (clusters.size() < 2) return result;
  const Spread found = spread(clusters, all);
  result.design_effect = found.design_effect, result.df = found.df;
  result.n_effective = n / result.design_effect;
  const Interval interval = wilson(result.value, result.n_effective, t_quantile((1 + confidence) / 2, result.df));
  result.low = interval.low, result.high = interval.high;
  return result;
}

}  // namespace vlmprobe::metrics
