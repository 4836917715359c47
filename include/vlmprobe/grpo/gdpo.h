// Advantages from several rewards, each normalised in its group before they are added, so that a reward of small spread
// is not drowned by one of large spread. On spans (no torch).
//
//   z_ik = group advantage of reward k        s_i = sum_k w_k z_ik over the k that are scored
//   A_i  = (s_i - mean s) / (std s + epsilon), mean and sample std over the scored rows of the batch
//
//   rewards     [B, K]  row-major; NaN = unscored
//   weights     [K]     finite
//   group       [B]
//   values      [B]     out
//   degenerate  [B]     out: no reward of the row's group carries a signal
//
// Exactly 0 for a row without any scored reward, for a degenerate row (the mean of s is 0 but for rounding), and
// throughout when all s are equal. Sums are in double.
//
// Throws InvalidArgument as group_advantages does. Source: GDPO, arXiv 2601.05242; TRL's "normalize_then_sum".
#pragma once

#include <memory>

#include "vlmprobe/grpo/advantage.h"

namespace vlmprobe::grpo {

template <std::floating_point T>
void gdpo_advantages(std::span<const T> rewards, std::span<const double> weights, std::span<const std::int64_t> group,
                     std::span<T> values, std::span<bool> degenerate, const AdvantageOptions& options = {}) {
  constexpr std::string_view kOp = "grpo::gdpo_advantages";
  const std::size_t size = group.size(), count = weights.size();
  expect(rewards.size() == size * count, kOp, "rewards: expected {} entries ([B, K] with B={} and K={}), got {}",
         size * count, size, count, rewards.size());
  expect(values.size() == size && degenerate.size() == size, kOp, "outputs: expected {} entries, got {} and {}", size,
         values.size(), degenerate.size());
  for (std::size_t k = 0; k < count; ++k)
    expect(std::isfinite(weights[k]), kOp, "weights: entry {} must be finite, got {}", k, weights[k]);
  check(options, kOp);
  detail::expect_finite(kOp, "rewards", rewards);

  std::ranges::fill(degenerate, true);
  std::vector<double> sums(size, std::numeric_limits<double>::quiet_NaN());
  std::vector<double> column(size), normalised(size);
  const auto flags = std::make_unique<bool[]>(size);
  for (std::size_t k = 0; k < count; ++k) {
    for (std::size_t i = 0; i < size; ++i) column[i] = rewards[i * count + k];
    group_advantages<double>(column, group, normalised, {flags.get(), size}, options);
    for (std::size_t i = 0; i < size; ++i) {
      degenerate[i] = degenerate[i] && flags[i];
      if (std::isnan(column[i])) continue;
      sums[i] = (std::isnan(sums[i]) ? 0 : sums[i]) + weights[k] * normalised[i];
    }
  }
  const GroupStatistics batch = grpo::statistics<false, double>(sums);
  const Normalisation whiten = normalisation(batch, 0, {.epsilon = options.epsilon});
  for (std::size_t i = 0; i < size; ++i) values[i] = static_cast<T>(degenerate[i] ? 0 : whiten(sums[i]));
}

}  // namespace vlmprobe::grpo
