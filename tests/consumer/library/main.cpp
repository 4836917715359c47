#include <cstdio>

#include <ATen/ops/ones.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/zeros.h>

#include "vlmprobe/vlmprobe.h"

// Takes tensors through compiled functions of vlmprobe and prints what they say: an error, and the loss of a head of
// two tokens with its gradient. The torch operators behind the loss come with the library.
int main() {
  const at::Tensor logp = at::ones({2, 3});
  vlmprobe::Shapes shapes("consumer");
  shapes.require("logp", {logp.sizes().data(), logp.sizes().size()}, {"B", "T"});
  try {
    const std::int64_t mask[] = {3, 3};
    shapes.require("mask", mask, {"B", "T"});
  } catch (const vlmprobe::InvalidArgument& error) {
    std::printf("%s\n", error.what());
  }

  namespace grpo = vlmprobe::grpo;
  const at::Tensor hidden = at::ones({1, 1, 16}), weight = at::zeros({2, 16}).requires_grad_(true);
  const grpo::TokenLoss result =
      grpo::linear_loss(hidden, weight, at::zeros({1, 1}, at::kLong), {at::ones({1}), at::ones({1, 1}, at::kBool)},
                        at::scalar_tensor(1.0), grpo::kTrl);
  result.loss.backward();
  std::printf("loss %.1f gradient %.1f\n", result.loss.item<double>(), weight.grad()[0][0].item<double>());
}
