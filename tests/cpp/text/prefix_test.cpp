#include "vlmprobe/text/prefix.h"

#include "support.h"
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
