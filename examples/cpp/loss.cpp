// The GRPO loss of a group on tensors, and one step of an optimiser's work by hand.
//
//   find_package(vlmprobe)      target_link_libraries(loss PRIVATE vlmprobe::vlmprobe)
//
// Four completions of one prompt, three tokens each, over a vocabulary of five. The "model" is a table of logits; its
// log-probabilities rise where the advantage is above 0 and fall where it is below.
#include <ATen/ops/ones.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include <cstdio>

#include "vlmprobe/vlmprobe.h"

namespace grpo = vlmprobe::grpo;

int main() {
  const at::Tensor rewards = at::tensor({1.0F, 0.0F, 0.5F, 0.5F});  // [B]
  const at::Tensor group = at::zeros({4}, at::kLong);               // [B] all of one prompt
  const grpo::Advantages advantages = grpo::group_advantages(rewards, group);

  at::Tensor logits = at::zeros({4, 3, 5}).requires_grad_(true);  // [B, T, V]
  const at::Tensor tokens = at::ones({4, 3}, at::kLong);          // [B, T] what was sampled
  const at::Tensor mask = at::ones({4, 3}, at::kBool);            // [B, T] the last token of row 0 is padding
  mask[0][2] = false;

  const grpo::LossInputs inputs{.advantages = advantages.values, .mask = mask};
  const at::Tensor normalizer = at::scalar_tensor(grpo::normalizer(mask, grpo::Reduction::dapo));
  for (int step = 0; step < 3; ++step) {
    const grpo::TokenLoss loss = grpo::loss_from_logits(logits, tokens, inputs, normalizer, grpo::kTrl);
    loss.loss.backward();
    std::printf("step %d: logp of the best %.4f, of the worst %.4f; padding's gradient %.1f\n", step,
                loss.logp[0][0].item<double>(), loss.logp[1][0].item<double>(),
                logits.grad()[0][2].abs().sum().item<double>());
    logits = logits.detach().sub(logits.grad(), 10).requires_grad_(true);
  }
}
