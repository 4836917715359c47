// One use of each header of vlmprobe::headers.
#include <cmath>
#include <string>
#include <vector>

#include "../check.h"

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

namespace {

using consumer::holds;

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
  using namespace vlmprobe;
  const auto refuse = [] { expect(false, "consumer", "k: expected at least {}, got {}", 1, 0.5); };
  holds("core/error.h", refusal(refuse) == "[consumer] k: expected at least 1, got 0.5");
  const double draw = random::uniform(1, random::Stream::kSampling, 1, 2, 3);
  holds("core/random.h", std::abs(draw - 0.4349552623078713) < 1e-15);
  holds("core/sha256.h", sha256("abc").starts_with("ba7816bf"));
  holds("core/tables.h", validity({}) == Tri::unknown);
  TextColumn column;
  column.push_back("one");
  holds("core/text_column.h", column[0] == "one");
}

void use_grpo() {
  using namespace vlmprobe::grpo;
  const std::vector<double> rewards = {0, 1, 2};
  const std::vector<std::int64_t> group = {7, 7, 7};
  std::vector<double> values(3);
  bool degenerate[3];
  group_advantages<double>(rewards, group, values, degenerate);
  holds("grpo/advantage.h", values[1] == 0 && values[2] > 0.99);
  const std::vector<double> one = {1};
  gdpo_advantages<double>(rewards, one, group, values, degenerate);
  holds("grpo/gdpo.h", values[0] < 0 && values[2] > 0);
  holds("grpo/groups.h", Groups(group).count() == 1);

  const std::vector<double> logp = {-1};
  const bool mask[] = {true};
  std::vector<double> weight(1);
  importance_weights<double>(logp, logp, mask, weight);
  holds("grpo/importance.h", weight[0] == 1);
  holds("grpo/kl.h", kl_divergence(0.0, KlEstimator::k3, false).value == 0);
  holds("grpo/options.h", token_weight(Reduction::grpo, 2, 4) == 0.125);
  holds("grpo/presets.h", kDrGrpo.reduction == Reduction::dr_grpo);

  const std::vector<std::int64_t> row = {0, 1, 2}, begin = {0, 0, 0}, end = {1, 1, 1};
  question_advantages<double>(rewards, {row, begin, end}, group, 1, values, degenerate);
  holds("grpo/question_advantage.h", values[2] > 0.99);
  std::vector<double> d_logp(1), d_entropy(1);
  const LossTotals totals = sequence_loss<double>(
      {.logp = logp, .old_logp = {}, .ref_logp = {}, .advantages = one, .entropy = {}, .mask = {}}, 1, {}, d_logp,
      d_entropy);
  holds("grpo/sequence_loss.h", totals.loss == -1 && d_logp[0] == -1);
  holds("grpo/surrogate.h", !refusal([] { check(SurrogateOptions{.clip_low = 2}, "consumer"); }).empty());
}

void use_text_and_memory() {
  using namespace vlmprobe;
  holds("text/delimiters.h", text::neutralise("<a>") ==
                                 "\xE2\x80\xB9"
                                 "a\xE2\x80\xBA");
  holds("text/findings.h", std::string(text::name(text::Reading::empty)) == "empty");
  holds("text/invisible.h", !text::has_visible("\xE2\x80\x8B"));
  holds("text/prefix.h", text::prefix("How many cats?") == "how many");
  const std::vector<std::string_view> completions = {"<response_1>How many cats?</response_1>"};
  const Questions questions = text::parse_responses(completions, 1);
  holds("text/responses.h", questions.text[0] == "How many cats?");
  holds("text/thinking.h", text::thinking("<think>no</think>yes").end > 0);
  const std::vector<std::string_view> keys = {"correct"};
  holds("text/verdict.h", text::read_verdict("<verdict>{\"correct\": true}</verdict>", keys).truths[0] == Tri::yes);

  memory::PrefixCounts counts;
  memory::add_all(counts, questions);
  holds("memory/lexical.h", memory::lexical_novelty(counts, questions)[0] == 0.5);
  holds("memory/prefix_counts.h", counts.count("how many dogs") == 1);
}

struct Silent : vlmprobe::models::Model {
  std::string identity() const override { return "silent"; }
  std::vector<vlmprobe::models::Reply> reply(std::span<const vlmprobe::models::Request> requests) override {
    return std::vector<vlmprobe::models::Reply>(requests.size());
  }
};

void use_the_rest() {
  using namespace vlmprobe;
  const std::vector<std::int64_t> labels = {1, 2};
  holds("metrics/entropy.h", metrics::duplicates<std::int64_t>(labels) == 0);
  holds("models/finish.h", models::finish_of("stop") == models::Finish::whole);
  const std::vector<models::Request> requests(2);
  holds("models/model.h", Silent().reply(requests)[1].status == models::Status::transport);

  const std::vector<std::int64_t> sequence = {0};
  const std::vector<std::int8_t> valid = {1}, correct = {0};
  const std::vector<double> novelty = {1};
  const reward::Columns columns{1, sequence, valid, correct, novelty, novelty};
  holds("reward/expression.h", reward::score(reward::equation5(), columns).total[0] == 1);
  holds("reward/terms.h", reward::read(reward::TermId::wrong, columns, 0).value == 1);
  holds("reward/value.h", std::isnan((reward::indicator(1) * reward::indicator(-1)).value));
  holds("world/vocabulary.h", world::index_of(world::kColors, "blue") == 2);
}

}  // namespace

int main() {
  use_core();
  use_grpo();
  use_text_and_memory();
  use_the_rest();
  return consumer::report();
}
