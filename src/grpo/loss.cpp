#include "vlmprobe/grpo/loss.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "check.h"
#include "vlmprobe/core/shape.h"

namespace vlmprobe::grpo {
namespace {

constexpr std::string_view kOp = "grpo::loss";
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// The constants of a loss: checked, detached, on the CPU, [B, T] each and the normalizer [B] in float64.
struct Constants {
  at::Tensor old_logp, ref_logp, advantages, mask, normalizer;
};

// What one pass over the tokens leaves behind.
struct Pass {
  double loss = 0;
  double kl = 0, clipped = 0, ratio = 0, ratio_max = -std::numeric_limits<double>::infinity(), entropy = 0;
  std::int64_t tokens = 0;
  at::Tensor d_logp, d_entropy;  // [B, T]
};

void check_shapes(const LossInputs& inputs, const at::Tensor& normalizer) {
  Shapes shapes(kOp);
  shapes.require("logp", inputs.logp.sizes(), {"B", "T"});
  shapes.require("old_logp", inputs.old_logp.sizes(), {"B", "T"});
  shapes.require("mask", inputs.mask.sizes(), {"B", "T"});
  if (inputs.advantages.dim() == 2) {
    shapes.require("advantages", inputs.advantages.sizes(), {"B", "T"});
  } else {
    shapes.require("advantages", inputs.advantages.sizes(), {"B"});
  }
  if (inputs.ref_logp) shapes.require("ref_logp", inputs.ref_logp->sizes(), {"B", "T"});
  if (inputs.entropy) shapes.require("entropy", inputs.entropy->sizes(), {"B", "T"});
  if (normalizer.dim() != 0) shapes.require("normalizer", normalizer.sizes(), {"B"});
}

void check_dtypes(const LossInputs& inputs) {
  const auto as_logp = [&](const at::Tensor& tensor, std::string_view name) {
    expect(tensor.scalar_type() == inputs.logp.scalar_type(), kOp, "{}: expected {} as logp, got {}", name,
           c10::toString(inputs.logp.scalar_type()), c10::toString(tensor.scalar_type()));
  };
  expect_float32_or_float64(inputs.logp, kOp, "logp");
  expect_float32_or_float64(inputs.advantages, kOp, "advantages");
  expect_dtype(inputs.mask, at::kBool, kOp, "mask");
  as_logp(inputs.old_logp, "old_logp");
  if (inputs.ref_logp) as_logp(*inputs.ref_logp, "ref_logp");
  if (inputs.entropy) as_logp(*inputs.entropy, "entropy");
}

void check_options(const LossInputs& inputs, const LossOptions& options) {
  check(options.surrogate, kOp);
  expect(inputs.ref_logp.has_value() || options.surrogate.beta == 0, kOp,
         "ref_logp: expected a tensor, because beta is {}, got none", options.surrogate.beta);
  expect(inputs.entropy.has_value() || options.surrogate.entropy_weight == 0, kOp,
         "entropy: expected a tensor, because entropy_weight is {}, got none", options.surrogate.entropy_weight);
}

// [B] float64; 0 counts as 1, so that a window without a token divides by something.
at::Tensor per_sequence(const at::Tensor& normalizer, std::int64_t sequences) {
  const at::Tensor counts = normalizer.detach().to(at::kCPU).to(at::kDouble).expand({sequences}).contiguous();
  for (std::int64_t b = 0; b < sequences; ++b) {
    const double count = counts.const_data_ptr<double>()[b];
    expect(count >= 0 && std::isfinite(count), kOp, "normalizer must be in [0, inf), got {}", count);
  }
  return counts.masked_fill(counts.eq(0), 1);
}

Constants constants(const LossInputs& inputs, const at::Tensor& normalizer) {
  const auto constant = [](const at::Tensor& tensor) { return tensor.detach().to(at::kCPU); };
  const at::Tensor advantages = constant(inputs.advantages).to(inputs.logp.scalar_type());
  return {.old_logp = constant(inputs.old_logp),
          .ref_logp = constant(inputs.ref_logp.value_or(inputs.logp)),
          .advantages = advantages.dim() == 2 ? advantages : advantages.unsqueeze(1).expand(inputs.logp.sizes()),
          .mask = constant(inputs.mask),
          .normalizer = per_sequence(normalizer, inputs.logp.size(0))};
}

std::int64_t count_true(const at::TensorAccessor<bool, 1>& row) {
  std::int64_t count = 0;
  for (std::int64_t t = 0; t < row.size(0); ++t) count += row[t];
  return count;
}

template <class T>
Pass pass(const at::Tensor& logp, const at::Tensor& entropy, const Constants& constants, const LossOptions& options) {
  Pass result{.d_logp = at::zeros_like(logp), .d_entropy = at::zeros_like(logp)};
  const auto now = logp.accessor<T, 2>(), old = constants.old_logp.accessor<T, 2>(),
             ref = constants.ref_logp.accessor<T, 2>(), advantage = constants.advantages.accessor<T, 2>(),
             h = entropy.accessor<T, 2>();
  const auto mask = constants.mask.accessor<bool, 2>();
  const double* normalizer = constants.normalizer.const_data_ptr<double>();
  auto d_logp = result.d_logp.accessor<T, 2>(), d_entropy = result.d_entropy.accessor<T, 2>();

  for (std::int64_t b = 0; b < now.size(0); ++b) {
    const std::int64_t tokens = count_true(mask[b]);
    if (tokens == 0) continue;
    const double weight =
        1 / (normalizer[b] * (options.reduction == Reduction::grpo ? static_cast<double>(tokens) : 1));
    result.tokens += tokens;
    for (std::int64_t t = 0; t < now.size(1); ++t) {
      if (!mask[b][t]) continue;
      const auto token = surrogate<T>(now[b][t], old[b][t], ref[b][t], advantage[b][t], h[b][t], options.surrogate);
      result.loss += weight * token.loss;
      d_logp[b][t] = static_cast<T>(weight * token.d_logp);
      d_entropy[b][t] = static_cast<T>(weight * token.d_entropy);
      result.kl += token.k3;
      result.clipped += token.clipped;
      result.ratio += token.ratio;
      result.ratio_max = std::max<double>(result.ratio_max, token.ratio);
      result.entropy += h[b][t];
    }
  }
  return result;
}

// Loss and gradient in one pass; backward only scales. `monitors` takes the rest of the pass.
struct LossFunction : torch::autograd::Function<LossFunction> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& logp,
                            const at::Tensor& entropy, const Constants& constants, const LossOptions& options,
                            Pass* monitors) {
    const bool wide = logp.scalar_type() == at::kDouble;
    *monitors = wide ? pass<double>(logp, entropy, constants, options) : pass<float>(logp, entropy, constants, options);
    context->save_for_backward({monitors->d_logp, monitors->d_entropy});
    return at::scalar_tensor(monitors->loss, logp.options());
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& gradients) {
    expect_state(!at::GradMode::is_enabled(), kOp,
                 "backward: expected create_graph=False, the loss is differentiable once");
    const auto saved = context->get_saved_variables();
    return {gradients[0].mul(saved[0]), gradients[0].mul(saved[1]), {}, {}, {}};
  }
};

}  // namespace

Loss loss(const LossInputs& inputs, const at::Tensor& normalizer, const LossOptions& options) {
  check_shapes(inputs, normalizer);
  check_dtypes(inputs);
  check_options(inputs, options);

  const at::Tensor logp = inputs.logp.to(at::kCPU);
  const at::Tensor given =
      inputs.entropy ? inputs.entropy->to(at::kCPU) : at::zeros({}, logp.options()).expand_as(logp);
  // With weight 0 the entropy is a monitor: nothing flows back into whatever computed it.
  const at::Tensor entropy = options.surrogate.entropy_weight == 0 ? given.detach() : given;
  Pass monitors;
  const at::Tensor value = LossFunction::apply(logp, entropy, constants(inputs, normalizer), options, &monitors);

  const auto mean = [&](double sum, bool known) {
    return known && monitors.tokens > 0 ? sum / static_cast<double>(monitors.tokens) : kNan;
  };
  return {.loss = value.to(inputs.logp.device()),
          .kl = mean(monitors.kl, inputs.ref_logp.has_value()),
          .clip_fraction = mean(monitors.clipped, true),
          .ratio_mean = mean(monitors.ratio, true),
          .ratio_max = monitors.tokens > 0 ? monitors.ratio_max : kNan,
          .entropy = mean(monitors.entropy, inputs.entropy.has_value()),
          .tokens = monitors.tokens};
}

Loss loss(const LossInputs& inputs, double normalizer, const LossOptions& options) {
  return loss(inputs, at::scalar_tensor(normalizer, at::TensorOptions().dtype(at::kDouble)), options);
}

}  // namespace vlmprobe::grpo
