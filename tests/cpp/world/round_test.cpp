// One round of the world in C++ alone: picture, completions, questions, answers with a fault, verdicts, novelty,
// reward, advantages, memory.
#include <array>
#include <cmath>
#include <map>

#include "memory/rows.h"
#include "support.h"
#include "vlmprobe/grpo/advantage.h"
#include "vlmprobe/memory/question_memory.h"
#include "vlmprobe/reward/expression.h"
#include "vlmprobe/text/responses.h"
#include "vlmprobe/world/answer.h"
#include "vlmprobe/world/faults.h"
#include "vlmprobe/world/judge.h"
#include "world/scenes.h"

using namespace vlmprobe;
using doctest::Approx;

namespace {

constexpr std::int64_t kImage = 7;

// A sentence encoder of two dimensions, by hand.
std::array<float, 2> embedding(std::string_view text) {
  const std::map<std::string_view, std::array<float, 2>> known = {{"what color is the cross ?", {0.6F, 0.8F}},
                                                                  {"what color is the star ?", {1, 0}},
                                                                  {"how many red objects are there ?", {0, 1}}};
  const auto found = known.find(text);
  return found == known.end() ? std::array<float, 2>{0.6F, -0.8F} : found->second;
}

// The rows of `table` as the memory wants them.
struct Rows {
  Rows(const Questions& table, const std::vector<std::size_t>& wanted) {
    std::vector<std::int64_t> image, sequence, slot;
    at::Tensor embeddings = at::empty({static_cast<std::int64_t>(wanted.size()), 2}, at::kFloat);
    float* out = embeddings.mutable_data_ptr<float>();
    for (const std::size_t q : wanted) {
      image.push_back(kImage), sequence.push_back(table.sequence[q]), slot.push_back(table.slot[q]);
      texts.emplace_back(table.text[q]);
      for (const float value : embedding(table.text[q])) *out++ = value;
    }
    rows = {column(image), embeddings, texts, column(sequence), column(slot)};
  }
  Rows(const Rows&) = delete;
  std::vector<std::string> texts;
  memory::QuestionRows rows;
};

}  // namespace

TEST_CASE("one round of the world, by hand") {
  // The picture: world/scenes.h. The star is green, there are two red objects among five.
  const world::Scene scene = five();
  const world::FaultSet faults = world::FaultSet::parse(
      R"([{"id": "stars", "when": {"family": "color", "shape": "star"}, "effect": "replace", "map": {"green": "blue"}}])");
  memory::QuestionMemory memory(2);
  const std::vector<std::string_view> earlier = {"<response_1>what color is the cross ?</response_1>"};
  const Questions past = text::parse_responses(earlier, 1);
  REQUIRE(memory.commit("run", 0, Rows(past, {0}).rows) == 1);

  // Three completions of one group, k = 2: a missing slot, a matter of taste, and the star asked about twice.
  const std::vector<std::string_view> completions = {
      "<response_1> what color is the star ? </response_1> <response_2> how many red objects are there ? </response_2>",
      "<response_1> what color is the star ? </response_1> <response_2> is this a nice picture ? </response_2>",
      "<response_1> how many objects are there ? </response_1>"};
  const Questions questions = text::parse_responses(completions, 2);
  REQUIRE(questions.size() == 6);

  // Verdicts: the answerer executes the program, the fault calls the star blue.
  std::vector<std::int8_t> valid(6, 0), correct(6, -1);
  std::vector<std::size_t> asked, wrong;
  for (std::size_t q = 0; q < 6; ++q) {
    if (questions.status[q] != SlotStatus::ok) continue;
    asked.push_back(q);
    const world::Judgement judgement = world::judge(scene, questions.text[q]);
    valid[q] = static_cast<std::int8_t>(validity(judgement.criteria));
    if (!judgement.valid()) continue;
    const world::Corruption given =
        faults.corrupt(scene, *judgement.program, questions.text[q], judgement.answer, judgement.answer);
    correct[q] = static_cast<std::int8_t>(world::same_answer(given.answer, judgement.answer));
    if (correct[q] == 0) wrong.push_back(q);
  }
  CHECK(valid == std::vector<std::int8_t>{1, 1, 1, 0, 1, 0});
  CHECK(correct == std::vector<std::int8_t>{0, 1, 0, -1, 1, -1});
  CHECK(wrong == std::vector<std::size_t>{0, 2});

  // Novelty against step 0's "what color is the cross ?", embedded at (0.6, 0.8):
  //   the star at (1, 0): 1 - 0.6 = 0.4, prefix "what color" seen once: 1 / (1 + 1) = 0.5.
  std::vector<double> semantic(6, std::nan("")), lexical(6, std::nan(""));
  const memory::Novelty novelty = memory.novelty(Rows(questions, asked).rows);
  for (std::size_t i = 0; i < asked.size(); ++i) {
    semantic[asked[i]] = novelty.semantic.const_data_ptr<double>()[i];
    lexical[asked[i]] = novelty.lexical.const_data_ptr<double>()[i];
  }
  CHECK(semantic[0] == Approx(0.4).epsilon(1e-6));
  CHECK(lexical[0] == 0.5);
  CHECK(lexical[1] == 1);

  // Equation 5, scale 1/2, penalty 1:  star 0.5 (0.4 + 0.5) = 0.45;  answered rightly 0;  taste and missing slot -1.
  //   totals: (0.45 + 0) / 2 = 0.225;  (0.45 - 1) / 2 = -0.275;  (0 - 1) / 2 = -0.5
  const reward::Scores scores =
      reward::score(reward::equation5(), {3, questions.sequence, valid, correct, semantic, lexical});
  const std::array expected = {0.45, 0.0, 0.45, -1.0, 0.0, -1.0};
  for (std::size_t q = 0; q < 6; ++q) CHECK(scores.question[q] == Approx(expected[q]).epsilon(1e-6));
  CHECK(scores.total[0] == Approx(0.225).epsilon(1e-6));
  CHECK(scores.total[1] == Approx(-0.275).epsilon(1e-6));
  CHECK(scores.total[2] == Approx(-0.5));

  // Mean -0.55 / 3 = -0.183333; deviations 0.408333, -0.091667, -0.316667; squares 0.166736 + 0.008403 + 0.100278
  // = 0.275417; over 2: 0.137708, root 0.371091, plus 1e-4: 0.371191.
  const std::vector<std::int64_t> group(3, kImage);
  std::array<double, 3> advantages{};
  std::array<bool, 3> degenerate{};
  grpo::group_advantages<double>(scores.total, group, advantages, degenerate);
  CHECK(advantages[0] == Approx(0.408333 / 0.371191).epsilon(1e-5));
  CHECK(advantages[1] == Approx(-0.091667 / 0.371191).epsilon(1e-5));
  CHECK(advantages[2] == Approx(-0.316667 / 0.371191).epsilon(1e-5));
  CHECK_FALSE(degenerate[0]);

  // What was answered wrongly is remembered, once: the star is known now (novelty 0), its prefix three times: 1 / 4.
  const Rows failures(questions, wrong);
  CHECK(memory.commit("run", 1, failures.rows) == 2);
  CHECK(memory.commit("run", 1, failures.rows) == 0);
  CHECK(memory.size() == 3);
  const memory::Novelty next = memory.novelty(Rows(questions, {0}).rows);
  CHECK(next.semantic.const_data_ptr<double>()[0] == Approx(0.0));
  CHECK(next.lexical.const_data_ptr<double>()[0] == 0.25);
}
