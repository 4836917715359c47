// Draws one token per row by inverting the distribution, with the log-probability of what was drawn.
//
//   p = softmax(logits / temperature);   token = the first v with sum_{w <= v} p_w > u sum_w p_w
//
//   logits       [N, V]  float32, bfloat16, float16 or float64; -inf bans a word, and a banned word is never drawn
//   uniform      [N]     float64 on the CPU, in [0, 1): the caller's random numbers, one per row
//   temperature  (0, inf)
//
// A row's token depends on its logits and its number alone, not on the other rows nor on the number of threads. Sums
// are in double, word by word inside the block of words that the token falls into. A row that is -inf throughout, or
// holds NaN or +inf, is an error: `logits: row 3 has no distribution`. On the CPU two passes with the kernels of
// token_logp; elsewhere ATen's operators. No gradient. Throws InvalidArgument on other shapes, dtypes, devices or
// values.
//
// linear_draw starts from hidden states: logits = hidden weight^T, float32, in chunks of at most 128 MiB, by the
// products of linear_loss.
//
//   hidden  [N, H]  float32, bfloat16, float16 or float64
//   weight  [V, H]  as hidden
//   banned  [n]     int64 ids that are never drawn
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

namespace vlmprobe::grpo {

struct Drawn {
  at::Tensor token;  // [N] int64
  at::Tensor logp;   // [N] nats, float32, or float64 for float64 logits
};

Drawn draw_tokens(const at::Tensor& logits, const at::Tensor& uniform, double temperature = 1.0);

Drawn linear_draw(const at::Tensor& hidden, const at::Tensor& weight, const at::Tensor& uniform,
                  double temperature = 1.0, const std::optional<at::Tensor>& banned = std::nullopt);

}  // namespace vlmprobe::grpo
