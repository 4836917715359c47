#include "vlmprobe/text/responses.h"

#include <regex>

#include "support.h"
#include "vlmprobe/core/random.h"

using namespace vlmprobe;

namespace {

Questions parse(std::string_view text, std::int64_t k = 2, const std::vector<std::int64_t>& ends = {},
                const text::ResponseOptions& options = {}) {
  const std::vector<std::string_view> completions = {text};
  const std::vector<std::vector<std::int64_t>> token_ends = {ends};
  return text::parse_responses(completions, k, ends.empty() ? std::span<const std::vector<std::int64_t>>{} : token_ends,
                               options);
}

std::string statuses(const Questions& questions) {
  std::string out;
  for (const SlotStatus status : questions.status) out.append(out.empty() ? "" : " ").append(name(status));
  return out;
}

std::vector<std::int64_t> every_byte(std::string_view text) {
  std::vector<std::int64_t> ends(text.size());
  for (std::size_t i = 0; i < ends.size(); ++i) ends[i] = static_cast<std::int64_t>(i) + 1;
  return ends;
}

// The statuses as the header defines them, one definition after the other over the list of all tags, with std::regex.
std::string reference(const std::string& text, std::int64_t k) {
  struct Tag {
    std::int64_t number;
    bool closing;
    std::size_t begin, end;
  };
  static const std::regex pattern("<(/?)response_([0-9]+)>");
  std::vector<Tag> tags;
  for (std::sregex_iterator it(text.begin(), text.end(), pattern), stop; it != stop; ++it) {
    std::int64_t number = 0;
    for (std::int64_t i = 1; i <= k; ++i)
      if ((*it)[2] == std::to_string(i)) number = i;
    tags.push_back({number, (*it)[1].length() == 1, static_cast<std::size_t>(it->position()),
                    static_cast<std::size_t>(it->position() + it->length())});
  }
  const int count = static_cast<int>(tags.size());
  const auto opening = [&](std::int64_t i) {
    for (int t = 0; t < count; ++t)
      if (tags[t].number == i && !tags[t].closing) return t;
    return -1;
  };
  const auto closing = [&](std::int64_t i) {
    for (int t = opening(i) + 1; t < count && opening(i) >= 0; ++t)
      if (tags[t].number == i && tags[t].closing) return t;
    return -1;
  };
  std::string out;
  for (std::int64_t i = 1; i <= k; ++i) {
    int opens = 0, closes = 0;
    for (const Tag& tag : tags) (tag.closing ? closes : opens) += tag.number == i;
    bool nested = closing(i) != opening(i) + 1, late = false;
    for (std::int64_t j = 1; j <= k; ++j) {
      if (j == i || opening(j) < 0) continue;
      nested |= opening(j) < opening(i) && opening(i) < closing(j);
      late |= j > i && opening(j) < opening(i);
    }
    SlotStatus status = SlotStatus::ok;
    if (opens == 0) {
      status = SlotStatus::missing;
    } else if (opens > 1 || closes > 1) {
      status = SlotStatus::duplicated;
    } else if (closing(i) < 0) {
      status = SlotStatus::unclosed;
    } else if (nested) {
      status = SlotStatus::nested;
    } else if (late) {
      status = SlotStatus::out_of_order;
    } else if (tags[closing(i)].begin == tags[opening(i)].end) {
      status = SlotStatus::empty;
    }
    out.append(out.empty() ? "" : " ").append(name(status));
  }
  return out;
}

}  // namespace

TEST_CASE("two slots become two questions, with blanks around the words or without") {
  const auto questions = parse("<response_1> how many  red\ncircles ? </response_1> and <response_2>Why?</response_2>");
  CHECK(statuses(questions) == "ok ok");
  CHECK(questions.text.strings() == std::vector<std::string>{"how many red circles ?", "Why?"});
  CHECK(questions.sequence == std::vector<std::int64_t>{0, 0});
  CHECK(questions.slot == std::vector<std::int64_t>{0, 1});
  CHECK(questions.token_begin == std::vector<std::int64_t>{-1, -1});
}

TEST_CASE("each way of getting the tags wrong has its status") {
  const std::pair<const char*, const char*> cases[] = {
      {"", "missing missing"},
      {"no tags at all", "missing missing"},
      {"</response_1>", "missing missing"},
      {"<response_1>a</response_1>", "ok missing"},
      {"<response_1> \t\x01 </response_1><response_2></response_2>", "empty empty"},
      {"<response_1>a<response_2>b</response_2>", "unclosed ok"},
      {"<response_1>a</response_1><response_2>b", "ok unclosed"},
      {"<response_1>a</response_1><response_1>b</response_1>", "duplicated missing"},
      {"<response_1>a<response_1>b</response_1>", "duplicated missing"},
      {"<response_1>a</response_1></response_1>", "duplicated missing"},
      {"<response_1>a<response_2>b</response_2></response_1>", "nested nested"},
      {"<response_1>a<response_2>b</response_1>c</response_2>", "nested nested"},
      {"<response_1>a</response_2></response_1>", "nested missing"},
      {"<response_1>a<response_7>b</response_1><response_2>c</response_2>", "nested ok"},
      {"<response_7><response_1>a</response_1></response_7><response_2>c</response_2>", "ok ok"},
      {"<response_2>a</response_2><response_1>b</response_1>", "out_of_order ok"},
      {"<response_2>a</response_2>", "missing ok"},
      {"<response_01>a</response_01><Response_1>a</Response_1>< response_1>a</response_1>", "missing missing"},
      {"<response_99999999999999999999999999>a<response_><response_1", "missing missing"},
      {"<<response_1>a</response_1>", "ok missing"},
  };
  for (const auto& [text, expected] : cases) {
    CAPTURE(text);
    CHECK(statuses(parse(text)) == expected);
  }
}

TEST_CASE("statuses equal the definitions over all kinds of tag soup") {
  const char* pieces[] = {"<response_1>",  "</response_1>", "<response_2>",
                          "</response_2>", "<response_3>",  "</response_3>",
                          "<response_9>",  "words",         "<",
                          "<response_02>"};
  random::Sequence draw(11, random::Stream::kQuestion, 0);
  for (int round = 0; round < 3000; ++round) {
    std::string text;
    for (int n = draw.below(10); n >= 0; --n) text += pieces[draw.below(10)];
    CAPTURE(text);
    REQUIRE(statuses(parse(text, 3)) == reference(text, 3));
  }
}

TEST_CASE("what a questioner thinks is no part of its questions") {
  const std::string final = "<response_1>Why?</response_1> <response_2>How?</response_2>";
  const std::string draft = "<response_1>a</response_1><response_2>b<response_1>";
  for (const auto& [opening, closing] : text::detail::kThinkingMarks) {
    const std::string open(opening), close(closing);
    CAPTURE(open);
    for (const std::string& thought : {open + draft + close, draft + close, open + close + draft + close}) {
      const auto questions = parse(thought + final);
      CHECK(statuses(questions) == "ok ok");
      CHECK(questions.text.strings() == std::vector<std::string>{"Why?", "How?"});
    }
    CHECK(statuses(parse(final + close)) == "missing missing");         // thought about, not said
    CHECK(statuses(parse(open + final)) == "missing missing");          // the thinking was cut
    CHECK(statuses(parse(final + open + "but")) == "missing missing");  // it thinks again, and was cut
    CHECK(statuses(parse(open + final + close + final + draft + close)) == "missing missing");
    CHECK(statuses(parse("<response_1>What does " + close + " say?</response_1><response_2>How?</response_2>")) ==
          "missing ok");
  }
}

TEST_CASE("spans count bytes of the whole completion, its thinking included") {
  const std::string thought = "<think><response_1>a</response_1></think>\n";
  const std::string text = thought + "<response_1>why</response_1>";
  const auto questions = parse(text, 1, every_byte(text));
  CHECK(questions.token_begin[0] == static_cast<std::int64_t>(thought.size()));
  CHECK(questions.token_end[0] == static_cast<std::int64_t>(text.size()));
  const std::string cut = "<think><response_1>a</response_1>";
  CHECK(parse(cut, 1, every_byte(cut)).token_begin == std::vector<std::int64_t>{-1});
}

TEST_CASE("a question that nobody sees is empty, one with something to see is not") {
  std::string unseen;
  for (const text::ScalarRange& range : text::kInvisible) {
    std::string one;
    text::append(one, range.first);
    CHECK(statuses(parse("<response_1> " + one + "\u00A0" + one + "</response_1>", 1)) == "empty");
    text::append(unseen, range.last);
  }
  CHECK(statuses(parse("<response_1>" + unseen + "</response_1>", 1)) == "empty");
  const auto seen = parse("<response_1>" + unseen + "\U0001F408\u200D\u2B1B?</response_1>", 1);
  CHECK(statuses(seen) == "ok");
  CHECK(seen.text[0] == unseen + "\U0001F408\u200D\u2B1B?");  // stored as it was
}

TEST_CASE("a token span holds the tokens that overlap the block") {
  //   tokens: "x " | "<response_1>" | "why" | "" | " ?</resp" | "onse_1> " | "" ; the block is bytes 2 .. 32
  const std::string_view text = "x <response_1>why ?</response_1> ";
  const auto questions = parse(text, 1, {2, 14, 17, 17, 25, 33, 33});
  CHECK(questions.token_begin[0] == 1);
  CHECK(questions.token_end[0] == 6);

  const std::string_view open = "ab<response_1>c</response_2>d";  // unclosed: up to the next tag
  const auto unclosed = parse(open, 2, every_byte(open));
  CHECK(unclosed.token_begin == std::vector<std::int64_t>{2, -1});
  CHECK(unclosed.token_end == std::vector<std::int64_t>{15, -1});
}

TEST_CASE("spans of a sequence never overlap") {
  const char* pieces[] = {"<response_1>", "</response_1>", "<response_2>", "</response_2>", "<response_3>", "w"};
  random::Sequence draw(12, random::Stream::kQuestion, 0);
  int spans = 0;
  for (int round = 0; round < 2000; ++round) {
    std::string text;
    for (int n = draw.below(9); n >= 0; --n) text += pieces[draw.below(6)];
    const auto questions = parse(text, 3, every_byte(text));
    std::vector<int> owners(text.size(), 0);
    for (std::size_t q = 0; q < questions.size(); ++q)
      for (auto t = questions.token_begin[q]; t < questions.token_end[q]; ++t, ++spans) ++owners[t];
    CAPTURE(text);
    REQUIRE(std::count_if(owners.begin(), owners.end(), [](int n) { return n > 1; }) == 0);
  }
  CHECK(spans > 1000);
}

TEST_CASE("hostile bytes become a clean question") {
  const auto questions =
      parse("<response_1>\x1b[31m a\xff\xe2\x82z \xed\xa0\x80 \xe2\x82\xac\xc2\xa0\xc2\x85?</response_1>", 1);
  CHECK(questions.text[0] == "[31m a\xEF\xBF\xBD\xEF\xBF\xBDz \xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD \xE2\x82\xAC ?");
}

TEST_CASE("the limit on a question's length counts cleaned bytes") {
  CHECK(statuses(parse("<response_1>   abc   d </response_1>", 1, {}, {.max_bytes = 5})) == "ok");
  const auto longer = parse("<response_1>abc de</response_1>", 1, {}, {.max_bytes = 5});
  CHECK(statuses(longer) == "too_long");
  CHECK(longer.text[0].empty());
}

TEST_CASE("ten megabytes of forged tags are read once") {
  for (const std::string_view piece : {"<response_1>", "</response_1><response_2>", "<", "<response_1111111", "\xff"}) {
    std::string text = "<response_1>";
    while (text.size() < 10'000'000) text += piece;
    CAPTURE(piece);
    CHECK(parse(text + "</response_2>").size() == 2);
  }
}

TEST_CASE("the caller's mistakes are named") {
  CHECK(thrown([] { parse("", 0); }) == "[text::parse_responses] k: expected at least 1 and at most 2147483647, got 0");
  CHECK(thrown([] { parse("", 1, {}, {.max_bytes = 0}); }) ==
        "[text::parse_responses] max_bytes: expected at least 1, got 0");
  CHECK(thrown([] { parse("abc", 1, {2, 1, 3}); }) ==
        "[text::parse_responses] token_ends: row 0: expected non-decreasing byte offsets from 0 on");
  CHECK(thrown([] { parse("abc", 1, {1, 2}); }) ==
        "[text::parse_responses] token_ends: row 0: expected the last token to end at byte 3, where the text ends, "
        "got 2");
  const std::vector<std::string_view> two = {"a", "b"};
  const std::vector<std::vector<std::int64_t>> one = {{1}};
  CHECK(thrown([&] { text::parse_responses(two, 1, one); }) ==
        "[text::parse_responses] token_ends: expected one row per completion (2), got 1");
  CHECK(text::parse_responses({}, 2).size() == 0);
}
