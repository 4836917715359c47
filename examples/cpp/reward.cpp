// The reward of a batch on plain arrays, without torch.
//
//   find_package(vlmprobe COMPONENTS core)      target_link_libraries(reward PRIVATE vlmprobe::core)
//
// Two completions of one picture, two questions each. A verifier has said which questions are valid and which were
// answered rightly; the memory has said how new each of them is.
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "vlmprobe/core.h"

namespace reward = vlmprobe::reward;

// A question is worth its novelty if it is valid and was answered wrongly; one that is not valid costs 1.
reward::Scores paper(const reward::Columns& columns) {
  using reward::semantic, reward::lexical, reward::valid, reward::wrong, reward::invalid;
  return reward::score(0.5 * (semantic + lexical) * valid * wrong - 1.0 * invalid, columns);
}

int main() {
  const std::vector<std::string_view> completions = {
      "<response_1>How many cups are there?</response_1><response_2>Is the cup red?</response_2>",
      "<response_1>Which cup is full?</response_1>"};  // its second question is missing
  const vlmprobe::Questions questions = vlmprobe::text::parse_responses(completions, 2);

  // Another question with the words "how many" has failed before. A verifier has judged the questions and the answers;
  // question 1 had no readable answer, question 3 is not there.
  vlmprobe::memory::PrefixCounts seen;
  seen.add("How many dogs are there?");
  const std::vector<std::int8_t> valid = {1, 1, 1, 0}, correct = {0, -1, 0, -1};  // 1 yes, 0 no, -1 unknown
  const std::vector<double> semantic = {0.75, 0.5, 0.25, reward::kUnknown};
  const std::vector<double> lexical = vlmprobe::memory::lexical_novelty(seen, questions);

  const reward::Columns columns{2, questions.sequence, valid, correct, semantic, lexical};
  const reward::Scores scores = paper(columns);
  for (std::size_t q = 0; q < questions.size(); ++q)
    std::printf("question %zu: %-7s reward %6.3f  %s\n", q, name(questions.status[q]), scores.question[q],
                std::string(questions.text[q]).c_str());

  // The same formula, read from a text: for a configuration file, or a command line.
  std::vector<double> again(questions.size());
  reward::parse("paper").evaluate(columns, again);
  std::printf("completions: %.3f and %.3f; from a text: %.3f\n", scores.total[0], scores.total[1], again[0]);
}
