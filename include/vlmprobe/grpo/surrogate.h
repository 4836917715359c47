// The one place that defines the per-token loss and its gradients. Scalars, no torch, no state: every entrance (logp,
// logits, hidden states) calls it, never repeats it.
//
//   ratio r = exp(log_ratio),   log_ratio = logp - old_logp, or its mean over the sequence (RatioLevel::sequence)
//   loss    = -policy + beta kl [r] - entropy_weight entropy
//
//   policy   value                                                          gradient in log_ratio
//   clip     min(min(r, delta) A, clip(r, 1 - clip_low, 1 + clip_high) A),  r A in the branch that is the minimum,
//            and at least dual_clip A where A < 0                           0 where that branch is held
//   cispo    sg(min(r, 1 + clip_high)) A logp                               none; sg(...) A in logp
//   sapo     4/tau sigmoid(tau (r - 1)) A,                                  4 s (1 - s) r A, s the sigmoid
//            tau = sapo_positive where A > 0, else sapo_negative
//
// kl is an estimator of kl.h, multiplied by r and differentiated through it with kl_weighted (arXiv 2512.02556).
// The log-ratio is held to +-20, beyond which r is constant and passes no gradient. A weight of 0 leaves a term out
// even where the term is not finite: it is then a monitor. Without a reference policy pass logp as ref_logp: the KL and
// its gradient are exactly 0.
//
// Options outside their ranges throw InvalidArgument, here and wherever options are taken. sequence_loss.h checks them
// once for all its tokens.
//
// Importance weights against another sampler multiply the advantage: every policy term is linear in it for weights >= 0
// (importance.h). Non-finite arguments give non-finite results: callers skip masked positions, they do not multiply by
// a mask.
//
// Source: paper, equation 1, with the ratio as pi/pi_old (it is printed upside down); arXiv 1707.06347 (clip),
// 2503.14476 (two bounds), 1912.09729 (dual clip), 2505.07291 (delta), 2506.13585 (CISPO), 2511.20347 (SAPO),
// 2507.18071 (GSPO).
#pragma once

#include <algorithm>
#include <cmath>
#include <concepts>
#include <limits>
#include <string_view>

#include "vlmprobe/core/error.h"
#include "vlmprobe/grpo/kl.h"

namespace vlmprobe::grpo {

enum class Policy : std::int8_t { clip, cispo, sapo };
enum class RatioLevel : std::int8_t { token, sequence };

inline constexpr double kOff = std::numeric_limits<double>::infinity();  // of dual_clip and delta

struct SurrogateOptions {
  Policy policy = Policy::clip;
  RatioLevel ratio = RatioLevel::token;
  double clip_low = 0.2;    // in [0, 1)
  double clip_high = 0.2;   // in [0, inf)
  double dual_clip = kOff;  // in (1, inf], verl's and OpenRLHF's is 3
  double delta = kOff;      // in (0, inf]; INTELLECT-2 has 4
  double sapo_positive = 1.0;
  double sapo_negative = 1.05;  // both in (0, inf)
  double beta = 1e-2;           // weight of the KL, in [0, inf)
  KlEstimator kl = KlEstimator::k3;
  bool kl_straight_through = false;
  bool kl_weighted = false;
  double entropy_weight = 0.0;  // in [0, inf); the paper has no entropy term

  friend bool operator==(const SurrogateOptions&, const SurrogateOptions&) = default;
};

template <std::floating_point T>
struct Surrogate {
  T loss;         // per token, before any reduction
  T d_log_ratio;  // d loss / d log_ratio at fixed logp
  T d_logp;       // d loss / d logp at fixed log_ratio; with a ratio per token the derivative is the sum of the two
  T d_entropy;    // d loss / d entropy
  T ratio;
  T kl;
  bool clipped;  // the policy term is held, so that it passes no gradient (cispo: its weight is held)
};

inline constexpr double kLogRatioLimit = 20;  // |log_ratio| is held to this

namespace detail {

template <std::floating_point T>
struct PolicyTerm {
  T value, d_log_ratio, d_logp;
  bool clipped;
};

template <std::floating_point T>
PolicyTerm<T> clip_policy(T ratio, T advantage, const SurrogateOptions& options) {
  const T low = static_cast<T>(1 - options.clip_low), high = static_cast<T>(1 + options.clip_high);
  const T delta = static_cast<T>(options.delta), floor = static_cast<T>(options.dual_clip);
  const T unclipped = std::min(ratio, delta) * advantage, clipped = std::clamp(ratio, low, high) * advantage;
  if (advantage < 0 && std::min(unclipped, clipped) < floor * advantage) return {floor * advantage, 0, 0, true};
  const bool held = clipped < unclipped ? ratio < low || ratio > high : ratio > delta;
  return {clipped < unclipped ? clipped : unclipped, held ? T{0} : ratio * advantage, 0, held};
}

template <std::floating_point T>
PolicyTerm<T> cispo_policy(T ratio, T logp, T advantage, const SurrogateOptions& options) {
  const T high = static_cast<T>(1 + options.clip_high), weight = std::min(ratio, high) * advantage;
  return {weight == 0 ? T{0} : weight * logp, 0, weight, ratio > high};
}

template <std::floating_point T>
PolicyTerm<T> sapo_policy(T ratio, T advantage, const SurrogateOptions& options) {
  const T tau = static_cast<T>(advantage > 0 ? options.sapo_positive : options.sapo_negative);
  const T gate = 1 / (1 + std::exp(-tau * (ratio - 1)));
  return {4 / tau * gate * advantage, 4 * gate * (1 - gate) * ratio * advantage, 0, false};
}

template <std::floating_point T>
PolicyTerm<T> policy_term(T ratio, T logp, T advantage, const SurrogateOptions& options) {
  if (options.policy == Policy::cispo) return cispo_policy(ratio, logp, advantage, options);
  if (options.policy == Policy::sapo) return sapo_policy(ratio, advantage, options);
  return clip_policy(ratio, advantage, options);
}

// The surrogate for options that were checked.
template <std::floating_point T>
Surrogate<T> surrogate(T logp, T log_ratio, T ref_logp, T advantage, T entropy, const SurrogateOptions& options) {
  constexpr T kLimit = static_cast<T>(kLogRatioLimit);
  const auto weighted = [](T weight, T term) { return weight == 0 ? T{0} : weight * term; };
  const bool far = std::abs(log_ratio) > kLimit;
  const T ratio = std::exp(std::clamp(log_ratio, -kLimit, kLimit));
  const T beta = static_cast<T>(options.beta), entropy_weight = static_cast<T>(options.entropy_weight);

  const PolicyTerm<T> policy = policy_term(ratio, logp, advantage, options);
  const Kl<T> kl = kl_divergence(ref_logp - logp, options.kl, options.kl_straight_through);
  const T kl_weight = options.kl_weighted ? beta * ratio : beta;
  const T d_kl_ratio = options.kl_weighted ? weighted(kl_weight, kl.value) : T{0};

  return {.loss = -policy.value + weighted(kl_weight, kl.value) - weighted(entropy_weight, entropy),
          .d_log_ratio = far ? T{0} : d_kl_ratio - policy.d_log_ratio,
          .d_logp = -policy.d_logp - weighted(kl_weight, kl.slope),
          .d_entropy = -entropy_weight,
          .ratio = ratio,
          .kl = kl.value,
          .clipped = policy.clipped};
}

}  // namespace detail

// Throws InvalidArgument in the name of `op` unless every option is in its range.
inline void check(const SurrogateOptions& options, std::string_view op) {
  const auto at_least_zero = [](double value) { return value >= 0 && std::isfinite(value); };
  const auto positive = [](double value) { return value > 0 && std::isfinite(value); };
  expect(options.clip_low >= 0 && options.clip_low < 1, op, "clip_low must be in [0, 1), got {}", options.clip_low);
  expect(at_least_zero(options.clip_high), op, "clip_high must be in [0, inf), got {}", options.clip_high);
  expect(options.dual_clip > 1, op, "dual_clip must be in (1, inf], got {}", options.dual_clip);
  expect(options.delta > 0, op, "delta must be in (0, inf], got {}", options.delta);
  expect(positive(options.sapo_positive), op, "sapo_positive must be in (0, inf), got {}", options.sapo_positive);
  expect(positive(options.sapo_negative), op, "sapo_negative must be in (0, inf), got {}", options.sapo_negative);
  expect(at_least_zero(options.beta), op, "beta must be in [0, inf), got {}", options.beta);
  expect(at_least_zero(options.entropy_weight), op, "entropy_weight must be in [0, inf), got {}",
         options.entropy_weight);
}

template <std::floating_point T>
Surrogate<T> surrogate(T logp, T log_ratio, T ref_logp, T advantage, T entropy, const SurrogateOptions& options) {
  check(options, "grpo::surrogate");
  return detail::surrogate(logp, log_ratio, ref_logp, advantage, entropy, options);
}

}  // namespace vlmprobe::grpo
