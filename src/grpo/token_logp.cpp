#include "vlmprobe/grpo/token_logp.h"

#include <ATen/ops/log_softmax.h>
#include <fmt/ranges.h>

#include <cmath>

#include "check.h"

namespace vlmprobe::grpo {
namespace {

constexpr std::string_view kOp = "grpo::token_logp";

void check_tokens(const at::Tensor& tokens, std::int64_t vocabulary) {
  if (tokens.numel() == 0) return;
  const auto low = tokens.min().item<std::int64_t>(), high = tokens.max().item<std::int64_t>();
  expect(low >= 0 && high < vocabulary, kOp, "tokens: expected ids in [0, {}), got {}", vocabulary,
         low < 0 ? low : high);
}

void check_arguments(const at::Tensor& logits, const at::Tensor& tokens, double temperature,
                     const std::optional<at::Tensor>& mask) {
  expect(logits.is_floating_point(), kOp, "logits: expected a floating dtype, got {}",
         c10::toString(logits.scalar_type()));
  expect(logits.dim() >= 1 && logits.size(-1) >= 1, kOp, "logits: expected shape [..., V] with V >= 1, got [{}]",
         fmt::join(logits.sizes(), ", "));
  const auto leading = logits.sizes().slice(0, static_cast<std::size_t>(logits.dim() - 1));
  const auto expect_leading = [&](const at::Tensor& tensor, std::string_view name) {
    expect(tensor.sizes() == leading, kOp, "{}: expected shape [{}], got [{}] (set by logits)", name,
           fmt::join(leading, ", "), fmt::join(tensor.sizes(), ", "));
  };
  expect_leading(tokens, "tokens");
  expect_dtype(tokens, at::kLong, kOp, "tokens");
  if (mask) {
    expect_leading(*mask, "mask");
    expect_dtype(*mask, at::kBool, kOp, "mask");
  }
  expect(temperature > 0 && std::isfinite(temperature), kOp, "temperature must be in (0, inf), got {}", temperature);
}

}  // namespace

TokenLogp token_logp(const at::Tensor& logits, const at::Tensor& tokens, double temperature,
                     const std::optional<at::Tensor>& mask) {
  check_arguments(logits, tokens, temperature, mask);
  // Masked rows become zeros before anything is computed from them, so that neither value nor gradient sees them.
  const at::Tensor token = mask ? tokens.masked_fill(mask->logical_not(), 0) : tokens;
  check_tokens(token, logits.size(-1));
  const at::Tensor logit = mask ? logits.masked_fill(mask->logical_not().unsqueeze(-1), 0) : logits;

  const at::ScalarType dtype = logits.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  const at::Tensor log_p = at::log_softmax(logit.to(dtype).div(temperature), -1);
  const at::Tensor logp = log_p.gather(-1, token.unsqueeze(-1)).squeeze(-1);
  // 0 log 0: the logarithm is replaced before the product, because 0 * -inf is NaN.
  const at::Tensor finite_log_p = log_p.masked_fill(log_p.isneginf(), 0);
  const at::Tensor entropy = log_p.exp().mul(finite_log_p).sum(-1).neg();

  if (!mask) return {logp, entropy};
  return {logp.masked_fill(mask->logical_not(), 0), entropy.masked_fill(mask->logical_not(), 0)};
}

}  // namespace vlmprobe::grpo
