// Log-probability of the sampled tokens, and the entropy of each distribution, from logits.
//
//   log p = log_softmax(logits / temperature);   logp = log p[token];   entropy = -sum_v p_v log p_v,  with 0 log 0 = 0
//
//   logits       [..., V]  float32, bfloat16, float16 or float64; leading dimensions may be strided
//   tokens       [...]     int64, in [0, V) where the mask is true
//   temperature  (0, inf)  in [1e-30, 1e30], the one that sampled: it belongs in old and new log-probabilities alike
//   mask         [...]     bool, optional; masked positions give 0 and pass no gradient, and their rows are never read
//
// logp and entropy are in nats, and differentiable (once) in the logits. Sums are in float32 within blocks of 2048 and
// in double over them, whatever the dtype of the logits: a bfloat16 log-probability would be off by up to 0.07 nats.
// A logit of -inf is a banned token: probability 0, no gradient, no NaN (unless it is the sampled one: logp is -inf
// then, and its gradient d_logp / temperature). A row that is -inf throughout, or holds NaN or +inf, gives NaN and the
// arg-max -1. Gradients need |logit / temperature| below 2^30.
//
// On the CPU one vectorised pass forward, one backward, no memory but the outputs. On other devices, and for float64,
// ATen's operators in chunks of rows. in place: backward's gradient takes the memory of the logits, which hold none
// afterwards, and rows must be contiguous; not a torch operator. The results do not depend on the number of threads,
// but ATen's do for a row that it splits. float16 gradients are rounded before a loss scaler's factor reaches them.
// Throws InvalidArgument on other shapes, dtypes or devices, a token outside the vocabulary, or a temperature out of
// range. The operator is vlmprobe::token_logp.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

namespace vlmprobe::grpo {

struct TokenLogp {
  at::Tensor logp;     // [...] float32, or float64 for float64 logits
  at::Tensor entropy;  // [...] the same
  at::Tensor argmax;   // [...] int64, lowest index of the largest logit, -1 where masked; [0] unless asked for
};

struct TokenLogpOptions {
  double temperature = 1.0;
  bool argmax = false;
  bool in_place = false;  // backward overwrites the logits
};

TokenLogp token_logp(const at::Tensor& logits, const at::Tensor& tokens,
                     const std::optional<at::Tensor>& mask = std::nullopt, const TokenLogpOptions& options = {});

}  // namespace vlmprobe::grpo
