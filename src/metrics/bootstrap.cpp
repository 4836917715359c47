#include "vlmprobe/metrics/bootstrap.h"

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <limits>
#include <string_view>
#include <utility>
#include <vector>

#include "sign_flip.h"

#include "vlmprobe/core/error.h"
#include "vlmprobe/core/random.h"
#include "vlmprobe/metrics/quantiles.h"

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

// Clusters with a row.
std::size_t seen(const ClusterSums& sums) {
  return static_cast<std::size_t>(std::ranges::count_if(sums.totals, [](double total) { return total > 0; }));
}

// The expanded draws in order, as wide as `images` of the clusters know; none where nothing is known.
template <class Statistic>
std::vector<double> expanded(const Statistic& empty, double value, std::size_t clusters, std::size_t images,
                             const Settings& settings) {
  std::vector<double> drawn;
  if (images < 2) return drawn;
  const double m = static_cast<double>(clusters), known = static_cast<double>(images);
  const double upper = (1 + settings.confidence) / 2;
  const double wider = std::sqrt(known / (known - 1)) * t_quantile(upper, known - 1) / normal_quantile(upper);
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

// t^2/(n + t^2): Wilson's upper bound of a rate that was 0 in n rows of so many images.
double unseen(double n, std::size_t images, double confidence) {
  const double t = t_quantile((1 + confidence) / 2, static_cast<double>(images) - 1);
  return t * t / (n + t * t);
}

// How much a ratio may be off where its images do not differ at all: by one in as many images as could have been unlike
// the others unseen, as long as it is of whole numbers; else nobody knows.
double reach_of_equals(std::initializer_list<ClusterSums> sums, std::size_t images, double confidence) {
  for (const ClusterSums& each : sums)
    for (const double sum : each.successes)
      if (sum != std::round(sum)) return kInfinity;
  return unseen(static_cast<double>(images), images, confidence);
}

// Whether no choice of images gives another value: their influences (s_c - r n_c) / n, or the differences of those of
// two methods, are all 0.
bool all_equal(std::initializer_list<ClusterSums> sums) {
  std::vector<double> influences(sums.begin()->totals.size());
  double sign = 1, most = 0, largest = 0;
  for (const ClusterSums& each : sums) {
    Sum all;
    for (std::size_t c = 0; c < influences.size(); ++c) all.add(each, c);
    for (std::size_t c = 0; c < influences.size(); ++c) {
      influences[c] += sign * (each.successes[c] - all.ratio() * each.totals[c]) / all.totals;
      largest = std::max(largest, std::abs(each.successes[c]) / all.totals);
    }
    sign = -1;
  }
  for (const double each : influences) most = std::max(most, std::abs(each));
  return most <= 1e-12 * largest;
}

// How far two rates' difference may be off at least, below and above: as if each rate were at its bound, or, where it
// is not, as little as that (Newcombe's square and add). No spread that was seen among few rows makes it less.
std::pair<double, double> least_reach(const ClusterSums& a, const ClusterSums& b, double confidence) {
  Sum sum_a, sum_b;
  for (std::size_t c = 0; c < a.totals.size(); ++c) sum_a.add(a, c), sum_b.add(b, c);
  const double gap_a = unseen(sum_a.totals, seen(a), confidence), gap_b = unseen(sum_b.totals, seen(b), confidence);
  const auto down = [](const Sum& sum, double gap) { return sum.ratio() > 0 ? gap : 0.0; };
  const auto up = [](const Sum& sum, double gap) { return sum.ratio() < 1 ? gap : 0.0; };
  return {std::hypot(down(sum_a, gap_a), up(sum_b, gap_b)), std::hypot(up(sum_a, gap_a), down(sum_b, gap_b))};
}

Difference difference(const ClusterSums& a, const ClusterSums& b, bool rates, const Settings& settings) {
  const std::size_t clusters = a.totals.size(), images = std::min(seen(a), seen(b));
  const double bound = rates ? 1 : kInfinity, value = whole(Two{a, b}, clusters);
  const std::vector<double> drawn = expanded(Two{a, b}, value, clusters, images, settings);
  Difference result{
      value, -bound, bound, 1, static_cast<std::int64_t>(clusters), static_cast<std::int64_t>(drawn.size())};
  if (drawn.empty()) return result;

  const double equals = all_equal({a, b}) ? reach_of_equals({a, b}, images, settings.confidence) : 0;
  const auto [below, above] = rates ? least_reach(a, b, settings.confidence) : std::pair(equals, equals);
  result.low = std::clamp(std::min(quantile(drawn, (1 - settings.confidence) / 2), value - below), -bound, bound);
  result.high = std::clamp(std::max(quantile(drawn, (1 + settings.confidence) / 2), value + above), -bound, bound);
  result.p = std::max(two_sided(drawn), sign_flip_p(a, b, {settings.seed, settings.draws}));

  const double level = 1 - settings.confidence;  // p and the interval say the same of 0
  if (result.p >= level) result.low = std::min(result.low, 0.0), result.high = std::max(result.high, 0.0);
  if (result.low <= 0 && result.high >= 0) result.p = std::max(result.p, level);
  return result;
}

}  // namespace

Ratio ratio(const ClusterSums& sums, std::uint64_t seed, std::int64_t draws, double confidence) {
  const Settings settings{"metrics::ratio", seed, draws, confidence};
  const std::size_t clusters = sums.totals.size();
  check(settings), check(settings.op, "sums", sums, clusters);

  const double value = whole(One{sums}, clusters);
  const std::size_t images = seen(sums);
  const std::vector<double> drawn = expanded(One{sums}, value, clusters, images, settings);
  Ratio result{value, -kInfinity, kInfinity, static_cast<std::int64_t>(clusters),
               static_cast<std::int64_t>(drawn.size())};
  if (drawn.empty()) return result;
  const double equals = all_equal({sums}) ? reach_of_equals({sums}, images, confidence) : 0;
  result.low = std::min(quantile(drawn, (1 - confidence) / 2), value - equals);
  result.high = std::max(quantile(drawn, (1 + confidence) / 2), value + equals);
  return result;
}

Difference paired_difference(const ClusterSums& a, const ClusterSums& b, std::uint64_t seed, std::int64_t draws,
                             double confidence) {
  const Settings settings{"metrics::paired_difference", seed, draws, confidence};
  check(settings.op, "a", a, a.totals.size()), check(settings.op, "b", b, a.totals.size()), check(settings);
  check_rates(settings.op, "a", a), check_rates(settings.op, "b", b);
  return difference(a, b, /*rates=*/true, settings);
}

Difference ratio_difference(const ClusterSums& a, const ClusterSums& b, std::uint64_t seed, std::int64_t draws,
                            double confidence) {
  const Settings settings{"metrics::ratio_difference", seed, draws, confidence};
  check(settings.op, "a", a, a.totals.size()), check(settings.op, "b", b, a.totals.size()), check(settings);
  return difference(a, b, /*rates=*/false, settings);
}

double exact_p_higher(const ClusterSums& a, const ClusterSums& b) {
  constexpr std::string_view kOp = "metrics::exact_p_higher";
  check(kOp, "a", a, a.totals.size()), check(kOp, "b", b, a.totals.size());
  check_rates(kOp, "a", a), check_rates(kOp, "b", b);
  return std::min(seen(a), seen(b)) < 2 ? 1 : sign_flip_p_higher(a, b);
}

}  // namespace vlmprobe::metrics
