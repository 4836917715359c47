// Group-relative advantages on spans (no torch; advantage_tensor.h is the same over tensors).
//
//   A_i = (R_i - mean_g) / (std_g + epsilon),   over the scorable members of the group g of i
//
//   rewards     [B]  NaN = unscored
//   group       [B]  any labels, in any order; groups may differ in size
//   values      [B]  out
//   degenerate  [B]  out: true for every member of a group that carries no signal
//
// std is the sample standard deviation. Unscored members get 0. A group whose scorable rewards are all equal, or that
// has fewer than two, gets exactly 0 and is flagged. Sums are two-pass, in double, in index order. Throws
// InvalidArgument on spans of unequal length, an infinite reward, or epsilon outside (0, inf). Source: arXiv
// 2402.03300, section 4.1; sample standard deviation and epsilon as in TRL.
#pragma once

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "vlmprobe/core/error.h"

namespace vlmprobe::grpo {

struct AdvantageOptions {
  double epsilon = 1e-4;  // added to the standard deviation; in (0, inf)
  bool scale = true;      // false: divide by nothing, A = R - mean (Dr. GRPO)
};

// What one group's scorable rewards say.
struct GroupStatistics {
  std::int64_t count = 0;  // scorable members
  double sum = 0, squares = 0;
  double low = std::numeric_limits<double>::infinity(), high = -low;

  double mean() const { return sum / static_cast<double>(count); }
  double deviation() const { return std::sqrt(squares / static_cast<double>(count - 1)); }
  bool degenerate() const { return count < 2 || low == high; }
};

template <std::floating_point T>
std::unordered_map<std::int64_t, GroupStatistics> group_statistics(std::span<const T> rewards,
                                                                   std::span<const std::int64_t> group) {
  std::unordered_map<std::int64_t, GroupStatistics> groups;
  for (std::size_t i = 0; i < rewards.size(); ++i) {
    GroupStatistics& statistics = groups[group[i]];
    if (std::isnan(rewards[i])) continue;
    const double reward = rewards[i];
    statistics.count += 1;
    statistics.sum += reward;
    statistics.low = std::min(statistics.low, reward);
    statistics.high = std::max(statistics.high, reward);
  }
  for (std::size_t i = 0; i < rewards.size(); ++i) {
    if (std::isnan(rewards[i])) continue;
    GroupStatistics& statistics = groups[group[i]];
    const double centred = rewards[i] - statistics.mean();
    statistics.squares += centred * centred;
  }
  return groups;
}

// One member's advantage, given its group's statistics.
inline double advantage(double reward, const GroupStatistics& statistics, const AdvantageOptions& options) {
  if (std::isnan(reward) || statistics.degenerate()) return 0;
  const double centred = reward - statistics.mean();
  return options.scale ? centred / (statistics.deviation() + options.epsilon) : centred;
}

namespace detail {

template <std::floating_point T>
void check_rewards(std::string_view op, std::string_view name, std::span<const T> rewards,
                   const AdvantageOptions& options) {
  expect(options.epsilon > 0 && std::isfinite(options.epsilon), op, "epsilon must be in (0, inf), got {}",
         options.epsilon);
  for (std::size_t i = 0; i < rewards.size(); ++i)
    expect(!std::isinf(rewards[i]), op, "{}: row {} is infinite; NaN marks an unscored row", name, i);
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
  detail::check_rewards(kOp, "rewards", rewards, options);

  const auto groups = group_statistics(rewards, group);
  for (std::size_t i = 0; i < size; ++i) {
    const GroupStatistics& statistics = groups.at(group[i]);
    values[i] = static_cast<T>(advantage(rewards[i], statistics, options));
    degenerate[i] = statistics.degenerate();
  }
}

}  // namespace vlmprobe::grpo
