#include "vlmprobe/text/verdict.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "support.h"
#include "vlmprobe/core/random.h"

using namespace vlmprobe;

namespace {

const std::vector<std::string_view> kCorrect = {"correct"};
const std::vector<std::string_view> kCriteria = {"grammatical", "atomic", "grounded", "objective"};

// "ok yes no unknown/missing ...": the reading, then each key, with its cause when it is unknown.
std::string read(std::string_view text, const std::vector<std::string_view>& keys = kCorrect,
                 text::Asked asked = text::Asked::tags) {
  const text::Verdict verdict = text::read_verdict(text, keys, asked);
  std::string out = text::name(verdict.reading);
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const Tri truth = verdict.truths[i];
    out += truth == Tri::yes ? " yes" : truth == Tri::no ? " no" : " unknown/";
    if (truth == Tri::unknown) out += text::name(verdict.causes[i]);
    CHECK((truth == Tri::unknown) == (verdict.causes[i] != text::Cause::none));
  }
  return out;
}

std::string read_object(std::string_view text, const std::vector<std::string_view>& keys = kCorrect) {
  return read(text, keys, text::Asked::object);
}

std::string reason(std::string_view text) {
  return text::read_verdict(text, kCorrect, text::Asked::object).reason;
}

}  // namespace

TEST_CASE("a verdict is read from tags, as an object, as lines, and as a value alone") {
  CHECK(read("It is red.\n<verdict>{\"correct\": true, \"reason\": \"red\"}</verdict>") == "ok yes");
  CHECK(read("<VERDICT> ```json\n{\"Correct\": \"No\",}\n``` </Verdict>\nThank you.") == "ok no");
  CHECK(read("<verdict>correct: no</verdict>") == "ok no");
  CHECK(read("<verdict>\n**Correct** = TRUE.\nreason: correct: no, it says</verdict>") == "ok yes");
  CHECK(read("<verdict>yes</verdict>") == "ok yes");
  CHECK(read("<verdict>{\"correct\": false}") == "ok no");
  CHECK(read("<verdict>- grammatical: yes\n- atomic: no; grounded: unknown, objective=True</verdict>", kCriteria) ==
        "ok yes no unknown/said_unknown yes");
}

TEST_CASE("a verdict is read from an object, fenced or bare, where one was asked for") {
  CHECK(read_object(R"({"correct": true})") == "ok yes");
  CHECK(read_object("```json\n{\n  \"correct\": False,\n  \"boxes\": [[1, 2], {\"a\": null}]\n}\n```") == "ok no");
  CHECK(read_object(R"({"c\u006Frrect": "tru\u0065", "reason": "\ud83d\ude00 \ud83d \/"})") == "ok yes");
  CHECK(read_object("The set {red, blue} is shown.\nVerdict: {\"correct\": true}") == "unparsable unknown/missing");
  CHECK(read(R"({"correct": true})") == "unparsable unknown/missing");
  CHECK(reason(R"({"correct": true, "reason": "\ud83d\u0041"})") ==
        "\xEF\xBF\xBD"
        "A");
  CHECK(reason(R"({"correct": true, "reason": "\ud83d\ude00 \ud83d \/"})") == "\xF0\x9F\x98\x80 \xEF\xBF\xBD /");
}

TEST_CASE("an object is read whatever its strings hold, and to a depth of eight") {
  for (const char* held : {"<think>", "</think>", "<verdict>yes</verdict>", "</verdict>", "{}", "```"}) {
    const std::string object = std::string(R"({"reason": ")") + held + R"(", "correct": false})";
    CHECK(read_object(object) == "ok no");
    CHECK(read_object("```json\n" + object + "\n```") == "ok no");
  }
  for (const int depth : {8, 9, 64}) {
    const std::string nested = std::string(depth, '[') + "\"," + std::string(depth, ']');
    const std::string closed = std::string(depth, '[') + "1" + std::string(depth, ']');
    CHECK(read_object("{\"a\": " + closed + ", \"correct\": false}") == "ok no");  // beyond it, as far as it is plain
    CHECK(read_object("{\"correct\": false, \"a\": " + closed + "}") ==
          (depth == 8 ? "ok no" : "unparsable unknown/missing"));
    CHECK(read_object("{\"correct\": false, \"a\": " + nested + "}") == "unparsable unknown/missing");
  }
}

TEST_CASE("what follows the last thinking counts, and an unfinished one is truncated") {
  CHECK(read_object("<think>{\"correct\": true}</think>{\"correct\": false}") == "ok no");
  CHECK(read("<think><verdict>yes</verdict></think><verdict>no</verdict>") == "ok no");
  CHECK(read("<verdict>yes</verdict></think> a </think><verdict>no</verdict>") == "ok no");
  CHECK(
      read("\xE2\x97\x81think\xE2\x96\xB7<verdict>yes</verdict>\xE2\x97\x81/think\xE2\x96\xB7<verdict>no</verdict>") ==
      "ok no");
  CHECK(read("<think>so {\"correct\": true}") == "truncated unknown/missing");
  CHECK(read("<think>a</think><think>{\"correct\": true}") == "truncated unknown/missing");
  CHECK(read("<verdict>correct: n") == "truncated unknown/missing");
  CHECK(read("<verdict>{\"correct\": fal") == "truncated unknown/missing");
  CHECK(read("<think>{\"correct\": true}</think> \n") == "empty unknown/missing");
  CHECK(read("") == "empty unknown/missing");
}

TEST_CASE("what is not on the menu is unknown, with its cause") {
  CHECK(read_object(R"({"correct": "maybe"})") == "ok unknown/off_menu");
  CHECK(read_object(R"({"correct": 7})") == "ok unknown/off_menu");
  CHECK(read_object(R"({"correct": [true]})") == "ok unknown/off_menu");
  CHECK(read_object(R"({"correct": null})") == "ok unknown/off_menu");
  CHECK(read_object(R"({"correct": "\x"})") == "ok unknown/off_menu");
  CHECK(read_object(R"({"correct": "Unknown"})") == "ok unknown/said_unknown");
  CHECK(read_object(R"({"correct": true, "CORRECT": false})") == "ok unknown/contradictory");
  CHECK(read_object(R"({"correct": true, "correct": false, "correct": true})") == "ok unknown/contradictory");
  CHECK(read_object(R"({"correct": true, "correct": "yes"})") == "ok yes");
  CHECK(read("<verdict>correct: yes\ncorrect: no</verdict>") == "ok unknown/contradictory");
  CHECK(read_object(R"({"grammatical": true, "atomic": "no", "objective": "perhaps"})", kCriteria) ==
        "ok yes no unknown/missing unknown/off_menu");
  for (const char* none : {"Yes.", "correct: yes", "{}", "}", "{", R"({"right": true})", R"({"correct" true})",
                           R"({"correct": })", R"({"correct": ...})", "<verdict></verdict>", "<verdict>...</verdict>",
                           "<verdict>{\"correct\": true} or so</verdict>"}) {
    CHECK_MESSAGE(read(none) == "unparsable unknown/missing", none);
    CHECK_MESSAGE(read_object(none) == "unparsable unknown/missing", none);
  }
}

TEST_CASE("the reason is the verifier's, clean and short") {
  CHECK(reason("<verdict>{\"correct\": true, \"reason\": \" so\\n it\\u0000 is \"}</verdict>") == "so it is");
  CHECK(reason("<verdict>correct: yes\nreason: red, not blue</verdict>") == "red, not blue");
  CHECK(reason("It is red. <verdict>yes</verdict>") == "It is red.");
  CHECK(reason("It is\nred.\n\n<verdict>{\"correct\": true}</verdict>") == "It is red.");
  CHECK(reason("I do not know\xFF") == "I do not know\xEF\xBF\xBD");
  std::string accents;
  for (int i = 0; i < 5000; ++i) accents += "\xC3\xA9";
  for (const std::string& text :
       {accents, "a" + accents, "<verdict>{\"correct\": true, \"reason\": \"" + accents + "\"}",
        "<verdict>{\"correct\": true, \"reason\": \"a" + accents + "\"}"}) {
    const std::string found = reason(text);
    CHECK(found.size() >= 1998);
    CHECK(found.size() <= 2000);
    CHECK(text::well_formed(found) == found);
    CHECK(found.find("\xEF\xBF\xBD") == std::string::npos);
  }
}

TEST_CASE("nothing before a tagged verdict turns it round, and without tags nothing changes it") {
  const char* pieces[] = {
      "<verdict>", "</verdict>", "{\"correct\": true}", "</think>", "{",   "}",   "\"", "\\", "correct: yes",
      "\n",        "```json",    "\xE2\x80\xAE",        "\xFF",     "yes", "\x01"};
  random::Sequence draw(7, random::Stream::kFault, 0);
  for (int round = 0; round < 3000; ++round) {
    std::string text;
    const int from = round % 2 == 0 ? 0 : 2;
    for (int i = draw.below(12); i > 0; --i) text += pieces[from + draw.below(15 - from)];
    for (const char* verdict : {"<verdict>{\"correct\": false}</verdict>", "<verdict>no</verdict> Done."}) {
      const std::string found = read(text + verdict);
      CHECK(found.find("yes") == found.npos);
      if (from > 0) CHECK(found == "ok no");
    }
  }
}

TEST_CASE("long hostile texts are read in one pass") {
  const std::size_t size = 4 << 20;
  const auto repeated = [&](std::string_view piece) {
    std::string text;
    while (text.size() < size) text.append(piece);
    return text;
  };
  for (const char* piece : {"<",
                            "{",
                            "{\n",
                            "{\"a\":",
                            "{\"a\":\n",
                            "a,",
                            "}\n",
                            "\"",
                            "\\",
                            "</think>",
                            "<verdict>",
                            "[",
                            "{\"correct\": true}\n",
                            "\xE2\x80\xAE",
                            "correct",
                            "correct:",
                            "\"correct\": no,",
                            "#",
                            "/*",
                            "correct \n"}) {
    const std::string text = repeated(piece);
    read(text);
    read("<verdict>" + text + "</verdict>");
    CHECK(read(text + "\n<verdict>no</verdict>") == "ok no");
    read_object(text.substr(0, 64000));
    read("<verdict>{" + text.substr(0, 64000) + "}</verdict>");
  }
  CHECK(read_object("{\"reason\": \"" + std::string(size, 'a') + "\", \"correct\": true}") ==
        "unparsable unknown/missing");
}

TEST_CASE("keys are needed") {
  CHECK(thrown([] { text::read_verdict("", {}); }) == "[text::read_verdict] keys: expected at least one, got none");
}
