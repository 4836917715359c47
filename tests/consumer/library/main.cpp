// One use of each header of vlmprobe::vlmprobe.
#include <ATen/ops/eye.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include <cmath>
#include <string>
#include <vector>

#include "../check.h"

#include "vlmprobe/core/error.h"
#include "vlmprobe/grpo/advantage_tensor.h"
#include "vlmprobe/grpo/draw.h"
#include "vlmprobe/grpo/importance_tensor.h"
#include "vlmprobe/grpo/linear_loss.h"
#include "vlmprobe/grpo/loss.h"
#include "vlmprobe/grpo/loss_from_logits.h"
#include "vlmprobe/grpo/presets.h"
#include "vlmprobe/grpo/token_logp.h"
#include "vlmprobe/memory/approximate_bank.h"
#include "vlmprobe/memory/embedding_bank.h"
#include "vlmprobe/memory/question_memory.h"
#include "vlmprobe/metrics/diversity.h"
#include "vlmprobe/metrics/rates_tensor.h"
#include "vlmprobe/reward/score.h"

namespace {

using consumer::holds;

at::Tensor longs(std::initializer_list<std::int64_t> numbers) {
  return at::tensor(at::ArrayRef<std::int64_t>(numbers), at::kLong);
}
at::Tensor doubles(std::initializer_list<double> numbers) {
  return at::tensor(at::ArrayRef<double>(numbers), at::kDouble);
}

// The torch operators behind these come with the library, and their errors cross it.
void use_grpo() {
  using namespace vlmprobe::grpo;
  const Advantages advantages = group_advantages(doubles({0, 1, 2}), longs({7, 7, 7}));
  std::string refused;
  try {
    group_advantages(doubles({0}), longs({7, 7}));
  } catch (const vlmprobe::InvalidArgument& error) {
    refused = error.what();
  }
  holds("grpo/advantage_tensor.h", advantages.values[2].item<double>() > 0.99 && refused.find("group") != refused.npos);

  const at::Tensor even = at::zeros({1, 1, 2}), token = at::zeros({1, 1}, at::kLong), one = at::scalar_tensor(1.0);
  const LossInputs inputs{at::ones({1}), at::ones({1, 1}, at::kBool)};
  holds("grpo/draw.h", draw_tokens(even[0], doubles({0.75})).token.item<std::int64_t>() == 1);
  const at::Tensor logp = at::zeros({1, 1});
  holds("grpo/importance_tensor.h", importance_weights(logp, logp, inputs.mask).item<double>() == 1);
  holds("grpo/loss.h", loss(logp, inputs, std::nullopt, one, kTrl).loss.item<double>() == -1);
  holds("grpo/loss_from_logits.h", loss_from_logits(even, token, inputs, one, kTrl).loss.item<double>() == -1);
  holds("grpo/token_logp.h", std::abs(token_logp(even, token).logp.item<double>() + std::log(2)) < 1e-6);

  const at::Tensor weight = at::zeros({2, 16}).requires_grad_(true);
  const TokenLoss result = linear_loss(at::ones({1, 1, 16}), weight, token, inputs, one, kTrl);
  result.loss.backward();
  holds("grpo/linear_loss.h", weight.grad()[0][0].item<double>() == -0.5);
}

void use_memory() {
  using namespace vlmprobe::memory;
  const at::Tensor rows = at::eye(8);
  holds("memory/approximate_bank.h", ApproximateBank(rows).nearest(rows, 1).id[3].item<std::int64_t>() == 3);
  EmbeddingBank bank(8);
  bank.add(rows);
  holds("memory/embedding_bank.h", bank.nearest(rows, 1).id[5].item<std::int64_t>() == 5);

  QuestionMemory memory(8);
  const std::vector<std::string> texts = {"How many cats?"};
  const QuestionRows question{longs({0}), rows.slice(0, 0, 1), texts, longs({0}), longs({0})};
  memory.commit("run", 0, question);
  holds("memory/question_memory.h", memory.novelty(question).lexical.item<double>() == 0.5);
}

void use_the_rest() {
  using namespace vlmprobe;
  holds("metrics/diversity.h", std::abs(metrics::vendi(at::eye(4)) - 4) < 1e-9);
  holds("metrics/rates_tensor.h", metrics::rate(at::ones({4}, at::kBool), longs({0, 1, 2, 3})).value == 1);
  const at::Tensor yes = at::ones({1}, at::kChar), no = at::zeros({1}, at::kChar), novelty = doubles({1});
  const reward::Rewards rewards = reward::score(reward::parse("paper"), {1, longs({0}), yes, no, novelty, novelty});
  holds("reward/score.h", rewards.total.item<double>() == 1);
}

}  // namespace

int main() {
  use_grpo();
  use_memory();
  use_the_rest();
  return consumer::report();
}
