// Group advantages over tensors. Formulas, options, ties, empties and unscored members: advantage.h, gdpo.h and
// question_advantage.h, which do the work.
//
//   rewards           [B]  float32 or float64; NaN = unscored. GDPO: [B, K]
//   group             [B]  int64, any labels, in any order; groups may differ in size
//   question_rewards  [Q]  float32 or float64
//   sequence, token_begin, token_end  [Q]  int64
//
// Results have the dtype and the device of the rewards; nothing is differentiable. The work is done on the CPU,
// whatever the device, on one thread: the result does not depend on the number of threads. B = 0 and Q = 0 are legal.
// Throws InvalidArgument on a shape or dtype other than the above, an infinite reward, or options out of range.
// The operator is vlmprobe::group_advantages.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

#include "vlmprobe/grpo/gdpo.h"
#include "vlmprobe/grpo/question_advantage.h"

namespace vlmprobe::grpo {

struct Advantages {
  at::Tensor values;      // [B], or [B, T] with credit per question
  at::Tensor degenerate;  // [B] bool: the group carries no signal, its values are exactly 0
};

Advantages group_advantages(const at::Tensor& rewards, const at::Tensor& group, const AdvantageOptions& options = {});

// `weights` [K] float32 or float64, 1 each when absent.
Advantages gdpo_advantages(const at::Tensor& rewards, const at::Tensor& group,
                           const std::optional<at::Tensor>& weights = std::nullopt,
                           const AdvantageOptions& options = {});

// `length` is T, the completion width of the batch.
Advantages question_advantages(const at::Tensor& question_rewards, const at::Tensor& sequence,
                               const at::Tensor& token_begin, const at::Tensor& token_end, const at::Tensor& group,
                               std::int64_t length, const AdvantageOptions& options = {});

}  // namespace vlmprobe::grpo
