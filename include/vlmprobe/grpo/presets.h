// Presets: plain values. Copy one and change a field. The advantages that go with each are in advantage.h's options:
// sample standard deviation + 1e-4 for the paper and TRL, + 1e-6 and singleton raw for verl, + 1e-9 for OpenRLHF, none
// for Dr. GRPO.
#pragma once

#include "vlmprobe/grpo/options.h"

namespace vlmprobe::grpo {

// The paper's objective. It gives no numbers: clip 0.2 and beta 1e-2 are the field's usual ones (docs/departures.md).
inline constexpr LossOptions kPaper{.surrogate = {.beta = 1e-2}, .reduction = Reduction::grpo};

// The defaults of TRL 1.16's GRPOConfig: epsilon 0.2, no KL, loss_type "dapo".
inline constexpr LossOptions kTrl{.surrogate = {.beta = 0.0}, .reduction = Reduction::dapo};

// verl's defaults for GRPO: dual clip 3, the KL "low_var_kl" (k3) as a loss of weight 1e-3, mean over the tokens.
inline constexpr LossOptions kVerl{.surrogate = {.dual_clip = 3, .beta = 1e-3}, .reduction = Reduction::dapo};

// OpenRLHF's policy loss: clip 0.2, mean over the tokens; its KL is k3 of weight 1e-2 when it is a loss.
inline constexpr LossOptions kOpenRlhf{.surrogate = {.beta = 1e-2}, .reduction = Reduction::dapo};

// Dr. GRPO: a constant normalizer, no KL; advantages without a standard deviation. arXiv 2503.20783.
inline constexpr LossOptions kDrGrpo{.surrogate = {.beta = 0.0}, .reduction = Reduction::dr_grpo};

// GSPO: the ratio of the sequence with its narrow clip, mean over the sequences. arXiv 2507.18071, section 5.1.
inline constexpr LossOptions kGspo{
    .surrogate = {.ratio = RatioLevel::sequence, .clip_low = 3e-4, .clip_high = 4e-4, .beta = 0.0},
    .reduction = Reduction::grpo,
};

}  // namespace vlmprobe::grpo
