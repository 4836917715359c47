// Rewards of a batch over tensors.
//
//   sequence          [Q]  int64, 0 .. num_sequences - 1, in any order
//   valid, correct    [Q]  int8: 1, 0, or -1 for unknown; valid is 0 for a missing or malformed slot
//   semantic, lexical [Q]  float64 in [0, 1], NaN for unknown
//   custom            by name, each [Q] float64, finite or NaN for unknown; the formula's custom terms at least
//
// The rules of expression.h: question rewards, total = mean over a sequence's scorable questions (NaN without any),
// each term before weighting. All on the CPU; all results float64. Throws InvalidArgument for anything else.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <string>

#include "vlmprobe/reward/formula.h"

namespace vlmprobe::reward {

struct Batch {
  std::int64_t num_sequences = 0;
  at::Tensor sequence;
  at::Tensor valid, correct;
  at::Tensor semantic, lexical;
  std::map<std::string, at::Tensor> custom = {};
};

struct Rewards {
  at::Tensor question;                      // [Q]
  at::Tensor total;                         // [num_sequences]
  std::map<std::string, at::Tensor> terms;  // each [Q]
};

Rewards score(const Formula& formula, const Batch& batch);

}  // namespace vlmprobe::reward
