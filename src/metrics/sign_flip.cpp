#include "sign_flip.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "vlmprobe/core/random.h"

namespace vlmprobe::metrics {
namespace {

constexpr std::size_t kMostTried = 12;  // images whose signs are all tried: 4096 sums
constexpr double kTie = 1e-9;           // of the largest part

// Of all signs; the first part keeps its own, since a sum and its negative are as large.
double share_of_all(std::span<const double> parts, double least) {
  std::vector<double> sums = {parts[0]};
  for (const double part : parts.subspan(1)) {
    const std::size_t count = sums.size();
    for (std::size_t i = 0; i < count; ++i) sums.push_back(sums[i] - part), sums[i] += part;
  }
  const auto large = std::ranges::count_if(sums, [&](double sum) { return std::abs(sum) >= least; });
  return static_cast<double>(large) / static_cast<double>(sums.size());
}

double share_of_draws(std::span<const double> parts, double least, const Flips& flips) {
  std::int64_t large = 1;
  for (std::int64_t draw = 0; draw < flips.draws; ++draw) {
    random::Sequence sequence(flips.seed, random::Stream::kBootstrap, static_cast<std::uint32_t>(draw), 1);
    double sum = 0;
    for (const double part : parts) sum += sequence.uniform() < 0.5 ? part : -part;
    large += std::abs(sum) >= least;
  }
  return static_cast<double>(large) / static_cast<double>(flips.draws + 1);
}

}  // namespace

double sign_flip_p(const ClusterSums& a, const ClusterSums& b, std::span<const double> influences, double difference,
                   const Flips& flips) {
  const double rows_a = std::reduce(a.totals.begin(), a.totals.end());
  const double rows_b = std::reduce(b.totals.begin(), b.totals.end());
  std::vector<double> parts;
  double paired = 0, only_a = 0, only_b = 0, largest = 0;
  for (std::size_t c = 0; c < influences.size(); ++c) {
    const double weight = (a.totals[c] / rows_a + b.totals[c] / rows_b) / 2;
    const double part = influences[c] + weight * difference;
    largest = std::max(largest, std::abs(part));
    if (std::abs(part) < 1e-15) continue;
    parts.push_back(part);
    (a.totals[c] == 0 ? only_b : b.totals[c] == 0 ? only_a : paired) += 1;
  }
  if (parts.empty()) return 1;
  const double least = std::abs(difference) - kTie * largest;
  const double found = parts.size() <= kMostTried ? share_of_all(parts, least) : share_of_draws(parts, least, flips);
  const double ways =
      paired * std::log(2.0) + std::lgamma(only_a + only_b + 1) - std::lgamma(only_a + 1) - std::lgamma(only_b + 1);
  return std::min(1.0, std::max(found, 2 * std::exp(-ways)));
}

}  // namespace vlmprobe::metrics
