#include "vlmprobe/text/thinking.h"

#include <string>

#include "support.h"

using namespace vlmprobe;

namespace {

// What is said, or "(open)".
std::string said(std::string_view text) {
  const auto found = text::said(text);
  CHECK(text::opens_thinking(text) == !found);
  if (found) CHECK(*found == text.substr(text::thinking_end(text)));
  return std::string(found.value_or("(open)"));
}

}  // namespace

TEST_CASE("what stands behind the last closing mark is said, whoever wrote the opening one") {
  for (const auto& [opening, closing] : text::detail::kThinkingMarks) {
    const std::string open(opening), close(closing);
    CAPTURE(open);
    CHECK(said(open + "draft" + close + "red") == "red");
    CHECK(said("draft" + close + "red") == "red");
    CHECK(said(open + "a" + close + "b" + close + "red") == "red");
    CHECK(said(open + "a" + close + "blue" + open + "b" + close + "red") == "red");
    CHECK(said(open + "draft") == "(open)");
    CHECK(said("Well. " + open) == "(open)");
    CHECK(said(open + "a" + close + "red" + open) == "(open)");
    CHECK(said(open.substr(0, open.size() - 1)) == open.substr(0, open.size() - 1));
  }
}

TEST_CASE("marks are read in any case of letters, and only those of the list") {
  CHECK(said("<Think>a</THINK>red") == "red");
  CHECK(said("[think]a[/Think]red") == "red");
  for (const char* text : {"", "red", "< think>red", "<thin", "</thinks>red", "think>", "\xE2\x97\x81", "\xE2", "[x]",
                           "<response_1>a</response_1>"})
    CHECK(said(text) == text);
}

TEST_CASE("a mark inside another pair's thinking ends its own only") {
  CHECK(said("<think>a<reasoning>b</reasoning>c") == "(open)");
  CHECK(said("<think>I may write <thinking> here</think>red") == "red");
  CHECK(said("I may write <thinking> here</think>red") == "red");
  CHECK(text::thinking("<think>a</think>b<thought>c").open == 17);
}

TEST_CASE("a megabyte of marks is read once") {
  for (const char* piece : {"<", "[", "\xE2", "<think>", "</think>", "<thinking", "\xE2\x97\x81"}) {
    std::string text;
    while (text.size() < 1'000'000) text += piece;
    CHECK(text::thinking_end(text + "</think>") == text.size() + 8);
  }
}
