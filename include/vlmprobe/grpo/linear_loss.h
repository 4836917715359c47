// The GRPO loss from hidden states and the head's weight: logits = hidden weight^T, a chunk of rows at a time, never
// whole.
//
//   hidden  [B, T, H]  float32, bfloat16, float16 or float64
//   weight  [V, H]     as hidden; a head that requires no gradient is frozen
//   tokens  [B, T]     int64, in [0, V) where the mask is true
//   banned  [n]        int64 ids that no completion may hold: their logits are -inf, their gradient is exactly 0
//   the rest as in loss_from_logits.h
//
// Rows that are masked are left out before anything is multiplied; their gradient is exactly 0. Of each chunk the
// logits live once: their statistics, the surrogate, the gradient, then hidden's and weight's gradients: three products
// of matrices, two with a frozen head. float32 logits whatever the dtype of hidden; products of bfloat16 are of
// bfloat16, summed in float32. weight's gradient is summed in its own dtype from chunk to chunk: a larger budget rounds
// less.
//
//   logits_bytes  budget of the live chunk, > 0; by default 128 MiB, 384 MiB with a trainable head. 16 rows are always
//                 allowed; with the ratio of a sequence a chunk has whole sequences, at least one.
//
// On the CPU the products are torch's brgemm kernels, tiles of the vocabulary in 8 parts spread over threads; the
// results do not depend on the number of threads. Elsewhere, for H that is no multiple of 16, and for dtypes that those
// kernels do not take here, at::mm. Throws InvalidArgument as loss_from_logits does. Source: paper, equation 1;
// docs/decisions/0008.
#pragma once

#include "vlmprobe/grpo/loss_from_logits.h"

namespace vlmprobe::grpo {

struct LinearOptions {
  double temperature = 1.0;
  std::optional<std::int64_t> logits_bytes = std::nullopt;
  std::optional<at::Tensor> banned = std::nullopt;
};

TokenLoss linear_loss(const at::Tensor& hidden, const at::Tensor& weight, const at::Tensor& tokens,
                      const LossInputs& inputs, const at::Tensor& normalizer, const LossOptions& options = {},
                      const LinearOptions& how = {});

}  // namespace vlmprobe::grpo
