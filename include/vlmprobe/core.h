// All that needs no torch, for programs that link vlmprobe::core: vlmprobe/headers.h, and what is compiled beside it:
// formulas read at run time, intervals of rates and their differences, the chat client, the world of shapes, files.
#pragma once

#include "vlmprobe/headers.h"

#include "vlmprobe/core/shape.h"
#include "vlmprobe/grpo/option_names.h"
#include "vlmprobe/grpo/simd.h"
#include "vlmprobe/metrics/bootstrap.h"
#include "vlmprobe/metrics/quantiles.h"
#include "vlmprobe/metrics/rates.h"
#include "vlmprobe/models/chat_client.h"
#include "vlmprobe/models/scripted_model.h"
#include "vlmprobe/reward/formula.h"
#include "vlmprobe/text/safetensors.h"
#include "vlmprobe/world/answer.h"
#include "vlmprobe/world/faults.h"
#include "vlmprobe/world/grammar.h"
#include "vlmprobe/world/judge.h"
#include "vlmprobe/world/program.h"
#include "vlmprobe/world/sample.h"
#include "vlmprobe/world/scene.h"
