// Log-probability of the sampled tokens, and the entropy of each distribution, from logits.
//
//   log p = log_softmax(logits / temperature);   logp = log p[token];   entropy = -sum_v p_v log p_v,  with 0 log 0 = 0
//
//   logits       [..., V]  any floating dtype; float32 and float64 are kept, smaller ones are widened to float32 first
//   tokens       [...]     int64, in [0, V) where the mask is true
//   temperature  (0, inf)  the one that sampled: it belongs in old and new log-probabilities alike
//   mask         [...]     bool, optional; masked positions give 0 and pass no gradient, whatever they hold
//
// logp and entropy [...] are in nats, and differentiable in the logits. A logit of -inf is a banned token: probability
// 0, no gradient, no NaN. A row that is -inf throughout, or holds NaN or +inf, gives NaN. Any device; ATen composition
// that materialises log p, so the memory is a few times that of the logits. Throws InvalidArgument on other shapes or
// dtypes, a token outside the vocabulary, or a temperature out of range.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

namespace vlmprobe::grpo {

struct TokenLogp {
  at::Tensor logp;     // [...] float32, or float64 for float64 logits
  at::Tensor entropy;  // [...] the same
};

TokenLogp token_logp(const at::Tensor& logits, const at::Tensor& tokens, double temperature = 1.0,
                     const std::optional<at::Tensor>& mask = std::nullopt);

}  // namespace vlmprobe::grpo
