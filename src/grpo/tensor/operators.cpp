#include "operators.h"

#include <torch/library.h>

namespace vlmprobe::grpo {
namespace {

constexpr auto kSchemas = {
    "group_advantages(Tensor rewards, Tensor group, float[] options) -> (Tensor values, Tensor degenerate)",
    "token_logp(Tensor logits, Tensor tokens, Tensor? mask, float temperature, bool argmax) -> "
    "(Tensor logp, Tensor entropy, Tensor log_z, Tensor argmax)",
    "token_logp_backward(Tensor d_logp, Tensor d_entropy, Tensor logits, Tensor tokens, Tensor? mask, Tensor logp, "
    "Tensor entropy, Tensor log_z, float temperature) -> Tensor",
    "loss(Tensor logp, Tensor advantages, Tensor mask, Tensor? old_logp, Tensor? ref_logp, Tensor? entropy, "
    "Tensor normalizer, float[] options) -> (Tensor loss, Tensor monitors)",
    "loss_forward(Tensor logp, Tensor advantages, Tensor mask, Tensor? old_logp, Tensor? ref_logp, Tensor? entropy, "
    "Tensor normalizer, float[] options) -> (Tensor loss, Tensor monitors, Tensor d_logp, Tensor d_entropy)",
    "loss_from_logits(Tensor logits, Tensor tokens, Tensor advantages, Tensor mask, Tensor? old_logp, "
    "Tensor? ref_logp, Tensor normalizer, float temperature, float[] options) -> "
    "(Tensor loss, Tensor monitors, Tensor logp, Tensor entropy)",
    "loss_from_logits_forward(Tensor logits, Tensor tokens, Tensor advantages, Tensor mask, Tensor? old_logp, "
    "Tensor? ref_logp, Tensor normalizer, float temperature, float[] options, bool gradient) -> "
    "(Tensor loss, Tensor monitors, Tensor logp, Tensor entropy, Tensor d_logits)",
    "linear_loss(Tensor hidden, Tensor weight, Tensor tokens, Tensor advantages, Tensor mask, Tensor? old_logp, "
    "Tensor? ref_logp, Tensor normalizer, float temperature, int? logits_bytes, Tensor? banned, float[] options) -> "
    "(Tensor loss, Tensor monitors, Tensor logp, Tensor entropy)",
    "linear_loss_forward(Tensor hidden, Tensor weight, Tensor tokens, Tensor advantages, Tensor mask, "
    "Tensor? old_logp, Tensor? ref_logp, Tensor normalizer, float temperature, int? logits_bytes, Tensor? banned, "
    "float[] options, bool hidden_gradient, bool weight_gradient) -> "
    "(Tensor loss, Tensor monitors, Tensor logp, Tensor entropy, Tensor d_hidden, Tensor d_weight)",
};

constexpr auto kKernel = c10::DispatchKey::CompositeExplicitAutograd;
constexpr auto kMeta = c10::DispatchKey::Meta;
constexpr auto kAutograd = c10::DispatchKey::Autograd;

// Registers the operators once per process: vlmprobe is a static library, and a process may hold two copies of it (the
// Python module and another extension that links it). Both then use the first one's kernels.
bool register_operators() {
  if (c10::Dispatcher::singleton().findSchema({"vlmprobe::token_logp", ""})) return false;
  static torch::Library library(torch::Library::DEF, "vlmprobe", std::nullopt, __FILE__, __LINE__);
  for (const char* schema : kSchemas) library.def(schema);
  const auto implement = [&](const char* name, auto* kernel, auto* meta) {
    library.impl(name, torch::dispatch(kKernel, kernel));
    library.impl(name, torch::dispatch(kMeta, meta));
  };
  implement("group_advantages", &kernel::group_advantages, &meta::group_advantages);
  implement("token_logp", &kernel::token_logp, &meta::token_logp);
  implement("token_logp_backward", &kernel::token_logp_backward, &meta::token_logp_backward);
  implement("loss", &kernel::loss, &meta::loss);
  implement("loss_forward", &kernel::loss_forward, &meta::loss_forward);
  implement("loss_from_logits", &kernel::loss_from_logits, &meta::loss_from_logits);
  implement("loss_from_logits_forward", &kernel::loss_from_logits_forward, &meta::loss_from_logits_forward);
  implement("linear_loss", &kernel::linear_loss, &meta::linear_loss);
  implement("linear_loss_forward", &kernel::linear_loss_forward, &meta::linear_loss_forward);
  library.impl("group_advantages", torch::dispatch(kAutograd, torch::CppFunction::makeFallthrough()));
  library.impl("token_logp", torch::dispatch(kAutograd, &autograd::token_logp));
  library.impl("loss", torch::dispatch(kAutograd, &autograd::loss));
  library.impl("loss_from_logits", torch::dispatch(kAutograd, &autograd::loss_from_logits));
  library.impl("linear_loss", torch::dispatch(kAutograd, &autograd::linear_loss));
  return true;
}

[[maybe_unused]] const bool kRegistered = register_operators();

}  // namespace

c10::OperatorHandle operator_handle(const char* name) {
  return c10::Dispatcher::singleton().findSchemaOrThrow(name, "");
}

}  // namespace vlmprobe::grpo
