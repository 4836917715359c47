// The GRPO loss over tensors, differentiable in logp and entropy.
//
//   loss = sum_b (1 / n_b) s_b,   l = surrogate(...) of surrogate.h, over the tokens where mask is true
//
//   reduction  s_b                   n, what the normalizer counts                     source
//   grpo       mean of l over b      sequences of the optimiser window                 arXiv 2402.03300, the paper's
//   eq. 1 bnpo       sum of l over b       tokens of this micro-batch                        TRL dapo       sum of l
//   over b       tokens of the optimiser window                    arXiv 2503.14476 dr_grpo    sum of l over b
//   sequences of the window x maximal length          arXiv 2503.20783
//
//   logp, old_logp        [B, T]          float32 or float64, the same for both
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
// it). Non-finite values at unmasked positions reach the loss. old_logp, ref_logp and advantages are constants.
// Gradients are computed with the loss, in one pass; a second derivative throws InvalidState. Sums are in double, in
// index order, on one thread. Tensors on another device are copied to the CPU, and loss and gradients go back to
// logp's. Throws InvalidArgument on other shapes, dtypes or options.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <string_view>

#include "vlmprobe/grpo/surrogate.h"

namespace vlmprobe::grpo {

enum class Reduction : std::int8_t { grpo, bnpo, dapo, dr_grpo };

// The reduction of that name; throws InvalidArgument with the names there are.
Reduction reduction(std::string_view name);
std::string_view name(Reduction reduction);

struct LossOptions {
  SurrogateOptions surrogate;
  Reduction reduction = Reduction::grpo;

  friend bool operator==(const LossOptions&, const LossOptions&) = default;
};

struct LossInputs {
  at::Tensor logp, old_logp, advantages, mask;
  std::optional<at::Tensor> ref_logp = std::nullopt, entropy = std::nullopt;
};

// The loss, and monitors: means over the unmasked tokens of this call, NaN when there is none or their input is absent.
struct Loss {
  at::Tensor loss;       // [] of logp's dtype, differentiable
  double kl;             // mean k3, in nats, before weighting
  double clip_fraction;  // share of tokens whose policy term is clipped
  double ratio_mean;
  double ratio_max;
  double entropy;       // mean, in nats
  std::int64_t tokens;  // unmasked tokens: the weight of these means
};

Loss loss(const LossInputs& inputs, const at::Tensor& normalizer, const LossOptions& options = {});
Loss loss(const LossInputs& inputs, double normalizer, const LossOptions& options = {});

// What these completions add to the normalizer of `reduction`: B, the tokens, or B * max_length.
//   mask        [B, T]  bool
//   max_length  the longest completion that generation allows, >= 1; needed by dr_grpo only
double normalizer(const at::Tensor& mask, Reduction reduction, std::optional<std::int64_t> max_length = std::nullopt);

}  // namespace vlmprobe::grpo
