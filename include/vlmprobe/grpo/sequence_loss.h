// The loss over the tokens of one sequence, on spans (no torch): the surrogate of every unmasked token, weighted, and
// the gradients that follow from it.
//
//   sum_t weight l_t,   l_t = surrogate(...) with log_ratio_t = logp_t - old_logp_t              (RatioLevel::token)
//                                            or log_ratio   = mean over the mask of the same     (RatioLevel::sequence)
//   d_logp_t = weight (d l_t / d logp_t + d l_t / d log_ratio_t)                                 (token)
//   d_logp_t = weight (d l_t / d logp_t + mean over the mask of d l_s / d log_ratio)             (sequence)
//
//   logp        [T]   log-probabilities under the policy
//   old_logp    [T]   under the policy that sampled; empty: logp itself, on-policy
//   ref_logp    [T]   under the reference policy; empty: the KL is 0
//   advantages  [T]
//   entropy     [T]   empty: 0
//   mask        [T]   empty: every token counts
//   d_logp      [T]   out; not touched where the mask is false
//   d_entropy   [T]   out
//
// Throws InvalidArgument unless every span has T entries, or none where that is said above, and the options are in
// their ranges (surrogate.h). Masked positions are never read. With a ratio per token, a part of a sequence may be
// given. Sums are in double, in index order. Source: paper, equation 1; arXiv 2507.18071 for the ratio of a sequence.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string_view>

#include "vlmprobe/core/error.h"
#include "vlmprobe/grpo/surrogate.h"

namespace vlmprobe::grpo {

template <std::floating_point T>
struct SequenceView {
  std::span<const T> logp, old_logp, ref_logp, advantages, entropy;
  std::span<const bool> mask;
};

// Sums over tokens: the loss, and what the monitors are means of.
struct LossTotals {
  double loss = 0;
  double kl = 0, clipped = 0, ratio = 0, entropy = 0;
  double ratio_max = -std::numeric_limits<double>::infinity();
  std::int64_t tokens = 0;

  void add(const LossTotals& other) {
    loss += other.loss, kl += other.kl, clipped += other.clipped, ratio += other.ratio, entropy += other.entropy;
    ratio_max = std::isnan(other.ratio_max) ? other.ratio_max : std::max(ratio_max, other.ratio_max);
    tokens += other.tokens;
  }
};

namespace detail {

template <std::floating_point T>
T log_ratio(const SequenceView<T>& view, std::size_t t) {
  return view.logp[t] - (view.old_logp.empty() ? view.logp[t] : view.old_logp[t]);  // NaN stays NaN
}

// Spans of T entries; `optional` ones may be empty.
template <std::floating_point T>
void check_lengths(std::string_view op, const SequenceView<T>& view, std::span<const T> d_logp,
                   std::span<const T> d_entropy) {
  const std::size_t length = view.logp.size();
  const auto require = [&](std::string_view name, std::size_t size, bool optional) {
    expect(size == length || (optional && size == 0), op, "{}: expected shape [T], got [{}] (T={} was set by logp)",
           name, size, length);
  };
  require("old_logp", view.old_logp.size(), true), require("ref_logp", view.ref_logp.size(), true);
  require("advantages", view.advantages.size(), false), require("entropy", view.entropy.size(), true);
  require("mask", view.mask.size(), true);
  require("d_logp", d_logp.size(), false), require("d_entropy", d_entropy.size(), false);
}

inline bool counts(std::span<const bool> mask, std::size_t t) {
  return mask.empty() || mask[t];
}

// Mean log-ratio over the mask; 0 where nothing counts.
template <std::floating_point T>
T mean_log_ratio(const SequenceView<T>& view) {
  double sum = 0, tokens = 0;
  for (std::size_t t = 0; t < view.logp.size(); ++t) {
    if (!counts(view.mask, t)) continue;
    sum += log_ratio(view, t);
    tokens += 1;
  }
  return static_cast<T>(tokens > 0 ? sum / tokens : 0);
}

}  // namespace detail

template <std::floating_point T>
LossTotals sequence_loss(const SequenceView<T>& view, double weight, const SurrogateOptions& options,
                         std::span<T> d_logp, std::span<T> d_entropy) {
  constexpr std::string_view kOp = "grpo::sequence_loss";
  detail::check_lengths<T>(kOp, view, d_logp, d_entropy);
  check(options, kOp);
  const bool whole = options.ratio == RatioLevel::sequence;
  const T shared = whole ? detail::mean_log_ratio(view) : T{0};
  LossTotals totals;
  double d_shared = 0;
  for (std::size_t t = 0; t < view.logp.size(); ++t) {
    if (!detail::counts(view.mask, t)) continue;
    const T logp = view.logp[t], entropy = view.entropy.empty() ? T{0} : view.entropy[t];
    const T reference = view.ref_logp.empty() ? logp : view.ref_logp[t];
    const T log_ratio = whole ? shared : detail::log_ratio(view, t);
    const Surrogate<T> token = detail::surrogate<T>(logp, log_ratio, reference, view.advantages[t], entropy, options);
    d_logp[t] = static_cast<T>(weight * (whole ? token.d_logp : token.d_logp + token.d_log_ratio));
    d_entropy[t] = static_cast<T>(weight * token.d_entropy);
    d_shared += token.d_log_ratio;
    totals.add({weight * token.loss, token.kl, token.clipped ? 1.0 : 0.0, token.ratio, entropy, token.ratio, 1});
  }
  if (!whole || totals.tokens == 0) return totals;
  const T mean = static_cast<T>(weight * d_shared / static_cast<double>(totals.tokens));
  for (std::size_t t = 0; t < view.logp.size(); ++t)
    if (detail::counts(view.mask, t)) d_logp[t] += mean;
  return totals;
}

}  // namespace vlmprobe::grpo
