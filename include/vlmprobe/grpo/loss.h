// The GRPO loss over tensors, from log-probabilities; differentiable in logp and entropy. Formula, reductions and what
// the normalizer counts: options.h; per token: surrogate.h.
//
//   logp, old_logp        [B, T]          float32 or float64, the same for both; without old_logp the step is on-policy
//   advantages            [B] or [B, T]   float32 or float64
//   mask                  [B, T]          bool, true for completion tokens
//   ref_logp, entropy     [B, T]          as logp; optional, needed when beta or entropy_weight is not 0
//   normalizer            [] or [B]       n for all, or one n_b per sequence; finite, >= 0, and 0 counts as 1
//
// The normalizer is never guessed from the tensors: with gradient accumulation a micro-batch does not know its window.
// grpo::normalizer counts one; counts of several micro-batches add up.
//
// Masked positions of logp, old_logp, ref_logp, entropy and advantages are never read; their gradient is exactly 0.
// Empty tensors and fully masked rows are legal and add 0 (a fully masked row still counts where the normalizer counts
// it). At unmasked positions an advantage must be finite; other non-finite values reach the loss. old_logp, ref_logp
// and advantages are constants. Gradients are computed with the loss, in one pass; a second derivative throws
// InvalidState. Sums are in double, in index order, on one thread. On another device than the CPU, these [B, T] numbers
// are copied to it and back. Throws InvalidArgument on other shapes, dtypes, devices or options.
//
// The operator is vlmprobe::loss; loss_from_logits.h and linear_loss.h start earlier.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

#include "vlmprobe/grpo/options.h"

namespace vlmprobe::grpo {

// What goes into a loss beside the log-probabilities, whatever they come from. Shapes as above.
struct LossInputs {
  at::Tensor advantages, mask;
  std::optional<at::Tensor> old_logp = std::nullopt, ref_logp = std::nullopt;
};

inline constexpr std::int64_t kMonitors = 6;

// The loss, and monitors: means over the unmasked tokens of this call, NaN when there is none or their input is absent.
struct Loss {
  at::Tensor loss;      // [] of logp's dtype, differentiable
  at::Tensor monitors;  // [kMonitors] float64 on logp's device, in the order below

  double kl() const;             // mean of the KL estimator, in nats, before weighting
  double clip_fraction() const;  // share of tokens whose policy term is held and passes no gradient
  double ratio_mean() const;
  double ratio_max() const;
  double entropy() const;       // mean, in nats
  std::int64_t tokens() const;  // unmasked tokens: the weight of these means
};

Loss loss(const at::Tensor& logp, const LossInputs& inputs, const std::optional<at::Tensor>& entropy,
          const at::Tensor& normalizer, const LossOptions& options = {});

// What these completions add to the normalizer of `reduction`: B, the tokens, or B * max_length.
//   mask        [B, T]  bool
//   max_length  the longest completion that generation allows, >= 1; needed by dr_grpo only
double normalizer(const at::Tensor& mask, Reduction reduction, std::optional<std::int64_t> max_length = std::nullopt);

}  // namespace vlmprobe::grpo
