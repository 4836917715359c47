// The one place that defines the per-token loss and its gradient. Scalars, no torch, no state: every entrance (tensors,
// logits, hidden states) calls it, never repeats it.
//
//   ratio   = exp(logp - old_logp)
//   clipped = min(max(ratio, 1 - clip_low), 1 + clip_high)
//   k3      = exp(d) - d - 1,   d = ref_logp - logp
//   loss    = -min(ratio A, clipped A) + beta k3 - entropy_weight entropy
//
//   d loss/d logp    = -A ratio where the minimum is the unclipped product, else 0;  - beta (exp(d) - 1)
//   d loss/d entropy = -entropy_weight
//
// Safe tails. The log-ratio is held to +-20, beyond which ratio is constant and passes no gradient. Near d = 0 k3 is
// its series, because exp(d) - d - 1 cancels; beyond d = 5 it continues as its tangent, so neither it nor its gradient
// overflows and neither dies. A weight of 0 leaves a term out even where the term is not finite: it is then a monitor.
// Without a reference policy pass logp as ref_logp: k3 and its gradient are exactly 0.
//
// Non-finite arguments give non-finite results: callers skip masked positions, they do not multiply by a mask.
// Source: paper, equation 1, with the ratio as pi/pi_old (it is printed upside down) and k3 for the KL, Schulman 2020;
// min(ratio A, clipped A) as in arXiv 1707.06347, separate bounds as in arXiv 2503.14476.
#pragma once

#include <algorithm>
#include <cmath>
#include <concepts>
#include <string_view>

#include "vlmprobe/core/error.h"

namespace vlmprobe::grpo {

struct SurrogateOptions {
  double clip_low = 0.2;        // in [0, 1)
  double clip_high = 0.2;       // in [0, inf)
  double beta = 1e-2;           // weight of k3, in [0, inf)
  double entropy_weight = 0.0;  // in [0, inf); the paper has no entropy term

  friend bool operator==(const SurrogateOptions&, const SurrogateOptions&) = default;
};

template <std::floating_point T>
struct Surrogate {
  T loss;       // per token, before any reduction
  T d_logp;     // d loss / d logp
  T d_entropy;  // d loss / d entropy
  T ratio;
  T k3;
  bool clipped;  // the clipped product is the smaller one, so the policy term passes no gradient
};

inline constexpr double kLogRatioLimit = 20;  // |logp - old_logp| is held to this
inline constexpr double kK3Series = 0.125;    // |d| below this: series
inline constexpr double kK3Linear = 5;        // d above this: tangent

template <std::floating_point T>
struct K3 {
  T value;
  T slope;  // d value / d d
};

// exp(d) - d - 1 with safe tails, and its derivative.
template <std::floating_point T>
K3<T> k3_divergence(T d) {
  constexpr T kSeries = static_cast<T>(kK3Series), kLinear = static_cast<T>(kK3Linear);
  const T slope = std::expm1(std::min(d, kLinear));
  if (std::abs(d) < kSeries) {
    T series = 0;  // d^2 (1/2! + d/3! + ... + d^7/9!), by Horner from the last factorial
    for (const int factorial : {362880, 40320, 5040, 720, 120, 24, 6, 2})
      series = series * d + T{1} / static_cast<T>(factorial);
    return {series * d * d, slope};
  }
  if (d > kLinear) return {slope - kLinear + (d - kLinear) * slope, slope};
  return {slope - d, slope};
}

template <std::floating_point T>
Surrogate<T> surrogate(T logp, T old_logp, T ref_logp, T advantage, T entropy, const SurrogateOptions& options) {
  constexpr T kLimit = static_cast<T>(kLogRatioLimit);
  const auto weighted = [](T weight, T term) { return weight == 0 ? T{0} : weight * term; };
  const T low = static_cast<T>(1 - options.clip_low), high = static_cast<T>(1 + options.clip_high);
  const T beta = static_cast<T>(options.beta), entropy_weight = static_cast<T>(options.entropy_weight);

  const T log_ratio = logp - old_logp;
  const T ratio = std::exp(std::clamp(log_ratio, -kLimit, kLimit));
  const T unclipped = ratio * advantage, clipped = std::clamp(ratio, low, high) * advantage;
  const bool is_clipped = clipped < unclipped;
  const K3<T> k3 = k3_divergence(ref_logp - logp);

  const T policy = is_clipped ? clipped : unclipped;
  const T d_policy = is_clipped || std::abs(log_ratio) > kLimit ? T{0} : unclipped;
  return {.loss = -policy + weighted(beta, k3.value) - weighted(entropy_weight, entropy),
          .d_logp = -d_policy - weighted(beta, k3.slope),
          .d_entropy = -entropy_weight,
          .ratio = ratio,
          .k3 = k3.value,
          .clipped = is_clipped};
}

// Throws InvalidArgument in the name of `op` unless every option is in its range.
inline void check(const SurrogateOptions& options, std::string_view op) {
  const auto at_least_zero = [](double value) { return value >= 0 && std::isfinite(value); };
  expect(options.clip_low >= 0 && options.clip_low < 1, op, "clip_low must be in [0, 1), got {}", options.clip_low);
  expect(at_least_zero(options.clip_high), op, "clip_high must be in [0, inf), got {}", options.clip_high);
  expect(at_least_zero(options.beta), op, "beta must be in [0, inf), got {}", options.beta);
  expect(at_least_zero(options.entropy_weight), op, "entropy_weight must be in [0, inf), got {}",
         options.entropy_weight);
}

}  // namespace vlmprobe::grpo
