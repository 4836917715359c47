// All that needs nothing but a C++20 compiler, for programs that link vlmprobe::headers: what a completion says, what
// it is worth, and how much to learn from it. Everything here works by being included: no torch, no library, no fmt.
//
//   text     a completion becomes questions; a judge's reply becomes a verdict
//   memory   how often a question's first words came before
//   reward   the reward as an expression:  0.5 * (semantic + lexical) * valid * wrong - invalid
//   grpo     advantages of a group, the surrogate loss of a sequence and its gradient
//   metrics  diversity of labels
//   models   what a model is asked and replies; the interface of one of your own
//   core     errors, random numbers by position, the tables of a step
//
// What is compiled comes with vlmprobe/core.h, tensors with vlmprobe/vlmprobe.h. Headers in a folder `detail` are not
// for users: they change without notice.
#pragma once

#include "vlmprobe/core/error.h"
#include "vlmprobe/core/random.h"
#include "vlmprobe/core/sha256.h"
#include "vlmprobe/core/tables.h"
#include "vlmprobe/core/text_column.h"
#include "vlmprobe/grpo/advantage.h"
#include "vlmprobe/grpo/gdpo.h"
#include "vlmprobe/grpo/groups.h"
#include "vlmprobe/grpo/importance.h"
#include "vlmprobe/grpo/kl.h"
#include "vlmprobe/grpo/options.h"
#include "vlmprobe/grpo/presets.h"
#include "vlmprobe/grpo/question_advantage.h"
#include "vlmprobe/grpo/sequence_loss.h"
#include "vlmprobe/grpo/surrogate.h"
#include "vlmprobe/memory/lexical.h"
#include "vlmprobe/memory/prefix_counts.h"
#include "vlmprobe/metrics/entropy.h"
#include "vlmprobe/models/finish.h"
#include "vlmprobe/models/model.h"
#include "vlmprobe/reward/expression.h"
#include "vlmprobe/reward/terms.h"
#include "vlmprobe/reward/value.h"
#include "vlmprobe/text/delimiters.h"
#include "vlmprobe/text/findings.h"
#include "vlmprobe/text/invisible.h"
#include "vlmprobe/text/prefix.h"
#include "vlmprobe/text/responses.h"
#include "vlmprobe/text/thinking.h"
#include "vlmprobe/text/verdict.h"
#include "vlmprobe/world/vocabulary.h"
