// The sums that a distribution over the vocabulary is known by, and its gradient's coefficients: shared by rows and
// tiles. For src/grpo only.
//
// In units of log 2: a logit x becomes t = (x - reference) scale with scale = log2(e) / temperature, so that
// exp(x / temperature) = 2^t 2^(reference scale). The difference is taken first: it is exact where it matters.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <numbers>

namespace vlmprobe::grpo {

inline float log2_scale(double temperature) {
  return static_cast<float>(std::numbers::log2e / temperature);
}

// What one row of logits says. NaN throughout when the row holds NaN or +inf, or is -inf throughout.
struct RowStatistics {
  double reference = 0;     // a logit near the largest, times scale
  double log2_sum = 0;      // log2 of the sum of 2^t
  double mean = 0;          // of t, under the row's distribution
  std::int64_t argmax = 0;  // lowest index of the largest logit; -1 for a row without one

  double log_z() const { return (reference + log2_sum) * std::numbers::ln2; }
  double entropy() const { return (log2_sum - mean) * std::numbers::ln2; }
  double logp(double logit, double scale) const { return (logit * scale - reference - log2_sum) * std::numbers::ln2; }

  static RowStatistics none() {
    constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
    return {kNan, kNan, kNan, -1};
  }
};

// Sums of 2^t and of t 2^t so far, in double, against the highest reference so far.
struct RowSums {
  double reference = -std::numeric_limits<double>::infinity();  // times scale
  double sum = 0, mean_sum = 0;

  void raise(double higher) {
    if (sum > 0) {
      const double shift = reference - higher, factor = std::exp2(shift);
      mean_sum = factor * (mean_sum + shift * sum);
      sum *= factor;
    }
    reference = higher;
  }

  // Adds sums that were taken against a reference of their own.
  void add(double other_reference, double other_sum, double other_mean_sum) {
    if (other_sum == 0 && !std::isnan(other_mean_sum)) return;  // nothing but banned tokens
    if (other_reference > reference) raise(other_reference);
    const double shift = other_reference - reference, factor = std::exp2(shift);
    sum += factor * other_sum;
    mean_sum += factor * (other_mean_sum + shift * other_sum);
  }

  RowStatistics statistics() const {
    if (!(sum > 0) || std::isnan(mean_sum)) return RowStatistics::none();
    return {reference, std::log2(sum), mean_sum / sum, -1};
  }
};

// The gradient of a row in its logits: p (constant + slope t), with p = 2^t and t = (x - reference) scale; of the
// sampled token's logit it is `target`.
struct RowGradient {
  float scale, reference, constant, slope, target;
};

// What the loss says of a row: its numbers, in nats, and the gradients in its logp and entropy.
struct RowUpstream {
  double log_z, logp, entropy, d_logp, d_entropy;
};

//   d / d x_v = ((onehot_v - p_v) d_logp - p_v (log p_v + entropy) d_entropy) / temperature
inline RowGradient row_gradient(const RowUpstream& up, double temperature) {
  const float scale = log2_scale(temperature);
  const double log2_z = up.log_z * std::numbers::log2e;
  const float reference = static_cast<float>(log2_z / scale);
  const double rest = static_cast<double>(reference) * scale - log2_z;  // log2 p = t + rest
  const double factor = std::exp2(rest) / temperature;
  const double constant = -up.d_logp - up.d_entropy * (up.entropy + rest * std::numbers::ln2);
  const double p = std::exp(up.logp), surprise = p > 0 ? p * (up.logp + up.entropy) : 0;
  return {scale, reference, static_cast<float>(factor * constant),
          static_cast<float>(-factor * up.d_entropy * std::numbers::ln2),
          static_cast<float>((up.d_logp * (1 - p) - up.d_entropy * surprise) / temperature)};
}

}  // namespace vlmprobe::grpo
