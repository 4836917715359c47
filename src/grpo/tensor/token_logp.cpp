#include "vlmprobe/grpo/token_logp.h"

#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <torch/csrc/autograd/custom_function.h>

#include "check.h"
#include "operators.h"
#include "rows.h"

namespace vlmprobe::grpo {
namespace {

constexpr std::string_view kOp = "grpo::token_logp";

// `in_place` is not part of the operator: its backward writes over the logits.
struct TokenLogpFunction : torch::autograd::Function<TokenLogpFunction> {
  static torch::autograd::variable_list forward(torch::autograd::AutogradContext* context, const at::Tensor& logits,
                                                const at::Tensor& tokens, const Maybe& mask, double temperature,
                                                bool argmax, bool in_place) {
    const at::AutoDispatchBelowADInplaceOrView guard;
    const auto [logp, entropy, log_z, best] =
        call<TokenLogpOp>("vlmprobe::token_logp", logits, tokens, mask, temperature, argmax);
    context->save_for_backward({logits, tokens, mask.value_or(at::Tensor()), logp, entropy, log_z});
    context->saved_data["temperature"] = temperature;
    context->saved_data["in_place"] = in_place;
    context->mark_non_differentiable({log_z, best});
    return {logp, entropy, log_z, best};
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& gradients) {
    expect_state(!at::GradMode::is_enabled(), kOp,
                 "backward: expected create_graph=False, log-probabilities are differentiable once");
    const auto saved = context->get_saved_variables();
    const Maybe mask = saved[2].defined() ? Maybe(saved[2]) : Maybe();
    const double temperature = context->saved_data["temperature"].toDouble();
    at::Tensor result;
    if (context->saved_data["in_place"].toBool()) {
      result = saved[0].detach();
      row_gradient(rows(kOp, result, saved[1], mask, temperature), {saved[3], saved[4], saved[5], {}}, gradients[0],
                   gradients[1], result);
      saved[0].unsafeGetTensorImpl()->bump_version();  // whoever reads them as logits again is told so
    } else {
      result = call<TokenLogpBackwardOp>("vlmprobe::token_logp_backward", gradients[0], gradients[1], saved[0],
                                         saved[1], mask, saved[3], saved[4], saved[5], temperature);
    }
    return {result, {}, {}, {}, {}, {}};
  }
};

void check_devices(const at::Tensor& logits, const at::Tensor& tokens, const Maybe& mask) {
  expect_device(tokens, logits, kOp, "tokens", "logits");
  if (mask) expect_device(*mask, logits, kOp, "mask", "logits");
}

}  // namespace

Four kernel::token_logp(const at::Tensor& logits, const at::Tensor& tokens, const Maybe& mask, double temperature,
                        bool argmax) {
  const RowResults results = row_statistics(rows(kOp, logits, tokens, mask, temperature), argmax);
  return {results.logp, results.entropy, results.log_z, results.argmax};
}

at::Tensor kernel::token_logp_backward(const at::Tensor& d_logp, const at::Tensor& d_entropy, const at::Tensor& logits,
                                       const at::Tensor& tokens, const Maybe& mask, const at::Tensor& logp,
                                       const at::Tensor& entropy, const at::Tensor& log_z, double temperature) {
  const Rows batch = rows(kOp, logits, tokens, mask, temperature);
  const auto own = [&](const at::Tensor& tensor, std::string_view name, at::ScalarType dtype) {
    expect(tensor.sizes() == tokens.sizes(), kOp, "{}: expected shape [{}], got [{}] (set by tokens)", name,
           joined(tokens.sizes(), ", "), joined(tensor.sizes(), ", "));
    expect_dtype(tensor, dtype, kOp, name);
    expect_device(tensor, logits, kOp, name, "logits");
    return tensor.contiguous();
  };
  const at::ScalarType dtype = logp_dtype(logits.scalar_type());
  const RowResults results{
      own(logp, "logp", dtype), own(entropy, "entropy", dtype), own(log_z, "log_z", at::kDouble), {}};
  const at::Tensor out = at::empty(logits.sizes(), logits.options());
  row_gradient(batch, results, own(d_logp, "d_logp", dtype), own(d_entropy, "d_entropy", dtype), out);
  return out;
}

Four meta::token_logp(const at::Tensor& logits, const at::Tensor& tokens, const Maybe&, double, bool argmax) {
  const auto like = [&](at::ScalarType dtype) {
    return at::empty_symint(tokens.sym_sizes(), logits.options().dtype(dtype));
  };
  const at::ScalarType dtype = logp_dtype(logits.scalar_type());
  return {like(dtype), like(dtype), like(at::kDouble),
          argmax ? like(at::kLong) : at::empty({0}, logits.options().dtype(at::kLong))};
}

at::Tensor meta::token_logp_backward(const at::Tensor&, const at::Tensor&, const at::Tensor& logits, const at::Tensor&,
                                     const Maybe&, const at::Tensor&, const at::Tensor&, const at::Tensor&, double) {
  return at::empty_symint(logits.sym_sizes(), logits.options());
}

Four autograd::token_logp(const at::Tensor& logits, const at::Tensor& tokens, const Maybe& mask, double temperature,
                          bool argmax) {
  check_devices(logits, tokens, mask);
  const auto out = TokenLogpFunction::apply(logits, tokens, mask, temperature, argmax, false);
  return {out[0], out[1], out[2], out[3]};
}

TokenLogp token_logp(const at::Tensor& logits, const at::Tensor& tokens, const std::optional<at::Tensor>& mask,
                     const TokenLogpOptions& options) {
  expect_defined(kOp, {{"logits", logits}, {"tokens", tokens}, {"mask", mask}});
  if (options.in_place) {
    check_devices(logits, tokens, mask);
    expect_writable_rows(logits, kOp);
    const auto out = TokenLogpFunction::apply(logits, tokens, mask, options.temperature, options.argmax, true);
    return {out[0], out[1], out[3]};
  }
  const auto [logp, entropy, log_z, argmax] =
      call<TokenLogpOp>("vlmprobe::token_logp", logits, tokens, mask, options.temperature, options.argmax);
  return {logp, entropy, argmax};
}

}  // namespace vlmprobe::grpo
