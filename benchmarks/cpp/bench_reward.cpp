// The reward path on strings and spans: parsing, prefix counts, equation 5, and all three on 4096 questions.
#include <benchmark/benchmark.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "vlmprobe/memory/lexical.h"
#include "vlmprobe/reward/expression.h"
#include "vlmprobe/reward/formula.h"
#include "vlmprobe/text/responses.h"

namespace {

using namespace vlmprobe;

constexpr std::int64_t kSequences = 2048, kSlots = 2;

struct Batch {
  std::vector<std::string> completions;
  std::vector<std::string_view> views;
  std::vector<std::int8_t> valid, correct;
  std::vector<double> semantic;
  memory::PrefixCounts history;

  Batch() {
    const std::vector<std::string> starts = {"How many", "What color is", "Is there a", "Where is the", "What's the"};
    const std::vector<std::string> ends = {"red circles behind the car", "striped star left of the tree",
                                           "small blue square near the café", "green triangle on the table"};
    for (std::size_t b = 0; b < kSequences; ++b) {
      std::string text;
      for (std::size_t s = 1; s <= kSlots; ++s) {
        const std::string tag = "response_" + std::to_string(s) + ">";
        const std::string question = starts[(b + s) % starts.size()] + " " + ends[(b * 7 + s) % ends.size()] + "?";
        text += "<" + tag + " " + question + (b % 10 == 3 && s == 2 ? "" : " </" + tag + "\n");
        history.add(question);
        valid.push_back(static_cast<std::int8_t>(b % 9 != 0));
        correct.push_back(static_cast<std::int8_t>((b + s) % 3 == 0));
        semantic.push_back(static_cast<double>((b * 31 + s) % 101) / 100);
      }
      completions.push_back(text);
    }
    views.assign(completions.begin(), completions.end());
  }
};

const Batch& batch() {
  static const Batch kBatch;
  return kBatch;
}

reward::Columns columns(const Questions& questions, const std::vector<double>& lexical) {
  const Batch& b = batch();
  return {kSequences, questions.sequence, b.valid, b.correct, b.semantic, lexical};
}

void parse(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(text::parse_responses(batch().views, kSlots));
  state.SetItemsProcessed(state.iterations() * kSequences * kSlots);
}
BENCHMARK(parse);

void count_prefixes(benchmark::State& state) {
  const Questions questions = text::parse_responses(batch().views, kSlots);
  for (auto _ : state) benchmark::DoNotOptimize(memory::lexical_novelty(batch().history, questions));
  state.SetItemsProcessed(state.iterations() * kSequences * kSlots);
}
BENCHMARK(count_prefixes);

template <class E>
void equation_5(benchmark::State& state, const E& expression) {
  const Questions questions = text::parse_responses(batch().views, kSlots);
  const std::vector<double> lexical = memory::lexical_novelty(batch().history, questions);
  const reward::Columns rows = columns(questions, lexical);
  for (auto _ : state) benchmark::DoNotOptimize(reward::score(expression, rows));
  state.SetItemsProcessed(state.iterations() * kSequences * kSlots);
}
BENCHMARK_CAPTURE(equation_5, static_expression, reward::equation5());
BENCHMARK_CAPTURE(equation_5, formula, reward::paper());

void reward_4096(benchmark::State& state) {
  for (auto _ : state) {
    const Questions questions = text::parse_responses(batch().views, kSlots);
    const std::vector<double> lexical = memory::lexical_novelty(batch().history, questions);
    benchmark::DoNotOptimize(reward::score(reward::equation5(), columns(questions, lexical)));
  }
  state.SetItemsProcessed(state.iterations() * kSequences * kSlots);
}
BENCHMARK(reward_4096);

}  // namespace
