// The loss from logits by scalar loops in double, from the formulas, without tensor operations: what the kernels are
// held against. Clip policy and k3 only; the surrogate's other terms have tests of their own.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>

#include <cmath>
#include <vector>

#include "vlmprobe/core/random.h"
#include "vlmprobe/grpo/loss_from_logits.h"

namespace scalar {

using vlmprobe::grpo::LossOptions;
using vlmprobe::grpo::RatioLevel;
using vlmprobe::grpo::Reduction;

inline at::Tensor uniform(at::IntArrayRef sizes, double low, double high, std::uint32_t seed) {
  vlmprobe::random::Sequence draws(seed, vlmprobe::random::Stream::kQuestion, 8);
  at::Tensor tensor = at::empty(sizes, at::kDouble);
  for (std::int64_t i = 0; i < tensor.numel(); ++i)
    tensor.mutable_data_ptr<double>()[i] = low + (high - low) * draws.uniform();
  return tensor;
}

// B sequences of T tokens: the second is short, the third empty.
struct Batch {
  std::int64_t vocabulary;
  at::Tensor logits;  // [B, T, V] float64
  at::Tensor tokens, mask, advantages, old_logp, ref_logp;
  double temperature = 0.8, normalizer = 3;

  Batch(std::int64_t sequences, std::int64_t length, std::int64_t size, std::uint32_t seed)
      : vocabulary(size),
        logits(uniform({sequences, length, size}, -4, 4, seed)),
        tokens(at::zeros({sequences, length}, at::kLong)),
        mask(at::ones({sequences, length}, at::kBool)),
        advantages(uniform({sequences}, -2, 2, seed + 1)) {
    for (std::int64_t i = 0; i < tokens.numel(); ++i) tokens.mutable_data_ptr<std::int64_t>()[i] = (13 * i + 5) % size;
    if (sequences > 1) mask[1].slice(0, 2, length).fill_(false);
    if (sequences > 2) mask[2].fill_(false);
    settle(seed);
  }

  // Old and reference log-probabilities near the present ones.
  void settle(std::uint32_t seed) {
    const at::IntArrayRef sizes = tokens.sizes();
    old_logp = at::zeros(sizes, at::kDouble);
    for (std::int64_t r = 0; r < tokens.numel(); ++r) old_logp.mutable_data_ptr<double>()[r] = row(r).logp;
    ref_logp = old_logp.add(uniform(sizes, -1, 1, seed + 2));
    old_logp = old_logp.add(uniform(sizes, -0.4, 0.4, seed + 3));
  }

  struct Row {
    double logp, entropy;
    std::vector<double> log_p;
  };

  Row row(std::int64_t r) const {
    const double* x = logits.const_data_ptr<double>() + r * vocabulary;
    Row result{0, 0, std::vector<double>(static_cast<std::size_t>(vocabulary))};
    double total = 0;
    for (std::int64_t v = 0; v < vocabulary; ++v) total += std::exp(x[v] / temperature);
    for (std::int64_t v = 0; v < vocabulary; ++v) {
      const double log_p = x[v] / temperature - std::log(total);
      result.log_p[static_cast<std::size_t>(v)] = log_p;
      if (std::exp(log_p) > 0) result.entropy -= std::exp(log_p) * log_p;
    }
    result.logp = result.log_p[static_cast<std::size_t>(tokens.const_data_ptr<std::int64_t>()[r])];
    return result;
  }
};

struct Result {
  double loss = 0;
  at::Tensor gradient;  // [B, T, V] float64
};

inline Result loss(const Batch& batch, const LossOptions& options) {
  const std::int64_t sequences = batch.tokens.size(0), length = batch.tokens.size(1);
  const auto& s = options.surrogate;
  Result result{0, at::zeros(batch.logits.sizes(), at::kDouble)};
  auto* gradient = result.gradient.mutable_data_ptr<double>();
  for (std::int64_t b = 0; b < sequences; ++b) {
    std::vector<std::int64_t> rows;
    for (std::int64_t t = 0; t < length; ++t)
      if (batch.mask.const_data_ptr<bool>()[b * length + t]) rows.push_back(b * length + t);
    if (rows.empty()) continue;
    const double tokens = static_cast<double>(rows.size());
    const double weight = 1 / (batch.normalizer * (options.reduction == Reduction::grpo ? tokens : 1));
    double mean = 0;
    for (const std::int64_t r : rows) mean += (batch.row(r).logp - batch.old_logp.const_data_ptr<double>()[r]) / tokens;

    double shared = 0;  // d loss / d mean log-ratio
    std::vector<double> d_logp(rows.size());
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const Batch::Row row = batch.row(rows[i]);
      const double a = batch.advantages.const_data_ptr<double>()[b];
      const bool whole = s.ratio == RatioLevel::sequence;
      const double ratio = std::exp(whole ? mean : row.logp - batch.old_logp.const_data_ptr<double>()[rows[i]]);
      const double clipped = std::min(std::max(ratio, 1 - s.clip_low), 1 + s.clip_high);
      const double d = batch.ref_logp.const_data_ptr<double>()[rows[i]] - row.logp;
      result.loss += weight * (-std::min(ratio * a, clipped * a) + s.beta * (std::exp(d) - d - 1) -
                               s.entropy_weight * row.entropy);
      const double d_ratio = clipped * a < ratio * a ? 0 : -ratio * a;
      (whole ? shared : d_logp[i]) += weight * d_ratio;
      d_logp[i] += weight * s.beta * (1 - std::exp(d));
    }
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const Batch::Row row = batch.row(rows[i]);
      const double upstream = d_logp[i] + shared / tokens;
      for (std::int64_t v = 0; v < batch.vocabulary; ++v) {
        const double log_p = row.log_p[static_cast<std::size_t>(v)], p = std::exp(log_p);
        const double own = v == batch.tokens.const_data_ptr<std::int64_t>()[rows[i]] ? upstream : 0;
        const double surprise = p > 0 ? p * (log_p + row.entropy) : 0;
        gradient[rows[i] * batch.vocabulary + v] =
            (own - p * upstream + weight * s.entropy_weight * surprise) / batch.temperature;
      }
    }
  }
  return result;
}

// Largest difference, over the largest entry of what is expected.
inline double distance(const at::Tensor& found, const at::Tensor& expected) {
  const double scale = expected.abs().max().item<double>();
  return found.to(at::kDouble).sub(expected).abs().max().item<double>() / scale;
}

}  // namespace scalar
