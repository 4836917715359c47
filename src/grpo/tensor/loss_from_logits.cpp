#include "vlmprobe/grpo/loss_from_logits.h"
#include "vlmprobe/grpo/option_names.h"

#include <ATen/Parallel.h>
#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>

#include "check.h"
#include "operators.h"
#include "rows.h"
#include "scale_gradient.h"
#include "terms.h"

namespace vlmprobe::grpo {
namespace {

constexpr std::string_view kOp = "grpo::loss_from_logits";

struct Found {
  LossTotals totals;
  at::Tensor logp, entropy;  // [B, T]
};

// A row at a time: statistics, surrogate, gradient, while the row is in cache. For a ratio per token.
template <class T>
Found row_by_row(const Rows& rows, const Terms& terms, const Kernels& table, const at::Tensor& out) {
  const at::TensorOptions options = rows.tokens.options().dtype(at::kFloat);
  Found found{{}, at::zeros(rows.tokens.sizes(), options), at::zeros(rows.tokens.sizes(), options)};
  auto* logp = found.logp.mutable_data_ptr<float>();
  auto* entropy = found.entropy.mutable_data_ptr<float>();
  const RowWalk<T> walk(table, rows, out);
  std::vector<LossTotals> totals(static_cast<std::size_t>(walk.size()));

  at::parallel_for(0, walk.size(), row_grain(rows.logits.size(-1)), [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t r = first; r < last; ++r) {
      if (!walk.counts(r)) {
        if (out.defined()) walk.zero(r);
        continue;
      }
      const RowStatistics row = walk.statistics(r, false);
      const double exact = walk.logp(row, r);
      logp[r] = static_cast<float>(exact), entropy[r] = static_cast<float>(row.entropy());
      float d_logp = 0, d_entropy = 0;
      totals[static_cast<std::size_t>(r)] = sequence_loss<float>(
          terms.view<float>(r, 1, logp + r, entropy + r), terms.weight[static_cast<std::size_t>(r / terms.length)],
          terms.options.surrogate, {&d_logp, 1}, {&d_entropy, 1});
      if (out.defined()) walk.gradient(r, {row.log_z(), exact, row.entropy(), d_logp, d_entropy});
    }
  });
  for (const LossTotals& row : totals) found.totals.add(row);
  return found;
}

// All rows' statistics, the loss of whole sequences, all rows' gradients: any ratio, device and dtype.
Found in_phases(const Rows& rows, const Terms& terms, const at::Tensor& out) {
  const RowResults results = row_statistics(rows, false);
  const at::Tensor logp = results.logp.to(at::kCPU), entropy = results.entropy.to(at::kCPU);
  const at::Tensor d_logp = at::zeros(logp.sizes(), logp.options()),
                   d_entropy = at::zeros(logp.sizes(), logp.options());
  const LossTotals totals = loss_pass(terms, 0, terms.sequences, logp, entropy, d_logp, d_entropy);
  const auto device = rows.logits.device();
  if (out.defined()) row_gradient(rows, results, d_logp.to(device), d_entropy.to(device), out);
  return {totals, results.logp, results.entropy};
}

// The loss, and its gradient into `out` if that is defined; `out` may be the logits.
Four run(const at::Tensor& logits, const at::Tensor& tokens, const TermInputs& inputs, double temperature,
         Numbers options, const at::Tensor& out) {
  expect(logits.dim() == 3, kOp, "logits: expected shape [B, T, V], got {} dimensions", logits.dim());
  const Rows batch = rows(kOp, logits, tokens, inputs.mask, temperature);
  const Terms term = terms(kOp, "logits", tokens.sizes(), logp_dtype(logits.scalar_type()), inputs,
                           unpack({options.data(), options.size()}, kOp));
  const Kernels* table = kernels_for(logits);
  const bool fused = table != nullptr && term.options.surrogate.ratio == RatioLevel::token;
  const Found found =
      fused ? with_dtype(batch.logits, [&]<class T>(T) { return row_by_row<T>(batch, term, *table, out); })
            : in_phases(batch, term, out);
  return {at::scalar_tensor(found.totals.loss, found.logp.options()),
          monitors(found.totals, term, true).to(logits.device()), found.logp, found.entropy};
}

// `in_place` is not part of the operator: the gradient takes the memory of the logits.
struct LogitsFunction : torch::autograd::Function<LogitsFunction> {
  static torch::autograd::variable_list forward(torch::autograd::AutogradContext* context, const at::Tensor& logits,
                                                const at::Tensor& tokens, const at::Tensor& advantages,
                                                const at::Tensor& mask, const Maybe& old_logp, const Maybe& ref_logp,
                                                const at::Tensor& normalizer, double temperature, Numbers options,
                                                bool needs_gradient, bool in_place) {
    const at::AutoDispatchBelowADInplaceOrView guard;
    at::Tensor loss, monitors, logp, entropy, d_logits;
    if (in_place) {
      d_logits = logits.detach();
      std::tie(loss, monitors, logp, entropy) =
          run(logits, tokens, {old_logp, advantages, mask, ref_logp, normalizer}, temperature, options, d_logits);
      logits.unsafeGetTensorImpl()->bump_version();  // whoever saved them as logits is told so
    } else {
      std::tie(loss, monitors, logp, entropy, d_logits) =
          call<LossFromLogitsForwardOp>("vlmprobe::loss_from_logits_forward", logits, tokens, advantages, mask,
                                        old_logp, ref_logp, normalizer, temperature, options, needs_gradient);
    }
    context->save_for_backward({d_logits});
    context->saved_data["in_place"] = in_place;
    context->mark_non_differentiable({monitors, logp, entropy});
    return {loss, monitors, logp, entropy};
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& gradients) {
    expect_state(!at::GradMode::is_enabled(), kOp,
                 "backward: expected create_graph=False, the loss is differentiable once");
    const at::Tensor d_logits = context->get_saved_variables()[0];
    return {scale_gradient(d_logits, gradients[0], context->saved_data["in_place"].toBool()),
            {},
            {},
            {},
            {},
            {},
            {},
            {},
            {},
            {},
            {}};
  }
};

}  // namespace

Five kernel::loss_from_logits_forward(const at::Tensor& logits, const at::Tensor& tokens, const at::Tensor& advantages,
                                      const at::Tensor& mask, const Maybe& old_logp, const Maybe& ref_logp,
                                      const at::Tensor& normalizer, double temperature, Numbers options,
                                      bool gradient) {
  const at::Tensor out = gradient ? at::empty(logits.sizes(), logits.options()) : at::Tensor();
  const auto [loss, monitors, logp, entropy] =
      run(logits, tokens, {old_logp, advantages, mask, ref_logp, normalizer}, temperature, options, out);
  return {loss, monitors, logp, entropy, gradient ? out : at::empty({0}, logits.options())};
}

Four kernel::loss_from_logits(const at::Tensor& logits, const at::Tensor& tokens, const at::Tensor& advantages,
                              const at::Tensor& mask, const Maybe& old_logp, const Maybe& ref_logp,
                              const at::Tensor& normalizer, double temperature, Numbers options) {
  return run(logits, tokens, {old_logp, advantages, mask, ref_logp, normalizer}, temperature, options, {});
}

Four meta::loss_from_logits(const at::Tensor& logits, const at::Tensor& tokens, const at::Tensor&, const at::Tensor&,
                            const Maybe&, const Maybe&, const at::Tensor&, double, Numbers) {
  const at::TensorOptions options = logits.options().dtype(logp_dtype(logits.scalar_type()));
  const auto per_token = [&] { return at::empty_symint(tokens.sym_sizes(), options); };
  return {at::empty({}, options), at::empty({kMonitors}, options.dtype(at::kDouble)), per_token(), per_token()};
}

Five meta::loss_from_logits_forward(const at::Tensor& logits, const at::Tensor& tokens, const at::Tensor& advantages,
                                    const at::Tensor& mask, const Maybe& old_logp, const Maybe& ref_logp,
                                    const at::Tensor& normalizer, double temperature, Numbers options, bool gradient) {
  const auto [loss, monitors, logp, entropy] =
      loss_from_logits(logits, tokens, advantages, mask, old_logp, ref_logp, normalizer, temperature, options);
  return {loss, monitors, logp, entropy,
          gradient ? at::empty_symint(logits.sym_sizes(), logits.options()) : at::empty({0}, logits.options())};
}

Four autograd::loss_from_logits(const at::Tensor& logits, const at::Tensor& tokens, const at::Tensor& advantages,
                                const at::Tensor& mask, const Maybe& old_logp, const Maybe& ref_logp,
                                const at::Tensor& normalizer, double temperature, Numbers options) {
  expect_device(tokens, logits, kOp, "tokens", "logits");
  expect_devices(kOp, logits, "logits", advantages, mask, old_logp, ref_logp);
  const bool gradient = at::GradMode::is_enabled() && logits.requires_grad();
  const auto out = LogitsFunction::apply(logits, tokens, advantages, mask, old_logp, ref_logp, normalizer, temperature,
                                         options, gradient, false);
  return {out[0], out[1], out[2], out[3]};
}

TokenLoss loss_from_logits(const at::Tensor& logits, const at::Tensor& tokens, const LossInputs& inputs,
                           const at::Tensor& normalizer, const LossOptions& options, const LogitsOptions& how) {
  expect_defined(kOp, {{"logits", logits}, {"tokens", tokens}});
  expect_inputs(kOp, inputs, normalizer);
  const PackedOptions packed = pack(options);
  if (how.in_place) {
    expect_device(tokens, logits, kOp, "tokens", "logits");
    expect_devices(kOp, logits, "logits", inputs.advantages, inputs.mask, inputs.old_logp, inputs.ref_logp);
    expect(at::GradMode::is_enabled() && logits.requires_grad(), kOp,
           "in_place: expected logits that require a gradient, got none that do");
    expect_writable_rows(logits, kOp);
    const auto out = LogitsFunction::apply(logits, tokens, inputs.advantages, inputs.mask, inputs.old_logp,
                                           inputs.ref_logp, normalizer, how.temperature, Numbers(packed), true, true);
    return {{out[0], out[1]}, out[2], out[3]};
  }
  const auto [loss, monitors, logp, entropy] =
      call<LossFromLogitsOp>("vlmprobe::loss_from_logits", logits, tokens, inputs.advantages, inputs.mask,
                             inputs.old_logp, inputs.ref_logp, normalizer, how.temperature, Numbers(packed));
  return {{loss, monitors}, logp, entropy};
}

}  // namespace vlmprobe::grpo
