#include "undefined.h"

#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>

#include "vlmprobe/grpo/advantage_tensor.h"
#include "vlmprobe/grpo/draw.h"
#include "vlmprobe/grpo/importance_tensor.h"
#include "vlmprobe/grpo/linear_loss.h"
#include "vlmprobe/grpo/loss.h"
#include "vlmprobe/grpo/loss_from_logits.h"
#include "vlmprobe/grpo/token_logp.h"

using namespace vlmprobe::grpo;

namespace {

at::Tensor numbers(at::IntArrayRef sizes) {
  return at::full(sizes, -1.0, at::kDouble);
}
at::Tensor integers(at::IntArrayRef sizes) {
  return at::zeros(sizes, at::kLong);
}
at::Tensor flags(at::IntArrayRef sizes) {
  return at::ones(sizes, at::kBool);
}

}  // namespace

TEST_CASE("the losses name a tensor that is not there") {
  const auto inputs = [](const Arguments& a) { return LossInputs{a[0].value, a[1].value, a[2].value, a[3].value}; };
  const Arguments shared = {{"advantages", numbers({2})},
                            {"mask", flags({2, 3})},
                            {"old_logp", numbers({2, 3})},
                            {"ref_logp", numbers({2, 3})},
                            {"normalizer", at::ones({}, at::kDouble)}};
  const auto with = [&](Arguments more) {
    Arguments all = shared;
    all.insert(all.end(), more.begin(), more.end());
    return all;
  };
  each_undefined("grpo::loss", with({{"logp", numbers({2, 3})}, {"entropy", numbers({2, 3})}}),
                 [&](const Arguments& a) { loss(a[5].value, inputs(a), a[6].value, a[4].value); });
  each_undefined("grpo::loss_from_logits", with({{"logits", numbers({2, 3, 5})}, {"tokens", integers({2, 3})}}),
                 [&](const Arguments& a) { loss_from_logits(a[5].value, a[6].value, inputs(a), a[4].value); });
  each_undefined("grpo::linear_loss",
                 with({{"hidden", numbers({2, 3, 4})},
                       {"weight", numbers({5, 4})},
                       {"tokens", integers({2, 3})},
                       {"banned", integers({0})}}),
                 [&](const Arguments& a) {
                   linear_loss(a[5].value, a[6].value, a[7].value, inputs(a), a[4].value, {}, {.banned = a[8].value});
                 });
  each_undefined("grpo::normalizer", {{"mask", flags({2, 3})}},
                 [](const Arguments& a) { normalizer(a[0].value, Reduction::dapo); });
}

TEST_CASE("log-probabilities, draws and weights name a tensor that is not there") {
  each_undefined("grpo::token_logp", {{"logits", numbers({2, 5})}, {"tokens", integers({2})}, {"mask", flags({2})}},
                 [](const Arguments& a) { token_logp(a[0].value, a[1].value, a[2].value); });
  each_undefined("grpo::draw_tokens", {{"logits", numbers({2, 5})}, {"uniform", at::zeros({2}, at::kDouble)}},
                 [](const Arguments& a) { draw_tokens(a[0].value, a[1].value); });
  each_undefined("grpo::linear_draw",
                 {{"hidden", numbers({2, 4})},
                  {"weight", numbers({5, 4})},
                  {"uniform", at::zeros({2}, at::kDouble)},
                  {"banned", integers({0})}},
                 [](const Arguments& a) { linear_draw(a[0].value, a[1].value, a[2].value, 1.0, a[3].value); });
  each_undefined("grpo::importance_weights",
                 {{"old_logp", numbers({2, 3})}, {"sampling_logp", numbers({2, 3})}, {"mask", flags({2, 3})}},
                 [](const Arguments& a) { importance_weights(a[0].value, a[1].value, a[2].value); });
}

TEST_CASE("advantages name a tensor that is not there") {
  each_undefined("grpo::group_advantages", {{"rewards", numbers({4})}, {"group", integers({4})}},
                 [](const Arguments& a) { group_advantages(a[0].value, a[1].value); });
  each_undefined("grpo::gdpo_advantages",
                 {{"rewards", numbers({4, 2})}, {"group", integers({4})}, {"weights", at::ones({2}, at::kDouble)}},
                 [](const Arguments& a) { gdpo_advantages(a[0].value, a[1].value, a[2].value); });
  each_undefined(
      "grpo::question_advantages",
      {{"question_rewards", numbers({2})},
       {"sequence", integers({2})},
       {"token_begin", integers({2})},
       {"token_end", integers({2})},
       {"group", integers({1})}},
      [](const Arguments& a) { question_advantages(a[0].value, a[1].value, a[2].value, a[3].value, a[4].value, 3); });
}
