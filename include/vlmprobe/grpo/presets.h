// Presets: plain values. Copy one and change a field. Both go with AdvantageOptions as they are by default: the sample
// standard deviation + 1e-4.
#pragma once

#include "vlmprobe/grpo/loss.h"

namespace vlmprobe::grpo {

// The paper's objective. It gives no numbers: clip 0.2 and beta 1e-2 are the field's usual ones (DESIGN section 4).
inline constexpr LossOptions kPaper{
    .surrogate = {.clip_low = 0.2, .clip_high = 0.2, .beta = 1e-2, .entropy_weight = 0.0},
    .reduction = Reduction::grpo,
};

// The defaults of TRL 1.16's GRPOConfig: epsilon 0.2, no KL, loss_type "dapo".
inline constexpr LossOptions kTrl{
    .surrogate = {.clip_low = 0.2, .clip_high = 0.2, .beta = 0.0, .entropy_weight = 0.0},
    .reduction = Reduction::dapo,
};

}  // namespace vlmprobe::grpo
