// One use of each header of vlmprobe::core.
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "../check.h"

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

namespace {

using consumer::holds;

// What a call refuses; the exception is thrown in the library and caught here.
template <class Call>
std::string refusal(Call call) {
  try {
    call();
  } catch (const vlmprobe::InvalidArgument& error) {
    return error.what();
  }
  return "";
}

void use_core() {
  vlmprobe::Shapes shapes("consumer");
  const std::vector<std::int64_t> two = {2, 3}, three = {3, 3};
  shapes.require("logp", two, {"B", "T"});
  holds("core/shape.h", refusal([&] { shapes.require("mask", three, {"B", "T"}); }) ==
                            "[consumer] mask: expected shape [B, T], got [3, 3] (B=2 was set by logp)");
}

void use_grpo_and_metrics() {
  using namespace vlmprobe;
  holds("grpo/option_names.h", grpo::unpack(grpo::pack(grpo::LossOptions{}), "consumer") == grpo::LossOptions{});
  holds("grpo/simd.h", grpo::simd_targets().front() == "aten");

  const std::vector<double> failures = {1, 0, 1, 1}, totals = {1, 1, 1, 1};
  holds("metrics/bootstrap.h", metrics::ratio({failures, totals}, 1, 100).value == 0.75);
  holds("metrics/quantiles.h", std::abs(metrics::normal_quantile(0.975) - 1.959963985) < 1e-8);
  const std::vector<std::int8_t> successes = {1, 0, 1, -1};
  const std::vector<std::int64_t> image = {0, 1, 2, 3};
  holds("metrics/rates.h", metrics::rate(successes, image).n_unscored == 1);
}

void use_models_and_reward() {
  using namespace vlmprobe;
  holds("models/chat_client.h", !refusal([] { models::check_endpoint({.url = "nowhere"}); }).empty());
  const std::map<std::string, std::string, std::less<>> replies = {{"Is it red?", "yes"}};
  models::ScriptedModel model(replies);
  std::vector<models::Request> requests(1);
  requests[0].messages.push_back({.role = "user", .text = "Is it red?"});
  holds("models/scripted_model.h", model.reply(requests)[0].text == "yes");
  holds("reward/formula.h", reward::parse("0.5 * valid * wrong").text() == "0.5 * valid * wrong");

  const std::string header = text::safetensors_header({});
  holds("text/safetensors.h", text::read_safetensors("consumer", "file", header).tensors.empty());
}

void use_world() {
  using namespace vlmprobe::world;
  const Scene scene = sample_scene(5, 0);
  vlmprobe::random::Sequence draw(5, vlmprobe::random::Stream::kQuestion, 0);
  const Sample sample = sample_question(scene, draw);
  holds("world/answer.h", same_answer("Two.", "2") == vlmprobe::Tri::yes);
  holds("world/faults.h", random_faults(5, {.count = 1}).faults().size() == 1);
  holds("world/grammar.h", parse(sample.question).kind == ParseKind::question);
  holds("world/judge.h", judge(scene, sample.question).answer == sample.answer);
  holds("world/program.h", !steps(sample.program).empty());
  holds("world/sample.h", !sample.answer.empty());
  holds("world/scene.h", scene.objects.size() >= 2);
}

}  // namespace

int main() {
  use_core();
  use_grpo_and_metrics();
  use_models_and_reward();
  use_world();
  return consumer::report();
}
