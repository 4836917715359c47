// The GRPO loss from logits, and its gradient in them: log-softmax, surrogate and gradient of a row while it is in
// cache.
//
//   logits       [B, T, V]  float32, bfloat16, float16 or float64; the sequences and tokens may be strided
//   tokens       [B, T]     int64, in [0, V) where the mask is true
//   temperature  (0, inf)   the one that sampled
//   the rest as in loss.h; old_logp and ref_logp are float32 (float64 for float64 logits)
//
//   d loss / d logit_v = ((onehot_v - p_v) d loss/d logp - p_v (log p_v + entropy) d loss/d entropy) / temperature
//
// Numbers are as token_logp.h's; old_logp absent means on-policy. The entropy is a monitor, and with an entropy weight
// a part of the loss. Masked rows of the logits are never read, and their gradient is exactly 0. The gradient is
// computed in the forward pass when the logits require one: backward only scales it.
//
// in place: the gradient takes the memory of the logits, whose rows must be contiguous, and
// which hold no logits afterwards. That form is not a torch operator. Otherwise the extra memory is one tensor like the
// logits. With the ratio of a sequence a sequence's rows are read twice. On devices other than the CPU, and for
// float64, ATen's operators do the work in chunks of rows. The results of this library's kernels do not depend on the
// number of threads. A float16 gradient is rounded before a loss scaler's factor reaches it.
//
// Throws InvalidArgument on other shapes, dtypes, devices or options, a token outside the vocabulary, an advantage that
// is not finite. Source: paper, equation 1.
#pragma once

#include "vlmprobe/grpo/loss.h"

namespace vlmprobe::grpo {

// A loss with what was found on the way to it.
struct TokenLoss : Loss {
  at::Tensor logp, token_entropy;  // [B, T] float32 or float64, detached; 0 where the mask is false
};

struct LogitsOptions {
  double temperature = 1.0;
  bool in_place = false;
};

TokenLoss loss_from_logits(const at::Tensor& logits, const at::Tensor& tokens, const LossInputs& inputs,
                           const at::Tensor& normalizer, const LossOptions& options = {},
                           const LogitsOptions& how = {});

}  // namespace vlmprobe::grpo
