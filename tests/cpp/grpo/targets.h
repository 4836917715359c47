// Runs a check with every set of kernels that this machine has, from ATen's operators to the fastest.
#pragma once

#include <string_view>

#include "vlmprobe/grpo/simd.h"

template <class Check>
void on_every_target(Check&& check) {
  for (const std::string_view target : vlmprobe::grpo::simd_targets()) {
    CAPTURE(target);
    vlmprobe::grpo::limit_simd(target);
    check();
  }
  vlmprobe::grpo::limit_simd(std::nullopt);
}
