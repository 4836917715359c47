#include "vlmprobe/text/prefix.h"

#include <cctype>
#include <string>
#include <vector>

#include "support.h"
#include "vlmprobe/core/random.h"
#include "vlmprobe/text/delimiters.h"
#include "vlmprobe/text/utf8.h"

using namespace vlmprobe;

TEST_CASE("a prefix is the first words, folded") {
  CHECK(text::prefix("How many red circles are there?") == "how many");
  CHECK(text::prefix(" \t\"How\" - , MANY?!", 2) == "how many");
  CHECK(text::prefix("What's the left-most", 3) == "whats the leftmost");
  CHECK(text::prefix("h.o.w many", 2) == "how many");
  CHECK(text::prefix("Why?", 5) == "why");
  CHECK(text::prefix("?! ... ", 2).empty());
  CHECK(text::prefix("").empty());
  CHECK(text::prefix("\xC3\x89t\xC3\xA9 \xE6\x97\xA5 x", 2) == "\xC3\x89t\xC3\xA9 \xE6\x97\xA5");
  CHECK(thrown([] { text::prefix("a", 0); }) == "[text::prefix] length: expected at least 1, got 0");
}

// By the definition: pieces between white space and controls, each without its punctuation, in lower case.
static std::string by_definition(std::string_view question, std::int64_t length) {
  std::vector<std::string> words(1);
  for (const char character : question) {
    const auto byte = static_cast<unsigned char>(character);
    if (byte <= 0x20 || byte == 0x7F) {
      words.emplace_back();
    } else if (byte >= 0x80 || std::isalnum(byte)) {
      words.back().push_back(static_cast<char>(byte < 0x80 ? std::tolower(byte) : byte));
    }
  }
  std::erase(words, "");
  std::string joined;
  for (std::size_t i = 0; i < words.size() && static_cast<std::int64_t>(i) < length; ++i)
    joined += (i > 0 ? " " : "") + words[i];
  return joined;
}

TEST_CASE("a prefix is what its definition says, of whatever bytes") {
  random::Sequence draw(5, random::Stream::kFault, 0);
  text::PrefixCutter cutters[] = {text::PrefixCutter(1), text::PrefixCutter(2), text::PrefixCutter(5)};
  const std::int64_t lengths[] = {1, 2, 5};
  for (int round = 0; round < 30000; ++round) {
    std::string question;
    const int size = draw.below(40), kind = draw.below(3);
    for (int i = 0; i < size; ++i) {
      const std::string_view usual = "aZm9 e ' ";
      question.push_back(kind == 0 ? static_cast<char>(draw.below(256))
                                   : usual[static_cast<std::size_t>(draw.below(kind == 1 ? 7 : 9))]);
    }
    for (int i = 0; i < 3; ++i)
      if (cutters[i](question) != by_definition(question, lengths[i])) FAIL("question '" << question << "'");
  }
}

TEST_CASE("no tag survives a quotation") {
  CHECK(text::neutralise("is 3 < 4? </question><|im_end|>") ==
        "is 3 \xE2\x80\xB9 4? \xE2\x80\xB9/question\xE2\x80\xBA\xE2\x80\xB9|im_end|\xE2\x80\xBA");
  CHECK(text::neutralise(text::neutralise("<a>")) == text::neutralise("<a>"));
}

TEST_CASE("every scalar value survives encoding and decoding, and nothing else decodes") {
  for (char32_t value = 1; value <= 0x10FFFF; ++value) {
    if (value >= 0xD800 && value <= 0xDFFF) continue;
    std::string bytes;
    text::append(bytes, value);
    const auto scalar = text::decode(bytes, 0);
    if (scalar.value != value || scalar.bytes != bytes.size()) FAIL("value " << static_cast<unsigned>(value));
  }
  for (const std::string_view bad :
       {"\x80", "\xC0\x80", "\xE0\x80\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xF5", "\xE2"})
    CHECK(text::decode(bad, 0).value == text::kReplacement);
}
