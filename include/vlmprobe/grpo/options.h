// What a loss is: the surrogate's options and the reduction. Header-only, no torch; names of the options and their flat
// form: option_names.h.
//
//   loss = sum_b (1 / n_b) s_b,   l = surrogate(...) of surrogate.h, over the tokens where the mask is true
//
//   reduction  s_b                n, what the normalizer counts             source
//   grpo       mean of l over b   sequences of the optimiser window         arXiv 2402.03300, the paper's equation 1
//   bnpo       sum of l over b    tokens of this micro-batch                TRL
//   dapo       sum of l over b    tokens of the optimiser window            arXiv 2503.14476
//   dr_grpo    sum of l over b    sequences of the window x maximal length  arXiv 2503.20783
//
// The loss types of TRL are a policy and a reduction: cispo is cispo with dapo's, sapo is sapo with grpo's, luspo is
// clip with the sum, the ratio of a sequence and n = sequences.
#pragma once

#include <cstdint>

#include "vlmprobe/grpo/surrogate.h"

namespace vlmprobe::grpo {

enum class Reduction : std::int8_t { grpo, bnpo, dapo, dr_grpo };

struct LossOptions {
  SurrogateOptions surrogate;
  Reduction reduction = Reduction::grpo;

  friend bool operator==(const LossOptions&, const LossOptions&) = default;
};

// The weight 1 / n_b of a sequence's tokens, with the mean of `grpo` folded in. A normalizer of 0 counts as 1.
inline double token_weight(Reduction reduction, double normalizer, std::int64_t tokens) {
  const double count = normalizer == 0 ? 1 : normalizer;
  return 1 / (reduction == Reduction::grpo && tokens > 0 ? count * static_cast<double>(tokens) : count);
}

}  // namespace vlmprobe::grpo
