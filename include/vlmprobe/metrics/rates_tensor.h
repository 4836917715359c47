// A rate with its interval over tensors. Formula, few clusters and unscored rows: rates.h, which does the work.
//
//   successes  [N]  bool, or int8 with 1 success, 0 failure, -1 unscored
//   cluster    [N]  int64, any labels: the image of each question
//
// On any device; the work is done on the CPU. Throws InvalidArgument on another shape, dtype or value.
#pragma once

#include <ATen/core/Tensor.h>

#include "vlmprobe/metrics/rates.h"

namespace vlmprobe::metrics {

Rate rate(const at::Tensor& successes, const at::Tensor& cluster, double confidence = 0.95);

}  // namespace vlmprobe::metrics
