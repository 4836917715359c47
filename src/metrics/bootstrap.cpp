#include "vlmprobe/metrics/bootstrap.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string_view>
#include <vector>

#include "vlmprobe/core/error.h"
#include "vlmprobe/core/random.h"
#include "vlmprobe/metrics/rates.h"

namespace vlmprobe::metrics {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

struct Settings {
  std::string_view op;
  std::uint64_t seed;
  std::int64_t draws;
  double confidence;
};

void check(const Settings& settings) {
  const auto& [op, seed, draws, confidence] = settings;
  expect(draws >= 1 && draws < (std::int64_t{1} << 32), op, "draws: expected 1 to 2^32 - 1, got {}", draws);
  expect(confidence > 0 && confidence < 1, op, "confidence: expected a number in (0, 1), got {}", confidence);
}

void check(std::string_view op, const char* name, const ClusterSums& sums, std::size_t clusters) {
  expect(sums.successes.size() == clusters && sums.totals.size() == clusters, op,
         "{}: expected {} clusters, got {} successes and {} totals", name, clusters, sums.successes.size(),
         sums.totals.size());
  for (std::size_t c = 0; c < clusters; ++c)
    expect(std::isfinite(sums.successes[c]) && std::isfinite(sums.totals[c]) && sums.totals[c] >= 0, op,
           "{}: cluster {}: expected a finite sum over a total of 0 or more, got {} over {}", name, c,
           sums.successes[c], sums.totals[c]);
}

void check_rates(std::string_view op, const char* name, const ClusterSums& sums) {
  for (std::size_t c = 0; c < sums.totals.size(); ++c)
    expect(sums.successes[c] >= 0 && sums.successes[c] <= sums.totals[c], op,
           "{}: cluster {}: expected 0 to {} successes, got {}", name, c, sums.totals[c], sums.successes[c]);
}

// NaN over a total of 0.
struct Sum {
  double successes = 0, totals = 0;
  void add(const ClusterSums& sums, std::size_t c) { successes += sums.successes[c], totals += sums.totals[c]; }
  double ratio() const { return totals > 0 ? successes / totals : std::numeric_limits<double>::quiet_NaN(); }
};

struct One {
  const ClusterSums& sums;
  Sum sum{};
  void add(std::size_t c) { sum.add(sums, c); }
  double value() const { return sum.ratio(); }
};

struct Two {
  const ClusterSums &a, &b;
  Sum sum_a{}, sum_b{};
  void add(std::size_t c) { sum_a.add(a, c), sum_b.add(b, c); }
  double value() const { return sum_a.ratio() - sum_b.ratio(); }
};

template <class Statistic>
double whole(Statistic statistic, std::size_t clusters) {
  for (std::size_t c = 0; c < clusters; ++c) statistic.add(c);
  return statistic.value();
}

// The expanded draws in order; none where nothing is known.
template <class Statistic>
std::vector<double> expanded(const Statistic& empty, double value, std::size_t clusters, const Settings& settings) {
  std::vector<double> drawn;
  if (clusters < 2 || std::isnan(value)) return drawn;
  const double m = static_cast<double>(clusters), upper = (1 + settings.confidence) / 2;
  const double wider = std::sqrt(m / (m - 1)) * t_quantile(upper, m - 1) / normal_quantile(upper);
  drawn.reserve(static_cast<std::size_t>(settings.draws));
  for (std::int64_t draw = 0; draw < settings.draws; ++draw) {
    random::Sequence sequence(settings.seed, random::Stream::kBootstrap, static_cast<std::uint32_t>(draw));
    Statistic statistic = empty;
    for (std::size_t i = 0; i < clusters; ++i) statistic.add(static_cast<std::size_t>(sequence.uniform() * m));
    if (const double found = statistic.value(); !std::isnan(found)) drawn.push_back(value + wider * (found - value));
  }
  std::sort(drawn.begin(), drawn.end());
  return drawn;
}

// Linear between the order statistics.
double quantile(const std::vector<double>& sorted, double q) {
  const double at = q * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(at);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (at - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

double two_sided(const std::vector<double>& sorted) {
  const auto not_above = std::upper_bound(sorted.begin(), sorted.end(), 0.0) - sorted.begin();
  const auto not_below = sorted.end() - std::lower_bound(sorted.begin(), sorted.end(), 0.0);
  const auto tail = static_cast<double>(std::min(not_above, not_below));
  return std::min(1.0, 2 * (tail + 1) / (static_cast<double>(sorted.size()) + 1));
}

Difference difference(const ClusterSums& a, const ClusterSums& b, double bound, const Settings& settings) {
  const std::size_t clusters = a.totals.size();
  const double value = whole(Two{a, b}, clusters);
  const std::vector<double> drawn = expanded(Two{a, b}, value, clusters, settings);
  Difference result{
      value, -bound, bound, 1, static_cast<std::int64_t>(clusters), static_cast<std::int64_t>(drawn.size())};
  if (drawn.empty()) return result;
  result.low = std::clamp(quantile(drawn, (1 - settings.confidence) / 2), -bound, bound);
  result.high = std::clamp(quantile(drawn, (1 + settings.confidence) / 2), -bound, bound);
  result.p = two_sided(drawn);
  return result;
}

}  // namespace

Ratio ratio(const ClusterSums& sums, std::uint64_t seed, std::int64_t draws, double confidence) {
  const Settings settings{"metrics::ratio", seed, draws, confidence};
  const std::size_t clusters = sums.totals.size();
  check(settings), check(settings.op, "sums", sums, clusters);

  const double value = whole(One{sums}, clusters);
  const std::vector<double> drawn = expanded(One{sums}, value, clusters, settings);
  Ratio result{value, -kInfinity, kInfinity, static_cast<std::int64_t>(clusters),
               static_cast<std::int64_t>(drawn.size())};
  if (drawn.empty()) return result;
  result.low = quantile(drawn, (1 - confidence) / 2), result.high = quantile(drawn, (1 + confidence) / 2);
  return result;
}

Difference paired_difference(const ClusterSums& a, const ClusterSums& b, std::uint64_t seed, std::int64_t draws,
                             double confidence) {
  const Settings settings{"metrics::paired_difference", seed, draws, confidence};
  check(settings.op, "a", a, a.totals.size()), check(settings.op, "b", b, a.totals.size()), check(settings);
  check_rates(settings.op, "a", a), check_rates(settings.op, "b", b);
  return difference(a, b, 1, settings);
}

Difference ratio_difference(const ClusterSums& a, const ClusterSums& b, std::uint64_t seed, std::int64_t draws,
                            double confidence) {
  const Settings settings{"metrics::ratio_difference", seed, draws, confidence};
  check(settings.op, "a", a, a.totals.size()), check(settings.op, "b", b, a.totals.size()), check(settings);
  return difference(a, b, kInfinity, settings);
}

}  // namespace vlmprobe::metrics
