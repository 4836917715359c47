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
// singleton raw), gets exactly 0 and is flagged. Sums are two-pass, in double, in index order, on one thread. Throws
// InvalidArgument on spans of unequal length, an infinite reward, or options out of range. Source: arXiv 2402.03300,
// section 4.1; sample standard deviation and epsilon as in TRL.
#pragma once

#include <algorithm>
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

// What some scorable rewards say.
struct GroupStatistics {
  std::int64_t count = 0;  // scorable members
  double sum = 0, squares = 0;
  double low = std::numeric_limits<double>::infinity(), high = -low;

  double mean() const { return sum / static_cast<double>(count); }
  double deviation() const { return std::sqrt(squares / static_cast<double>(count - 1)); }
  bool degenerate(Singleton singleton) const {
    return count < 2 ? singleton == Singleton::zero || count == 0 : low == high;
  }
};

namespace detail {

// Two passes over the rewards that `each` visits: each(visit) calls visit(row).
template <std::floating_point T, class Each>
GroupStatistics statistics(std::span<const T> rewards, Each&& each) {
  GroupStatistics result;
  each([&](std::size_t row) {
    const double reward = rewards[row];
    if (std::isnan(reward)) return;
    result.count += 1;
    result.sum += reward;
    result.low = std::min(result.low, reward);
    result.high = std::max(result.high, reward);
  });
  if (result.count == 0) return result;
  const double mean = result.mean();
  each([&](std::size_t row) {
    const double centred = rewards[row] - mean;
    if (!std::isnan(centred)) result.squares += centred * centred;
  });
  return result;
}

template <std::floating_point T>
GroupStatistics statistics(std::span<const T> rewards) {
  return statistics(rewards, [&](auto&& visit) {
    for (std::size_t row = 0; row < rewards.size(); ++row) visit(row);
  });
}

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
  const GroupStatistics batch = detail::statistics(rewards);
  return batch.count < 2 ? 0 : batch.deviation();
}

template <std::floating_point T>
void group_advantages(std::span<const T> rewards, std::span<const std::int64_t> group, std::span<T> values,
                      std::span<bool> degenerate, const AdvantageOptions& options = {}) {
  constexpr std::string_view kOp = "grpo::group_advantages";
  const std::size_t size = rewards.size();
  expect(group.size() == size, kOp, "group: expected {} labels, one per reward, got {}", size, group.size());
  expect(values.size() == size && degenerate.size() == size, kOp, "outputs: expected {} entries, got {} and {}", size,
         values.size(), degenerate.size());
  check(options, kOp);
  detail::expect_finite(kOp, "rewards", rewards);

  const double deviation = batch_deviation(rewards, options);
  const Groups groups(group);
  for (std::size_t g = 0; g < groups.count(); ++g) {
    const auto each = [&](auto&& visit) { groups.each(g, visit); };
    const GroupStatistics statistics = detail::statistics(rewards, each);
    const Normalisation normalise = normalisation(statistics, deviation, options);
    const bool none = statistics.degenerate(options.singleton);
    each([&](std::size_t row) {
      values[row] = static_cast<T>(normalise(rewards[row]));
      degenerate[row] = none;
    });
  }
}

}  // namespace vlmprobe::grpo
