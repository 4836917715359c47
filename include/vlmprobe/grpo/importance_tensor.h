// Importance weights over tensors. Formula, bounds and masked positions: importance.h, which does the work.
//
//   old_logp, sampling_logp  [B, T]  float32 or float64, the same for both
//   mask                     [B, T]  bool
//
// Returns [B, T], of the dtype and on the device of old_logp; nothing is differentiable. Throws InvalidArgument on
// other shapes, dtypes or bounds.
#pragma once

#include <ATen/core/Tensor.h>

#include "vlmprobe/grpo/importance.h"

namespace vlmprobe::grpo {

at::Tensor importance_weights(const at::Tensor& old_logp, const at::Tensor& sampling_logp, const at::Tensor& mask,
                              const ImportanceOptions& options = {});

}  // namespace vlmprobe::grpo
