#include "vlmprobe/grpo/loss.h"
#include "vlmprobe/grpo/option_names.h"

#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>

#include "check.h"
#include "operators.h"
#include "terms.h"
#include "vlmprobe/core/shape.h"

namespace vlmprobe::grpo {
namespace {

constexpr std::string_view kOp = "grpo::loss";

// Loss and gradient in one pass; backward only scales.
struct LossFunction : torch::autograd::Function<LossFunction> {
  static torch::autograd::variable_list forward(torch::autograd::AutogradContext* context, const at::Tensor& logp,
                                                const at::Tensor& advantages, const at::Tensor& mask,
                                                const Maybe& old_logp, const Maybe& ref_logp, const Maybe& entropy,
                                                const at::Tensor& normalizer, Numbers options) {
    const at::AutoDispatchBelowADInplaceOrView guard;
    const auto [loss, monitors, d_logp, d_entropy] = call<LossForwardOp>(
        "vlmprobe::loss_forward", logp, advantages, mask, old_logp, ref_logp, entropy, normalizer, options);
    context->save_for_backward({d_logp, d_entropy});
    // With weight 0 the entropy is a monitor: nothing flows back into whatever computed it.
    context->saved_data["entropy"] = entropy.has_value() && unpack(options, kOp).surrogate.entropy_weight != 0;
    context->mark_non_differentiable({monitors});
    return {loss, monitors};
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& gradients) {
    expect_state(!at::GradMode::is_enabled(), kOp,
                 "backward: expected create_graph=False, the loss is differentiable once");
    const auto saved = context->get_saved_variables();
    const bool entropy = context->saved_data["entropy"].toBool();
    return {gradients[0].mul(saved[0]), {}, {}, {}, {}, entropy ? gradients[0].mul(saved[1]) : at::Tensor(), {}, {}};
  }
};

}  // namespace

Four kernel::loss_forward(const at::Tensor& logp, const at::Tensor& advantages, const at::Tensor& mask,
                          const Maybe& old_logp, const Maybe& ref_logp, const Maybe& entropy,
                          const at::Tensor& normalizer, Numbers options) {
  const LossOptions unpacked = unpack({options.data(), options.size()}, kOp);
  expect_float32_or_float64(logp, kOp, "logp");
  const Terms terms = grpo::terms(kOp, "logp", logp.sizes(), logp.scalar_type(),
                                  {old_logp, advantages, mask, ref_logp, normalizer}, unpacked);
  if (entropy) {
    Shapes shapes(kOp);
    shapes.require("logp", logp.sizes(), {"B", "T"});
    shapes.require("entropy", entropy->sizes(), {"B", "T"});
    expect(entropy->scalar_type() == logp.scalar_type(), kOp, "entropy: expected {} as logp, got {}",
           c10::toString(logp.scalar_type()), c10::toString(entropy->scalar_type()));
  }
  expect(entropy.has_value() || unpacked.surrogate.entropy_weight == 0, kOp,
         "entropy: expected a tensor, because entropy_weight is {}, got none", unpacked.surrogate.entropy_weight);

  const at::Tensor now = logp.detach().to(at::kCPU).contiguous();
  const at::Tensor h = entropy ? entropy->detach().to(at::kCPU).contiguous() : at::zeros(now.sizes(), now.options());
  const at::Tensor d_logp = at::zeros(now.sizes(), now.options()), d_entropy = at::zeros(now.sizes(), now.options());
  const LossTotals totals = loss_pass(terms, 0, terms.sequences, now, h, d_logp, d_entropy);
  const auto device = logp.device();
  return {at::scalar_tensor(totals.loss, now.options()).to(device),
          monitors(totals, terms, entropy.has_value()).to(device), d_logp.to(device), d_entropy.to(device)};
}

Two kernel::loss(const at::Tensor& logp, const at::Tensor& advantages, const at::Tensor& mask, const Maybe& old_logp,
                 const Maybe& ref_logp, const Maybe& entropy, const at::Tensor& normalizer, Numbers options) {
  const Four all = loss_forward(logp, advantages, mask, old_logp, ref_logp, entropy, normalizer, options);
  return {std::get<0>(all), std::get<1>(all)};
}

Two meta::loss(const at::Tensor& logp, const at::Tensor&, const at::Tensor&, const Maybe&, const Maybe&, const Maybe&,
               const at::Tensor&, Numbers) {
  return {at::empty({}, logp.options()), at::empty({kMonitors}, logp.options().dtype(at::kDouble))};
}

Four meta::loss_forward(const at::Tensor& logp, const at::Tensor& advantages, const at::Tensor& mask,
                        const Maybe& old_logp, const Maybe& ref_logp, const Maybe& entropy,
                        const at::Tensor& normalizer, Numbers options) {
  const auto [value, monitors] = loss(logp, advantages, mask, old_logp, ref_logp, entropy, normalizer, options);
  const auto gradient = [&] { return at::empty_symint(logp.sym_sizes(), logp.options()); };
  return {value, monitors, gradient(), gradient()};
}

Two autograd::loss(const at::Tensor& logp, const at::Tensor& advantages, const at::Tensor& mask, const Maybe& old_logp,
                   const Maybe& ref_logp, const Maybe& entropy, const at::Tensor& normalizer, Numbers options) {
  expect_devices(kOp, logp, "logp", advantages, mask, old_logp, ref_logp);
  if (entropy) expect_device(*entropy, logp, kOp, "entropy", "logp");
  const auto out = LossFunction::apply(logp, advantages, mask, old_logp, ref_logp, entropy, normalizer, options);
  return {out[0], out[1]};
}

namespace {

double monitor(const at::Tensor& monitors, std::int64_t index) {
  return monitors[index].item<double>();
}

}  // namespace

double Loss::kl() const {
  return monitor(monitors, 0);
}
double Loss::clip_fraction() const {
  return monitor(monitors, 1);
}
double Loss::ratio_mean() const {
  return monitor(monitors, 2);
}
double Loss::ratio_max() const {
  return monitor(monitors, 3);
}
double Loss::entropy() const {
  return monitor(monitors, 4);
}
std::int64_t Loss::tokens() const {
  return static_cast<std::int64_t>(monitor(monitors, 5));
}

Loss loss(const at::Tensor& logp, const LossInputs& inputs, const std::optional<at::Tensor>& entropy,
          const at::Tensor& normalizer, const LossOptions& options) {
  expect_defined(kOp, {{"logp", logp}, {"entropy", entropy}});
  expect_inputs(kOp, inputs, normalizer);
  const PackedOptions packed = pack(options);
  const auto [value, monitors] = call<LossOp>("vlmprobe::loss", logp, inputs.advantages, inputs.mask, inputs.old_logp,
                                              inputs.ref_logp, entropy, normalizer, Numbers(packed));
  return {value, monitors};
}

double normalizer(const at::Tensor& mask, Reduction reduction, std::optional<std::int64_t> max_length) {
  constexpr std::string_view kNormalizer = "grpo::normalizer";
  expect_defined(kNormalizer, {{"mask", mask}});
  Shapes shapes(kNormalizer);
  shapes.require("mask", mask.sizes(), {"B", "T"});
  expect_dtype(mask, at::kBool, kNormalizer, "mask");
  expect(!max_length || *max_length >= 1, kNormalizer, "max_length must be at least 1, got {}", max_length.value_or(0));
  expect(max_length || reduction != Reduction::dr_grpo, kNormalizer,
         "max_length: expected a number, because the reduction is dr_grpo, got none");

  const auto sequences = static_cast<double>(mask.size(0));
  if (reduction == Reduction::grpo) return sequences;
  if (reduction == Reduction::dr_grpo) return sequences * static_cast<double>(*max_length);
  return mask.sum().item<double>();
}

}  // namespace vlmprobe::grpo
