// Importance weights of tokens that another policy sampled (an inference engine whose numbers differ from training's).
//
//   w_t = exp(old_logp_t - sampling_logp_t)                  ImportanceLevel::token
//   w   = exp(sum over the mask of the same), for every t    ImportanceLevel::sequence
//   then held to [minimum, maximum] (truncate), or 0 outside of it (mask)
//
//   old_logp, sampling_logp, weights [T]; mask [T]
//
// The weights multiply the advantages: the policy term of surrogate.h is linear in them, and the KL is not weighted.
// Masked positions are never read and get 0. A NaN (the engine did not say) counts as no difference.
// Throws InvalidArgument on spans of unequal length or bounds that are not 0 <= minimum <= maximum.
// Source: arXiv 2510.26788 and TRL's truncated and masked importance sampling.
#pragma once

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <limits>
#include <span>
#include <string_view>

#include "vlmprobe/core/error.h"

namespace vlmprobe::grpo {

enum class ImportanceLevel : std::int8_t { token, sequence };
enum class ImportanceMode : std::int8_t { truncate, mask };

struct ImportanceOptions {
  ImportanceLevel level = ImportanceLevel::token;
  ImportanceMode mode = ImportanceMode::truncate;
  double minimum = 0;
  double maximum = std::numeric_limits<double>::infinity();
};

namespace detail {

// For options that were checked.
inline double importance_weight(double log_weight, const ImportanceOptions& options) {
  const double weight = std::exp(log_weight);
  if (options.mode == ImportanceMode::truncate) return std::clamp(weight, options.minimum, options.maximum);
  return weight < options.minimum || weight > options.maximum ? 0 : weight;
}

}  // namespace detail

inline void check(const ImportanceOptions& options, std::string_view op) {
  expect(options.minimum >= 0 && options.minimum <= options.maximum, op,
         "minimum and maximum: expected 0 <= minimum <= maximum, got {} and {}", options.minimum, options.maximum);
}

template <std::floating_point T>
void importance_weights(std::span<const T> old_logp, std::span<const T> sampling_logp, std::span<const bool> mask,
                        std::span<T> weights, const ImportanceOptions& options = {}) {
  constexpr std::string_view kOp = "grpo::importance_weights";
  const std::size_t length = old_logp.size();
  expect(sampling_logp.size() == length && mask.size() == length && weights.size() == length, kOp,
         "spans: expected {} entries each, got {}, {} and {}", length, sampling_logp.size(), mask.size(),
         weights.size());
  check(options, kOp);

  double sum = 0;
  for (std::size_t t = 0; t < length; ++t) {
    const double difference = mask[t] ? static_cast<double>(old_logp[t]) - sampling_logp[t] : 0;
    const double log_weight = std::isnan(difference) ? 0 : difference;
    sum += log_weight;
    weights[t] = static_cast<T>(mask[t] ? detail::importance_weight(log_weight, options) : 0);
  }
  if (options.level == ImportanceLevel::token) return;
  const T shared = static_cast<T>(detail::importance_weight(sum, options));
  for (std::size_t t = 0; t < length; ++t) weights[t] = mask[t] ? shared : T{0};
}

}  // namespace vlmprobe::grpo
