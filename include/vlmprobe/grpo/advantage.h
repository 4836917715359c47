// Group-relative advantages on spans (no torch; advantage_tensor.h is the same over tensors).
//
//   A_i = (R_i - baseline_i) / (max(std, minimum_std) + epsilon),   over the scorable members of the group g of i
//
//   baseline  mean            mean of the group                              GRPO, arXiv 2402.03300
//             leave_one_out   mean of the group's others: n/(n-1) (R - mean) RLOO, arXiv 2402.14740
//   scale     group           sample standard deviation of the group
//             batch           sample standard deviation of all scorable rewards
//             none            divided by nothing                             Dr. GRPO, arXiv 2503.20783
//   singleton zero            a group of one scorable member gets 0
//             raw             it keeps its reward                            verl
//
//   rewards     [B]  NaN = unscored
//   group       [B]  any labels, in any order; groups may differ in size
//   values      [B]  out
//   degenerate  [B]  out: true for every member of a group that carries no signal
//
// Unscored members get 0. A group whose scorable rewards are all equal, or that has fewer than two (fewer than one with
// singleton raw), gets exactly 0 and is flagged. Sums are in double, in a fixed order, on one thread. Throws
// InvalidArgument on spans of unequal length, an infinite reward, or options out of range. Source: arXiv 2402.03300,
// section 4.1; sample standard deviation and epsilon as in TRL.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string_view>
#include <vector>

#include "vlmprobe/core/error.h"
#include "vlmprobe/grpo/groups.h"

namespace vlmprobe::grpo {

enum class Scale : std::int8_t { group, batch, none };
enum class Baseline : std::int8_t { mean, leave_one_out };
enum class Singleton : std::int8_t { zero, raw };

struct AdvantageOptions {
  double epsilon = 1e-4;  // added to the standard deviation; in (0, inf)
  Scale scale = Scale::group;
  Baseline baseline = Baseline::mean;
  double minimum_std = 0;  // in [0, inf)
  Singleton singleton = Singleton::zero;

  friend bool operator==(const AdvantageOptions&, const AdvantageOptions&) = default;
};

// What some scorable rewards say, counted from the first of them: sums of R - origin and of its square. Differences
// from a member are of the size of the spread, so that one pass loses no precision, and equal rewards give exactly 0.
struct GroupStatistics {
  std::int64_t count = 0;  // scorable members
  double origin = 0, sum = 0, squares = 0;

  double mean() const { return origin + offset(); }
  double deviation() const { return std::sqrt((squares - sum * offset()) * inverse(count - 1)); }
  bool degenerate(Singleton singleton) const {
    return count < 2 ? singleton == Singleton::zero || count == 0 : squares == 0;
  }

 private:
  // Known before the sums are: a product waits less for them than a quotient would.
  static double inverse(std::int64_t n) { return 1 / static_cast<double>(n); }
  double offset() const { return sum * inverse(count); }
};

// kAllScored: no reward is NaN. Four sums take turns, so that additions need not wait for each other.
template <bool kAllScored = false, std::floating_point T>
GroupStatistics statistics(std::span<const T> rewards) {
  const auto scored = [](T reward) { return kAllScored || !std::isnan(reward); };
  const auto first = std::ranges::find_if(rewards, scored);
  if (first == rewards.end()) return {};
  const double origin = *first;
  std::int64_t count = 0;
  double sums[4] = {0, 0, 0, 0}, squares[4] = {0, 0, 0, 0};
  const auto add = [&](std::size_t i, std::size_t turn) {
    if (!scored(rewards[i])) return;
    const double difference = rewards[i] - origin;
    count += 1;
    sums[turn] += difference;
    squares[turn] += difference * difference;
  };
  std::size_t i = 0;
  for (; i + 4 <= rewards.size(); i += 4)
    for (std::size_t turn = 0; turn < 4; ++turn) add(i + turn, turn);
  for (; i < rewards.size(); ++i) add(i, i % 4);
  return {count, origin, (sums[0] + sums[1]) + (sums[2] + sums[3]),
          (squares[0] + squares[1]) + (squares[2] + squares[3])};
}

namespace detail {

// A NaN marks an unscored row; an infinite reward is an error, which names its row.
template <std::floating_point T>
void expect_finite(std::string_view op, std::string_view name, std::span<const T> rewards) {
  for (std::size_t i = 0; i < rewards.size(); ++i)
    expect(!std::isinf(rewards[i]), op, "{}: row {} is infinite; NaN marks an unscored row", name, i);
}

}  // namespace detail

// Throws InvalidArgument in the name of `op` unless every option is in its range.
inline void check(const AdvantageOptions& options, std::string_view op) {
  expect(options.epsilon > 0 && std::isfinite(options.epsilon), op, "epsilon must be in (0, inf), got {}",
         options.epsilon);
  expect(options.minimum_std >= 0 && std::isfinite(options.minimum_std), op, "minimum_std must be in [0, inf), got {}",
         options.minimum_std);
}

// How a group's rewards become advantages: A = (R - centre) * factor.
struct Normalisation {
  double centre = 0, factor = 0;

  double operator()(double reward) const { return std::isnan(reward) ? 0 : (reward - centre) * factor; }
};

inline Normalisation normalisation(const GroupStatistics& group, double batch_deviation,
                                   const AdvantageOptions& options) {
  if (group.degenerate(options.singleton)) return {};
  if (group.count == 1) return {.centre = 0, .factor = 1};
  const double count = static_cast<double>(group.count);
  const double others = options.baseline == Baseline::leave_one_out ? count / (count - 1) : 1;
  if (options.scale == Scale::none) return {group.mean(), others};
  const double deviation = options.scale == Scale::group ? group.deviation() : batch_deviation;
  return {group.mean(), others / (std::max(deviation, options.minimum_std) + options.epsilon)};
}

// The standard deviation of all scorable rewards where the options ask for it, else 0.
template <std::floating_point T>
double batch_deviation(std::span<const T> rewards, const AdvantageOptions& options) {
  if (options.scale != Scale::batch) return 0;
  const GroupStatistics batch = statistics(rewards);
  return batch.count < 2 ? 0 : batch.deviation();
}

namespace detail {

// Groups whose rows lie together, the usual case: nothing is sorted, and groups without unscored rows have no branches.
// False where labels decrease or a reward is infinite: some values may be written then. First some groups' numbers,
// then their rows: so the divisions of one group overlap with those of the next.
template <std::floating_point T>
bool advantages_of_runs(std::span<const T> rewards, std::span<const std::int64_t> group, std::span<T> values,
                        std::span<bool> degenerate, double deviation, const AdvantageOptions& options) {
  struct Run {
    std::size_t end;
    Normalisation normalise;
  };
  std::array<Run, 64> runs;
  std::ranges::fill(degenerate, false);
  for (std::size_t begin = 0, end = 0; begin < rewards.size();) {
    std::size_t count = 0;
    for (std::size_t from = begin; count < runs.size() && from < rewards.size(); from = end) {
      while (end < rewards.size() && group[end] == group[from]) ++end;
      if (end < rewards.size() && group[end] < group[from]) return false;
      const std::span<const T> own = rewards.subspan(from, end - from);
      GroupStatistics statistics = grpo::statistics<true>(own);
      if (!std::isfinite(statistics.squares)) statistics = grpo::statistics(own);
      if (!std::isfinite(statistics.squares)) return false;
      if (statistics.degenerate(options.singleton)) std::ranges::fill(degenerate.subspan(from, end - from), true);
      runs[count++] = {end, normalisation(statistics, deviation, options)};
    }
    for (const Run& run : std::span(runs).first(count))
      for (; begin < run.end; ++begin) values[begin] = static_cast<T>(run.normalise(rewards[begin]));
  }
  return true;
}

template <std::floating_point T>
void advantages_in_any_order(std::span<const T> rewards, std::span<const std::int64_t> group, std::span<T> values,
                             std::span<bool> degenerate, double deviation, const AdvantageOptions& options) {
  const Groups groups(group);
  std::vector<T> members;
  for (std::size_t g = 0; g < groups.count(); ++g) {
    const GroupStatistics statistics = grpo::statistics(groups.gather(rewards, g, members));
    const Normalisation normalise = normalisation(statistics, deviation, options);
    groups.each(g, [&](std::size_t row) {
      values[row] = static_cast<T>(normalise(rewards[row]));
      degenerate[row] = statistics.degenerate(options.singleton);
    });
  }
}

}  // namespace detail

template <std::floating_point T>
void group_advantages(std::span<const T> rewards, std::span<const std::int64_t> group, std::span<T> values,
                      std::span<bool> degenerate, const AdvantageOptions& options = {}) {
  constexpr std::string_view kOp = "grpo::group_advantages";
  const std::size_t size = rewards.size();
  expect(group.size() == size, kOp, "group: expected {} labels, one per reward, got {}", size, group.size());
  expect(values.size() == size && degenerate.size() == size, kOp, "outputs: expected {} entries, got {} and {}", size,
         values.size(), degenerate.size());
  check(options, kOp);

  const double deviation = batch_deviation(rewards, options);
  if (detail::advantages_of_runs(rewards, group, values, degenerate, deviation, options)) return;
  detail::expect_finite(kOp, "rewards", rewards);
  detail::advantages_in_any_order(rewards, group, values, degenerate, deviation, options);
}

}  // namespace vlmprobe::grpo
