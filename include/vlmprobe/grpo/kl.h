// Estimators of the KL divergence from the reference policy, per token, and their slopes. Scalars, no torch.
//
//   d = ref_logp - logp
//   k1 = -d            slope -1
//   k2 = d^2 / 2       slope d
//   k3 = exp(d) - d - 1   slope exp(d) - 1     (slopes are derivatives in d; d/d logp is their negative)
//
// The value of all three has the same mean under the policy; k3 is never negative and varies least.
// Safe tails of k3: near d = 0 it is its series, because exp(d) - d - 1 cancels; beyond d = 5 it continues as its
// tangent, so that neither it nor its slope overflows and neither dies. Straight-through: the estimator's value with
// the slope of k2, whose mean is the gradient of the KL (verl writes "k3+").
//
// Source: Schulman, "Approximating KL divergence", 2020.
#pragma once

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstdint>

namespace vlmprobe::grpo {

enum class KlEstimator : std::int8_t { k1, k2, k3 };

template <std::floating_point T>
struct Kl {
  T value;
  T slope;  // d value / d d
};

inline constexpr double kK3Series = 0.125;  // |d| below this: series
inline constexpr double kK3Linear = 5;      // d above this: tangent

template <std::floating_point T>
Kl<T> k3_divergence(T d) {
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
Kl<T> kl_divergence(T d, KlEstimator estimator, bool straight_through) {
  const Kl<T> k2{d * d / 2, d};
  const Kl<T> kl = estimator == KlEstimator::k1 ? Kl<T>{-d, -1} : estimator == KlEstimator::k2 ? k2 : k3_divergence(d);
  return straight_through ? Kl<T>{kl.value, k2.slope} : kl;
}

}  // namespace vlmprobe::grpo
