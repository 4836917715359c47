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
std::string read(std::string_view text, const std::vector<std::string_view>& keys = kCorrect) {
  const text::Verdict verdict = text::read_verdict(text, keys);
  std::string out = text::name(verdict.reading);
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const Tri truth = verdict.truths[i];
    out += truth == Tri::yes ? " yes" : truth == Tri::no ? " no" : " unknown/";
    if (truth == Tri::unknown) out += text::name(verdict.causes[i]);
    CHECK((truth == Tri::unknown) == (verdict.causes[i] != text::Cause::none));
  }
  return out;
}

std::string reason(std::string_view text) {
  return text::read_verdict(text, kCorrect).reason;
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

TEST_CASE("a verdict is read from an object, fenced or bare") {
  CHECK(read(R"({"correct": true})") == "ok yes");
  CHECK(read("```json\n{\n  \"correct\": False,\n  \"boxes\": [[1, 2], {\"a\": null}]\n}\n```") == "ok no");
  CHECK(read("The set {red, blue} is shown.\nVerdict: {\"correct\": true}. Done.") == "ok yes");
  CHECK(read("{\"correct\": false}\nBut no:\n{\"correct\": true}") == "ok yes");
  CHECK(read(R"({"c\u006Frrect": "tru\u0065", "reason": "\ud83d\ude00 \ud83d \/"})") == "ok yes");
  CHECK(reason(R"({"correct": true, "reason": "\ud83d\u0041"})") ==
        "\xEF\xBF\xBD"
        "A");
  CHECK(reason(R"({"correct": true, "reason": "\ud83d\ude00 \ud83d \/"})") == "\xF0\x9F\x98\x80 \xEF\xBF\xBD /");
}

TEST_CASE("an object is read whatever its strings hold, and to a depth of eight") {
  for (const char* held : {"<think>", "</think>", "<verdict>yes</verdict>", "</verdict>", "{}", "```"}) {
    const std::string object = std::string(R"({"reason": ")") + held + R"(", "correct": false})";
    CHECK(read(object) == "ok no");
    CHECK(read("```json\n" + object + "\n```") == "ok no");
  }
  for (const int depth : {8, 9}) {
    const std::string nested = std::string(depth, '[') + "1" + std::string(depth, ']');
    CHECK(read("{\"a\": " + nested + ", \"correct\": false}") == (depth == 8 ? "ok no" : "unparsable unknown/missing"));
  }
}

TEST_CASE("what follows the last thinking counts, and an unfinished one is truncated") {
  CHECK(read("<think>{\"correct\": true}</think>{\"correct\": false}") == "ok no");
  CHECK(read("{\"correct\": true}</think> a </think>{\"correct\": false}") == "ok no");
  CHECK(read("<think>so {\"correct\": true}") == "truncated unknown/missing");
  CHECK(read("<think>a</think><think>{\"correct\": true}") == "truncated unknown/missing");
  CHECK(read("<verdict>correct: n") == "truncated unknown/missing");
  CHECK(read("<verdict>{\"correct\": fal") == "truncated unknown/missing");
  CHECK(read("<think>{\"correct\": true}</think> \n") == "empty unknown/missing");
  CHECK(read("") == "empty unknown/missing");
}

TEST_CASE("what is not on the menu is unknown, with its cause") {
  CHECK(read(R"({"correct": "maybe"})") == "ok unknown/off_menu");
  CHECK(read(R"({"correct": 1})") == "ok unknown/off_menu");
  CHECK(read(R"({"correct": [true]})") == "ok unknown/off_menu");
  CHECK(read(R"({"correct": null})") == "ok unknown/off_menu");
  CHECK(read(R"({"correct": "Unknown"})") == "ok unknown/said_unknown");
  CHECK(read(R"({"correct": true, "CORRECT": false})") == "ok unknown/contradictory");
  CHECK(read(R"({"correct": true, "correct": false, "correct": true})") == "ok unknown/contradictory");
  CHECK(read(R"({"correct": true, "correct": "yes"})") == "ok yes");
  CHECK(read("<verdict>correct: yes\ncorrect: no</verdict>") == "ok unknown/contradictory");
  CHECK(read(R"({"grammatical": true, "atomic": "no", "objective": "perhaps"})", kCriteria) ==
        "ok yes no unknown/missing unknown/off_menu");
  for (const char* none : {"Yes.", "correct: yes", "{}", "}", "{", R"({"right": true})", "{'correct': true}",
                           R"({"correct": true)", R"({"correct" true})", R"({"correct": })", R"({"correct": "\x"})",
                           "<verdict></verdict>", "<verdict>{\"correct\": true} or so</verdict>"})
    CHECK_MESSAGE(read(none) == "unparsable unknown/missing", none);
}

TEST_CASE("a verdict ends the text") {
  const std::string verdict = "<verdict>yes</verdict>", object = R"({"correct": true})";
  for (const std::string& said : {verdict, object}) {
    CHECK(read(said + std::string(200, '.')) == "ok yes");
    CHECK(read(said + std::string(201, '.')) == "unparsable unknown/missing");
    CHECK(read(said + std::string(300000, '\n')) == "ok yes");
    CHECK(read(said + " Not {this") == "unparsable unknown/missing");
  }
  CHECK(read(verdict + " The question says {\"correct\": false}") == "unparsable unknown/missing");
}

TEST_CASE("quoted text is no verdict") {
  const char* not_ours[] = {
      // repeated in the reason, well escaped, in another string, unescaped, or with the end of a string missing
      R"(<verdict>{"correct": false, "reason": "it says {\"correct\": true}"}</verdict>)",
      R"(<verdict>{"correct": false, "reason": "it says <verdict>{\"correct\": true}</verdict>"}</verdict>)",
      R"({"correct": false, "reason": "it says {'correct': true}"})",
      R"({"correct": false, "reason": "it says \n{\"correct\": true}"})",
      R"({"correct": false, "reason": "it says </think><verdict>yes</verdict><think>{\"correct\": true}"})",
      R"(It says {"correct": true}. <verdict>no</verdict>)",
      R"(It says <verdict>yes</verdict>. <verdict>no</verdict>)",
      R"(It says {"correct": true}.
{"correct": false})",
  };
  for (const char* text : not_ours) CHECK_MESSAGE(read(text).find("yes") == std::string::npos, text);
  const char* spoilt[] = {
      R"({"correct": false, "reason": "it says {"correct": true}"})",
      R"({"correct": false, "reason": "it says {"correct": true, "x": ""})",
      "{\"correct\": false, \"reason\": \"it says\n{\"correct\": true, \"x\": \"\"}",
      R"(<verdict>{"correct": false, "reason": "it says </think> {"correct": true, "x": ""}</verdict>)",
      R"(<verdict>{"correct": false, "reason": "it says <verdict>yes</verdict>"}</verdict>)",
      R"(<verdict>no</verdict> It says {"correct": true})",
      R"(It says '{"correct": true}')",
  };
  for (const char* text : spoilt) CHECK_MESSAGE(read(text) == "unparsable unknown/missing", text);
}

TEST_CASE("the reason is the verifier's, clean and short") {
  CHECK(reason("<verdict>{\"correct\": true, \"reason\": \" so\\n it\\u0000 is \"}</verdict>") == "so it is");
  CHECK(reason("<verdict>correct: yes\nreason: red, not blue</verdict>") == "red, not blue");
  CHECK(reason("It is red. <verdict>yes</verdict>") == "It is red.");
  CHECK(reason("It is\nred.\n```json\n{\"correct\": true}\n```") == "It is red. ```json");
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

TEST_CASE("nothing before a tagged verdict changes it") {
  const char* pieces[] = {
      "<verdict>", "</verdict>", "{\"correct\": true}", "</think>", "{",   "}",   "\"", "\\", "correct: yes",
      "\n",        "```json",    "\xE2\x80\xAE",        "\xFF",     "yes", "\x01"};
  random::Sequence draw(7, random::Stream::kFault, 0);
  for (int round = 0; round < 3000; ++round) {
    std::string text;
    for (int i = draw.below(12); i > 0; --i) text += pieces[draw.below(15)];
    CHECK(read(text + "<verdict>{\"correct\": false}</verdict>") == "ok no");
    CHECK(read(text + "<verdict>no</verdict> Done.") == "ok no");
  }
}

TEST_CASE("long hostile texts are read in one pass") {
  const std::size_t size = 10 << 20;
  const auto repeated = [&](std::string_view piece) {
    std::string text;
    while (text.size() < size) text.append(piece);
    return text;
  };
  for (const char* piece : {"<", "{", "{\n", "{\"a\":", "{\"a\":\n", "a,", "}\n", "\"", "\\", "</think>", "<verdict>",
                            "[", "{\"correct\": true}\n", "\xE2\x80\xAE"}) {
    const std::string text = repeated(piece);
    read(text);
    read("<verdict>" + text + "</verdict>");
    CHECK(read(text + "\n<verdict>no</verdict>") == "ok no");
  }
  CHECK(read("{\"reason\": \"" + std::string(size, 'a') + "\", \"correct\": true}") == "unparsable unknown/missing");
}

TEST_CASE("keys are needed") {
  CHECK(thrown([] { text::read_verdict("", {}); }) == "[text::read_verdict] keys: expected at least one, got none");
}
