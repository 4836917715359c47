#include "terms.h"

#include <ATen/ops/empty.h>

#include <cmath>
#include <limits>

#include "check.h"
#include "vlmprobe/core/shape.h"
#include "vlmprobe/grpo/loss.h"

namespace vlmprobe::grpo {
namespace {

void check_shapes(std::string_view op, std::string_view set_by, at::IntArrayRef sizes, const TermInputs& inputs) {
  Shapes shapes(op);
  shapes.require(set_by, sizes, {"B", "T"});
  if (inputs.old_logp) shapes.require("old_logp", inputs.old_logp->sizes(), {"B", "T"});
  shapes.require("mask", inputs.mask.sizes(), {"B", "T"});
  if (inputs.advantages.dim() == 2) {
    shapes.require("advantages", inputs.advantages.sizes(), {"B", "T"});
  } else {
    shapes.require("advantages", inputs.advantages.sizes(), {"B"});
  }
  if (inputs.ref_logp) shapes.require("ref_logp", inputs.ref_logp->sizes(), {"B", "T"});
  if (inputs.normalizer.dim() != 0) shapes.require("normalizer", inputs.normalizer.sizes(), {"B"});
}

void check_dtypes(std::string_view op, std::string_view set_by, at::ScalarType dtype, const TermInputs& inputs) {
  const auto as_logp = [&](const std::optional<at::Tensor>& tensor, std::string_view name) {
    expect(!tensor || tensor->scalar_type() == dtype, op, "{}: expected {} as {}, got {}", name, c10::toString(dtype),
           set_by, tensor ? c10::toString(tensor->scalar_type()) : "");
  };
  expect_float32_or_float64(inputs.advantages, op, "advantages");
  expect_dtype(inputs.mask, at::kBool, op, "mask");
  as_logp(inputs.old_logp, "old_logp");
  as_logp(inputs.ref_logp, "ref_logp");
}

template <class T>
void check_advantages(std::string_view op, const Terms& terms) {
  const T* advantage = terms.advantages.const_data_ptr<T>();
  const bool* mask = terms.mask.const_data_ptr<bool>();
  for (std::int64_t i = 0; i < terms.sequences * terms.length; ++i)
    expect(!mask[i] || std::isfinite(advantage[i]), op, "advantages: row {} is not finite where the mask is true",
           i / terms.length);
}

std::vector<double> weights(std::string_view op, const Terms& terms, const at::Tensor& normalizer) {
  const at::Tensor counts = normalizer.detach().to(at::kCPU).to(at::kDouble).expand({terms.sequences}).contiguous();
  const bool* mask = terms.mask.const_data_ptr<bool>();
  std::vector<double> weight(static_cast<std::size_t>(terms.sequences));
  for (std::int64_t b = 0; b < terms.sequences; ++b) {
    const double count = counts.const_data_ptr<double>()[b];
    expect(count >= 0 && std::isfinite(count), op, "normalizer must be in [0, inf), got {}", count);
    std::int64_t tokens = 0;
    for (std::int64_t t = 0; t < terms.length; ++t) tokens += mask[b * terms.length + t];
    weight[static_cast<std::size_t>(b)] = token_weight(terms.options.reduction, count, tokens);
  }
  return weight;
}

template <class T>
LossTotals pass(const Terms& terms, std::int64_t first, std::int64_t last, const at::Tensor& logp,
                const at::Tensor& entropy, const at::Tensor& d_logp, const at::Tensor& d_entropy) {
  LossTotals totals;
  for (std::int64_t b = first; b < last; ++b) {
    const std::int64_t begin = b * terms.length;
    const auto size = static_cast<std::size_t>(terms.length);
    const auto view =
        terms.view<T>(begin, terms.length, logp.const_data_ptr<T>() + begin, entropy.const_data_ptr<T>() + begin);
    totals.add(sequence_loss<T>(view, terms.weight[static_cast<std::size_t>(b)], terms.options.surrogate,
                                {d_logp.mutable_data_ptr<T>() + begin, size},
                                {d_entropy.mutable_data_ptr<T>() + begin, size}));
  }
  return totals;
}

}  // namespace

Terms terms(std::string_view op, std::string_view set_by, at::IntArrayRef sizes, at::ScalarType dtype,
            const TermInputs& inputs, const LossOptions& options) {
  check_shapes(op, set_by, sizes, inputs);
  check_dtypes(op, set_by, dtype, inputs);
  expect(inputs.ref_logp.has_value() || options.surrogate.beta == 0, op,
         "ref_logp: expected a tensor, because beta is {}, got none", options.surrogate.beta);

  const auto constant = [](const at::Tensor& tensor) { return tensor.detach().to(at::kCPU).contiguous(); };
  const auto optional = [&](const std::optional<at::Tensor>& tensor) {
    return tensor ? constant(*tensor) : at::Tensor();
  };
  const at::Tensor advantages = inputs.advantages.dim() == 2 ? inputs.advantages : inputs.advantages.unsqueeze(1);
  Terms result{.options = options,
               .sequences = sizes[0],
               .length = sizes[1],
               .old_logp = optional(inputs.old_logp),
               .ref_logp = optional(inputs.ref_logp),
               .advantages = constant(advantages.to(dtype).expand(sizes)),
               .mask = constant(inputs.mask),
               .weight = {}};
  dtype == at::kDouble ? check_advantages<double>(op, result) : check_advantages<float>(op, result);
  result.weight = weights(op, result, inputs.normalizer);
  return result;
}

LossTotals loss_pass(const Terms& terms, std::int64_t first, std::int64_t last, const at::Tensor& logp,
                     const at::Tensor& entropy, const at::Tensor& d_logp, const at::Tensor& d_entropy) {
  return logp.scalar_type() == at::kDouble ? pass<double>(terms, first, last, logp, entropy, d_logp, d_entropy)
                                           : pass<float>(terms, first, last, logp, entropy, d_logp, d_entropy);
}

at::Tensor monitors(const LossTotals& totals, const Terms& terms, bool has_entropy) {
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  const auto mean = [&](double sum, bool known) {
    return known && totals.tokens > 0 ? sum / static_cast<double>(totals.tokens) : kNan;
  };
  const at::Tensor result = at::empty({kMonitors}, at::TensorOptions().dtype(at::kDouble));
  auto* value = result.mutable_data_ptr<double>();
  value[0] = mean(totals.kl, terms.ref_logp.defined());
  value[1] = mean(totals.clipped, true);
  value[2] = mean(totals.ratio, true);
  value[3] = totals.tokens > 0 ? totals.ratio_max : kNan;
  value[4] = mean(totals.entropy, has_entropy);
  value[5] = static_cast<double>(totals.tokens);
  return result;
}

}  // namespace vlmprobe::grpo
