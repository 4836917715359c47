#include "vlmprobe/metrics/bootstrap.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "vlmprobe/core/error.h"
#include "vlmprobe/core/random.h"

namespace vlmprobe::metrics {
namespace {

constexpr auto kOp = "metrics::paired_difference";

void check(const char* name, const ClusterSums& sums, std::size_t clusters) {
  expect(sums.successes.size() == clusters && sums.totals.size() == clusters, kOp,
         "{}: expected {} clusters, got {} successes and {} totals", name, clusters, sums.successes.size(),
         sums.totals.size());
  for (std::size_t c = 0; c < clusters; ++c)
    expect(sums.successes[c] >= 0 && sums.successes[c] <= sums.totals[c] && std::isfinite(sums.totals[c]), kOp,
           "{}: cluster {}: expected 0 to {} successes, got {}", name, c, sums.totals[c], sums.successes[c]);
}

struct Sums {
  double successes_a = 0, totals_a = 0, successes_b = 0, totals_b = 0;
  void add(const ClusterSums& a, const ClusterSums& b, std::size_t c) {
    successes_a += a.successes[c], totals_a += a.totals[c];
    successes_b += b.successes[c], totals_b += b.totals[c];
  }
  bool whole() const { return totals_a > 0 && totals_b > 0; }
  double difference() const {
    return whole() ? successes_a / totals_a - successes_b / totals_b : std::numeric_limits<double>::quiet_NaN();
  }
};

std::vector<double> resampled(const ClusterSums& a, const ClusterSums& b, std::uint64_t seed, std::int64_t draws) {
  const auto clusters = static_cast<double>(a.totals.size());
  std::vector<double> differences;
  differences.reserve(static_cast<std::size_t>(draws));
  for (std::int64_t draw = 0; draw < draws; ++draw) {
    random::Sequence sequence(seed, random::Stream::kBootstrap, static_cast<std::uint32_t>(draw));
    Sums sums;
    for (std::size_t i = 0; i < a.totals.size(); ++i)
      sums.add(a, b, static_cast<std::size_t>(sequence.uniform() * clusters));
    if (sums.whole()) differences.push_back(sums.difference());
  }
  return differences;
}

// Linear between the order statistics.
double quantile(const std::vector<double>& sorted, double q) {
  const double at = q * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(at);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (at - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

}  // namespace

Difference paired_difference(const ClusterSums& a, const ClusterSums& b, std::uint64_t seed, std::int64_t draws,
                             double confidence) {
  const std::size_t clusters = a.totals.size();
  check("a", a, clusters), check("b", b, clusters);
  expect(draws >= 1 && draws < (std::int64_t{1} << 32), kOp, "draws: expected 1 to 2^32 - 1, got {}", draws);
  expect(confidence > 0 && confidence < 1, kOp, "confidence: expected a number in (0, 1), got {}", confidence);

  Sums all;
  for (std::size_t c = 0; c < clusters; ++c) all.add(a, b, c);
  Difference result{all.difference(), -1, 1, 1, static_cast<std::int64_t>(clusters), 0};
  if (clusters < 2 || !all.whole()) return result;

  std::vector<double> differences = resampled(a, b, seed, draws);
  result.draws = static_cast<std::int64_t>(differences.size());
  if (differences.empty()) return result;
  std::sort(differences.begin(), differences.end());
  const double m = static_cast<double>(clusters), wider = std::sqrt(m / (m - 1));
  const auto bound = [&](double q) {
    return std::clamp(result.value + wider * (quantile(differences, q) - result.value), -1.0, 1.0);
  };
  result.low = bound((1 - confidence) / 2), result.high = bound((1 + confidence) / 2);
  const auto not_above = std::upper_bound(differences.begin(), differences.end(), 0.0) - differences.begin();
  const auto not_below = differences.end() - std::lower_bound(differences.begin(), differences.end(), 0.0);
  const double tail = static_cast<double>(std::min(not_above, not_below));
  result.p = std::min(1.0, (2 * tail + 1) / (static_cast<double>(differences.size()) + 1));
  return result;
}

}  // namespace vlmprobe::metrics
