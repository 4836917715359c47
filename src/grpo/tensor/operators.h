// The torch operators of grpo. For src/grpo only: the public functions are in include/vlmprobe/grpo.
//
// Each operator has a kernel (this folder's C++, on any device), a meta kernel (shapes only, for tracing) and, where it
// is differentiable, an autograd kernel. `call` goes through torch's dispatcher, so that tracing and autograd see
// every operator; the public functions do the same.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/dispatch/Dispatcher.h>

#include <optional>
#include <tuple>

namespace vlmprobe::grpo {

using Maybe = std::optional<at::Tensor>;
using Numbers = at::ArrayRef<double>;
using Two = std::tuple<at::Tensor, at::Tensor>;
using Four = std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor>;
using Five = std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor, at::Tensor>;
using Six = std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor, at::Tensor, at::Tensor>;

// (logp, entropy, log_z, argmax)
using TokenLogpOp = Four(const at::Tensor& logits, const at::Tensor& tokens, const Maybe& mask, double temperature,
                         bool argmax);
using TokenLogpBackwardOp = at::Tensor(const at::Tensor& d_logp, const at::Tensor& d_entropy, const at::Tensor& logits,
                                       const at::Tensor& tokens, const Maybe& mask, const at::Tensor& logp,
                                       const at::Tensor& entropy, const at::Tensor& log_z, double temperature);
// (loss, monitors); with _forward also (d_logp, d_entropy)
using LossOp = Two(const at::Tensor& logp, const at::Tensor& advantages, const at::Tensor& mask, const Maybe& old_logp,
                   const Maybe& ref_logp, const Maybe& entropy, const at::Tensor& normalizer, Numbers options);
using LossForwardOp = Four(const at::Tensor& logp, const at::Tensor& advantages, const at::Tensor& mask,
                           const Maybe& old_logp, const Maybe& ref_logp, const Maybe& entropy,
                           const at::Tensor& normalizer, Numbers options);
// (loss, monitors, logp, entropy); with _forward also d_logits, empty unless `gradient`
using LossFromLogitsOp = Four(const at::Tensor& logits, const at::Tensor& tokens, const at::Tensor& advantages,
                              const at::Tensor& mask, const Maybe& old_logp, const Maybe& ref_logp,
                              const at::Tensor& normalizer, double temperature, Numbers options);
using LossFromLogitsForwardOp = Five(const at::Tensor& logits, const at::Tensor& tokens, const at::Tensor& advantages,
                                     const at::Tensor& mask, const Maybe& old_logp, const Maybe& ref_logp,
                                     const at::Tensor& normalizer, double temperature, Numbers options, bool gradient);
// (loss, monitors, logp, entropy); with _forward also d_hidden and d_weight, empty unless asked for
using LinearLossOp = Four(const at::Tensor& hidden, const at::Tensor& weight, const at::Tensor& tokens,
                          const at::Tensor& advantages, const at::Tensor& mask, const Maybe& old_logp,
                          const Maybe& ref_logp, const at::Tensor& normalizer, double temperature,
                          std::optional<std::int64_t> logits_bytes, const Maybe& banned, Numbers options);
using LinearLossForwardOp = Six(const at::Tensor& hidden, const at::Tensor& weight, const at::Tensor& tokens,
                                const at::Tensor& advantages, const at::Tensor& mask, const Maybe& old_logp,
                                const Maybe& ref_logp, const at::Tensor& normalizer, double temperature,
                                std::optional<std::int64_t> logits_bytes, const Maybe& banned, Numbers options,
                                bool hidden_gradient, bool weight_gradient);

// (values, degenerate)
using GroupAdvantagesOp = Two(const at::Tensor& rewards, const at::Tensor& group, Numbers options);

namespace kernel {
GroupAdvantagesOp group_advantages;
TokenLogpOp token_logp;
TokenLogpBackwardOp token_logp_backward;
LossOp loss;
LossForwardOp loss_forward;
LossFromLogitsOp loss_from_logits;
LossFromLogitsForwardOp loss_from_logits_forward;
LinearLossOp linear_loss;
LinearLossForwardOp linear_loss_forward;
}  // namespace kernel

namespace meta {
GroupAdvantagesOp group_advantages;
TokenLogpOp token_logp;
TokenLogpBackwardOp token_logp_backward;
LossOp loss;
LossForwardOp loss_forward;
LossFromLogitsOp loss_from_logits;
LossFromLogitsForwardOp loss_from_logits_forward;
LinearLossOp linear_loss;
LinearLossForwardOp linear_loss_forward;
}  // namespace meta

namespace autograd {
TokenLogpOp token_logp;
LossOp loss;
LossFromLogitsOp loss_from_logits;
LinearLossOp linear_loss;
}  // namespace autograd

// The operator of that name; in the source that registers them, so that whoever calls one has them registered.
c10::OperatorHandle operator_handle(const char* name);

// Calls an operator through the dispatcher: call<LossOp>("vlmprobe::loss", logp, ...). The handle is kept per Op: each
// operator has a signature of its own.
template <class Op, class... Arguments>
auto call(const char* name, Arguments&&... arguments) {
  static const auto op = operator_handle(name).typed<Op>();
  return op.call(std::forward<Arguments>(arguments)...);
}

}  // namespace vlmprobe::grpo
