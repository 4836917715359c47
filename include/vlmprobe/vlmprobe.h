// Everything, for programs that link vlmprobe::vlmprobe: vlmprobe/core.h, and the same over tensors. Takes seconds to
// compile, because torch's headers do: include what you use where that matters.
#pragma once

#include "vlmprobe/core.h"

#include "vlmprobe/grpo/advantage_tensor.h"
#include "vlmprobe/grpo/draw.h"
#include "vlmprobe/grpo/importance_tensor.h"
#include "vlmprobe/grpo/linear_loss.h"
#include "vlmprobe/grpo/loss.h"
#include "vlmprobe/grpo/loss_from_logits.h"
#include "vlmprobe/grpo/token_logp.h"
#include "vlmprobe/memory/approximate_bank.h"
#include "vlmprobe/memory/embedding_bank.h"
#include "vlmprobe/memory/question_memory.h"
#include "vlmprobe/metrics/diversity.h"
#include "vlmprobe/metrics/rates_tensor.h"
#include "vlmprobe/reward/score.h"
