#include <cstdio>

#include <ATen/ops/ones.h>

#include "vlmprobe/vlmprobe.h"

// Takes a tensor through a compiled function of vlmprobe and prints what it says.
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
}
