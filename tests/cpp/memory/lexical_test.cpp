#include "vlmprobe/memory/lexical.h"

#include <cmath>
#include <string>
#include <string_view>
#include <vector>

#include "support.h"
#include "vlmprobe/text/responses.h"

using namespace vlmprobe;
using memory::PrefixCounts;

namespace {

const std::vector<std::string_view> kCompletions = {"<response_1>How many cats?</response_1><response_2>Why?",
                                                    "<response_1> What's the </response_1>"};

Questions table(std::int64_t prefix_length = text::kPrefixLength) {
  return text::parse_responses(kCompletions, 2, {}, {.prefix_length = prefix_length});
}

}  // namespace

TEST_CASE("counts and novelties of a batch, of texts and of a table") {
  PrefixCounts counts;
  const std::vector<std::string_view> history = {"How many?", "how MANY dogs", "Why?"};
  memory::add_all<std::string_view>(counts, history);
  CHECK(counts.total() == 3);

  const std::vector<std::string> texts = {"How many cats?", "Why", "Who?", ""};
  CHECK(memory::counts_of<std::string>(counts, texts) == std::vector<std::int64_t>{2, 1, 0, 0});
  CHECK(memory::lexical_novelty<std::string>(counts, texts) == std::vector<double>{1.0 / 3, 0.5, 1, 1});

  // Rows: how many, unclosed, whats the, missing.
  CHECK(memory::counts_of(counts, table()) == std::vector<std::int64_t>{2, 0, 0, 0});
  const std::vector<double> novelty = memory::lexical_novelty(counts, table());
  CHECK(novelty[0] == 1.0 / 3);
  CHECK(novelty[2] == 1);
  CHECK((std::isnan(novelty[1]) && std::isnan(novelty[3])));

  memory::add_all(counts, table());
  CHECK(counts.total() == 5);
  CHECK(counts.count("How many birds?") == 3);
  CHECK(counts.count("whats THE matter") == 1);
}

TEST_CASE("a table of another prefix length is cut again") {
  PrefixCounts one(1);
  one.add("How far?");
  CHECK(memory::counts_of(one, table(2)) == std::vector<std::int64_t>{1, 0, 0, 0});
  CHECK(memory::counts_of(one, table(1)) == std::vector<std::int64_t>{1, 0, 0, 0});
  CHECK(table(1).prefix.strings() == std::vector<std::string>{"how", "", "whats", ""});
  CHECK(table(2).prefix.strings() == std::vector<std::string>{"how many", "", "whats the", ""});
}

TEST_CASE("many prefixes keep their numbers and counts while the table of them grows") {
  PrefixCounts counts;
  std::vector<std::string> words;
  for (int i = 0; i < 5000; ++i) words.push_back(std::to_string(i * i).append(" x"));
  for (int round = 0; round < 2; ++round)
    for (std::size_t i = 0; i < words.size(); ++i) REQUIRE(counts.add(words[i]) == static_cast<std::int64_t>(i));
  for (const std::string& word : words) REQUIRE(counts.count(word) == 2);
  CHECK(counts.count("5 x") == 0);
  CHECK(counts.prefixes() == words);
  CHECK(counts.counts().size() == words.size());
}
