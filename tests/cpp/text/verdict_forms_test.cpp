// What a judge plainly says is read, in whatever form; never the other way round.
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "support.h"
#include "vlmprobe/core/random.h"
#include "vlmprobe/text/verdict.h"

using namespace vlmprobe;

namespace {

const std::vector<std::string_view> kCorrect = {"correct"};
const std::vector<std::string_view> kCriteria = {"grammatical", "atomic", "grounded", "objective"};

std::string tagged(std::string_view inside) {
  return std::string("<verdict>").append(inside).append("</verdict>");
}

Tri truth(std::string_view inside) {
  return text::read_verdict(tagged(inside), kCorrect).truths[0];
}

std::string truths(std::string_view inside) {
  std::string out;
  for (const Tri each : text::read_verdict(tagged(inside), kCriteria).truths)
    out += each == Tri::yes ? 'y' : each == Tri::no ? 'n' : '?';
  return out;
}

// `@` stands for the value.
const std::string_view kPlain[] = {
    R"({"reason": "The tag says \$5, not \$6.", "correct": @})",
    R"({"reason": "It costs $5 or €5.", "correct": @})",
    R"({"reason": "The board shows \frac{1}{2} and \(x^2\), \[y\] and \alpha.", "correct": @})",
    R"({"reason": "The path is C:\users\new\.", "correct": @})",
    R"({"reason": "The path is C:\", "correct": @})",
    R"({"reason": "It matches \d+\.\w*|[^\s]", "correct": @})",
    R"({"reason": "It is the dog\'s ball.", "correct": @})",
    R"({"reason": "The sign says "NO ENTRY", not "EXIT".", "correct": @})",
    R"({"reason": "He says "she says 'no'" on the sign", "correct": @})",
    R"({"correct": @, "reason": "The sign says "NO ENTRY"."})",
    R"({"correct": @, "reason": "A screen of 15" and one of 17"."})",
    "{\"reason\": \"two lines\nof the \"sign\"\", \"correct\": @}",
    R"({'reason': 'There are three cups.', 'correct': @})",
    R"({'reason': 'It's the dog's ball', 'correct': @})",
    R"({'reason': "It's the dog's ball", 'correct': @})",
    R"({'reason': None, 'correct': @, 'sure': 0.9})",
    R"({'reason': 'three', 'correct': @, 'box': None,})",
    R"({reason: "three cups", correct: @})",
    R"({reason: three cups, correct: @})",
    R"({Reason: "three cups", CORRECT: @,})",
    R"({"reason": "three cups", "correct": "@"})",
    R"({"reason": "three cups", "correct": "@."})",
    R"({"reason": "three cups", "correct": "**@**"})",
    "{\"reason\": \"three cups\", \"correct\": \"\u200B@\u00A0\"}",
    "{\"reason\": \"three cups\", \"correct\u200D\u00A0\": @}",
    R"({"reason": 'three cups', "correct": '@'})",
    R"({"reason": "three cups",, "correct": @})",
    R"({"reason": "three cups", "correct": @}})",
    R"({"reason": "three "cups", "correct": @)",
    "{“reason”: “There are three cups.”, “correct”: @}",
    "{„reason“: „drei Tassen“, „correct“: „@“}",
    "{«reason»: «trois tasses», «correct»: @}",
    "｛＂reason＂：＂three＂，＂correct＂：@｝",
    "{\"reason\": \"three\", \"correct\"：@}",
    "{\"reason\": \"three\u00A0cups\",\u00A0\"correct\":\u00A0@}",
    "\uFEFF{\"reason\": \"three\", \"cor\u200Brect\": @}\u200B",
    "{\"reason\": \"three\", \"correct\": @ // the answer has two\n}",
    "{\"reason\": \"three\", \"correct\": @ # the answer has two\n}",
    "{\"reason\": \"three\", /* two are said */ \"correct\": @}",
    "{\n  // what it is\n  \"reason\": \"three\",\n  \"correct\": @,\n}",
    "```json\n{\"reason\": \"three\", \"correct\": @}\n```",
    "```\n{'reason': 'three', 'correct': @}\n```",
    "`{\"correct\": @}`",
    "<|begin_of_box|>{\"reason\": \"three\", \"correct\": @}<|end_of_box|>",
    "<|begin_of_box|>\n```json\n{\"correct\": @}\n```\n<|end_of_box|>",
    "{\"correct\": @}</s>",
    "{\"correct\": @}<|im_end|><|endoftext|>",
    "**{\"correct\": @}**",
    "@",
    " **@**\n",
    "`@`",
    "\"@\"",
    "@.",
    "@<|im_end|>",
    "correct: @",
    "Correct = @",
    "**correct:** @",
    "**correct**: **@**",
    "- correct: @.",
    "1. correct: \"@\"",
    "correct：@",
    "\n correct: @\n\n reason: the sign says \"NO\", not 'YES'\n",
    "reason: the sign says: no entry\ncorrect: @",
    "reason: the sign has two lines,\nNO ENTRY\nand a date.\ncorrect: @",
};

std::string filled(std::string_view form, std::string_view value) {
  std::string out;
  for (const char c : form) c == '@' ? out += value : out += c;
  return out;
}

}  // namespace

TEST_CASE("what a judge plainly says is read, whatever it says") {
  for (const std::string_view form : kPlain) {
    for (const auto& [value, meant] : {std::pair("true", Tri::yes),
                                       {"false", Tri::no},
                                       {"True", Tri::yes},
                                       {"NO", Tri::no},
                                       {"yes", Tri::yes},
                                       {"incorrect", Tri::no},
                                       {"correct", Tri::yes},
                                       {"not correct", Tri::no},  // two words, which some forms want in quotes
                                       {"1", Tri::yes},
                                       {"0", Tri::no},
                                       {"是", Tri::yes},
                                       {"否", Tri::no}}) {
      const std::string inside = filled(form, value);
      const Tri found = truth(inside);
      CHECK_MESSAGE((found == meant || (found == Tri::unknown && inside.find("not correct") != inside.npos)), inside);
    }
    for (const char* value : {"unknown", "not sure", "true or false", "partially", "maybe", "yes and no", "true/false",
                              "n/a", "null", "2", "0.5", "10", "not true", "mostly correct", "neither"})
      CHECK_MESSAGE(truth(filled(form, value)) == Tri::unknown, filled(form, value));
  }
}

TEST_CASE("where two values can be read, or the key is another, nothing is") {
  for (const char* inside : {
           R"({"reason": "The sign says "NO", "correct": true", "correct": false})",
           R"({"reason": "The sign says "NO", "correct": false", "correct": true})",
           R"({"correct": false, "reason": "it says {"correct": true}"})",
           R"({'correct': False, 'reason': 'it's said 'correct': True'})",
           R"({"correct": true, "correct": "no"})",
           R"({"correct": true, "details": {"correct": false}})",
           "{\"correct\": true, \"cor\u200Brect\": false}",
           R"({"correct": true, "details": [{"Correct": "no"}]})",
           R"({"reason": "x" "y", "is_correct": false, "correct": true})",
           R"({reason: x, incorrect: true})",
           R"({"incorrect": true})",
           R"({"reason": "x", "not correct": true})",
           R"({reason: x, not correct: true})",
           R"({"reason": "a "b"", "correctness": true})",
           R"({"reason": "it says {"correct": true})",
           R"({"reason": "it says "x", correct: true"})",
           R"({"reason": "it says "x", "correct": true", "verdict": false})",
           "{\"reason\": \"x\", \"correct\": true //\", \"correct\": false\n}",
           "{\n\"reason\": \"x\", \"correct\": true //\", \"verdict\": false\n}",
           "{\"reason\": \"x\", 'correct': true /* \"correct\": false */}",
           R"({"correct": true} is what the answer says "x")",
           R"({"correct": true} is what the {answer} says})",
           R"({"correct": true} {"correct": false})",
           "correct: true\ncorrect: false",
           "correct: yes, but only partly",
           "incorrect: true",
           "not correct: true",
           "> correct: true",
           "The answer says\ncorrect: true",
           "correct: true\nThe answer is wrong.",
           "reason: it says\ncorrect: true\nwhich is wrong.",
           "reason: it says\ncorrect: true\ncorrect: false",
           "verdict: wrong\nreason: it says\ncorrect: true",
           "not true",
           "not wrong",
           "yes, no",
           "no yes",
           "true false",
           "It is correct that the answer is wrong",
       })
    CHECK_MESSAGE(truth(inside) == Tri::unknown, inside);
}

TEST_CASE("brackets of a template or a list around the object are none of it, and a negation is") {
  CHECK(truth("{{\"correct\": false}}") == Tri::no);
  CHECK(truth("[{\"correct\": true, \"reason\": \"x\"}]") == Tri::yes);
  CHECK(truth("{{'correct': True}}") == Tri::yes);
  CHECK(truth("[{\"correct\": true}, {\"correct\": false}]") == Tri::unknown);
  CHECK(truth("{\"correct\": !false}") == Tri::unknown);
  CHECK(truth("correct: !true") == Tri::unknown);
  CHECK(truth("{\"correct\": \"**true!**\"}") == Tri::yes);
}

TEST_CASE("keys in several forms come several at once") {
  CHECK(truths(
            R"({'reason': 'It's fine', 'grammatical': True, 'atomic': False, 'grounded': 'yes', 'objective': None})") ==
        "yny?");
  CHECK(truths("- grammatical: yes\n- atomic: no\n* **grounded**: true\n4. objective: not objective") == "ynyn");
  CHECK(truths("grammatical: yes, atomic: no; grounded = yes; objective: unknown, I think") == "yny?");
  CHECK(truths(R"({grammatical: true, atomic: true, reason: "the "sign"", grounded: false, objective: true})") ==
        "yyny");
  CHECK(truths(R"({"grammatical": 1, "atomic": 0, "grounded": 1, "objective": 1})") == "ynyy");
  CHECK(truths(R"({"grammatical": 1, "atomic": 5, "grounded": 0, "objective": true})") == "???y");  // a scale
  CHECK(
      truths(R"({"grammatical": "ungrammatical", "atomic": "non-atomic", "grounded": "grounded", "objective": "x"})") ==
      "nny?");
  CHECK(
      truths(
          R"({"reason": "it says "grammatical": true", "grammatical": false, "atomic": true, "grounded": true, "objective": true})") ==
      "?yyy");
}

TEST_CASE("an object as the whole text is read where it was asked for, and nowhere else") {
  const auto read = [](std::string_view said, text::Asked asked) {
    return text::read_verdict(said, kCorrect, asked).truths[0];
  };
  for (const char* said : {R"({"reason": "three", "correct": "false"})", "```json\n{\"correct\": false}\n```",
                           "<think>{\"correct\": true}</think>\n{\"correct\": false}",
                           "<|begin_of_box|>{\"reason\": \"three\", \"correct\": false}<|end_of_box|>",
                           R"({"reason": "The sign says "NO".", "correct": false})", "{'correct': False}<|im_end|>"}) {
    CHECK_MESSAGE(read(said, text::Asked::object) == Tri::no, said);
    CHECK_MESSAGE(read(said, text::Asked::tags) == Tri::unknown, said);
  }
  CHECK(read("I was held to nothing.\n<verdict>no</verdict>", text::Asked::object) == Tri::no);
  CHECK(read("I think {\"correct\": true}", text::Asked::object) == Tri::unknown);
  CHECK(read("correct: true", text::Asked::object) == Tri::unknown);
  CHECK(read("true", text::Asked::object) == Tri::unknown);
}

TEST_CASE("a remark may follow, as long as it takes nothing back") {
  const auto read = [](std::string_view remark) {
    return text::read_verdict(tagged("no").append(remark), kCorrect).truths[0];
  };
  for (const std::string& remark :
       {std::string("\n\nNote: the cups are partly hidden. Two of them stand behind the third one."),
        std::string(" The sign is small.") + std::string(900, '.'), std::string("<|im_end|>"), std::string("</s>\n"),
        std::string(" Thank you."), std::string(300000, '\n')})
    CHECK_MESSAGE(read(remark) == Tri::no, remark);
  for (const char* remark : {" Wait, it is right.", " Actually it is.", "\nThe verdict should be true.",
                             " So it is correct.", " My mistake.", "\nCORRECTION: see above", " {}", " \"false\""})
    CHECK_MESSAGE(read(remark) == Tri::unknown, remark);
  CHECK(read(std::string(1001, '.')) == Tri::unknown);
}

TEST_CASE("no mutation of a plain form turns its verdict round") {
  const std::string_view pieces[] = {"\"", "'",  "\\", "{", "}", ",",  ":",      "\n",
                                     "//", "/*", "*/", "#", "“", "：", "reason", " "};
  random::Sequence draw(11, random::Stream::kFault, 0);
  for (int round = 0; round < 20000; ++round) {
    std::string inside = filled(kPlain[draw.below(std::size(kPlain))], draw.chance(0.5) ? "false" : "\"no\"");
    for (int i = draw.below(3); i >= 0; --i) {
      const auto at = static_cast<std::size_t>(draw.below(static_cast<int>(inside.size()) + 1));
      const std::string_view piece = pieces[draw.below(std::size(pieces))];
      draw.chance(0.5) ? void(inside.insert(at, piece)) : void(inside.erase(at, 1));
    }
    CHECK_MESSAGE(truth(inside) != Tri::yes, inside);
  }
}
