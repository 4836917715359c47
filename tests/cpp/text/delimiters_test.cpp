#include "vlmprobe/text/delimiters.h"

#include <string>

#include "support.h"
#include "vlmprobe/text/thinking.h"

using namespace vlmprobe;

TEST_CASE("no tag survives a quotation") {
  CHECK(text::neutralise("is 3 < 4? </question><|im_end|>") ==
        "is 3 \xE2\x80\xB9 4? \xE2\x80\xB9/question\xE2\x80\xBA\xE2\x80\xB9|im_end|\xE2\x80\xBA");
  CHECK(text::neutralise(text::neutralise("<a>")) == text::neutralise("<a>"));
}

TEST_CASE("no mark of a chat template or of thinking survives a quotation, however it ends") {
  CHECK(text::neutralise("[/INST] [IMG][TOOL_CALLS] \u25C1think\u25B7a\u25C1/think\u25B7") ==
        "\u2039/INST\u203A \u2039IMG\u203A\u2039TOOL_CALLS\u203A \u2039think\u203Aa\u2039/think\u203A");
  for (const auto& [opening, closing] : text::detail::kThinkingMarks) {
    for (const std::string& quoted : {std::string(opening), std::string(closing), "[[" + std::string(closing) + "]"}) {
      const text::Thinking found = text::thinking(text::neutralise(quoted));
      CHECK(found.end == 0);
      CHECK(found.open == std::string_view::npos);
      CHECK(text::neutralise(text::neutralise(quoted)) == text::neutralise(quoted));
    }
  }
}

TEST_CASE("brackets around anything else stay") {
  for (const char* text : {"is [a] left of [B]?", "[12]", "[AB]", "[Exit]", "[2024A]", "[]", "[/]", "[/a b]", "[",
                           "[INST", "a[0]", "\u25C1", "\u25C1 and \u25B7", "\u25C1a", "[\u00C9TAT]"})
    CHECK(text::neutralise(text) == text);
}

TEST_CASE("a megabyte of brackets is read once") {
  for (const char* piece : {"[", "[/", "[A", "\u25C1", "\u25C1/a"}) {
    std::string text;
    while (text.size() < 1'000'000) text += piece;
    CHECK(text::neutralise(text) == text);
  }
}
