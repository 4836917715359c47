#include "vlmprobe/world/answer.h"

#include <string>
#include <string_view>
#include <vector>

#include "support.h"
#include "vlmprobe/core/random.h"
#include "vlmprobe/world/vocabulary.h"

using namespace vlmprobe;
using namespace vlmprobe::world;

namespace {

// What the answer says where `truth` is right, and where `other`, of the same type, is.
void says(std::string_view answer, std::string_view truth, std::string_view other) {
  CHECK_MESSAGE(same_answer(answer, truth) == Tri::yes, answer);
  CHECK_MESSAGE(same_answer(answer, other) == Tri::no, answer);
}

void says_nothing(std::string_view answer, std::string_view truth) {
  CHECK_MESSAGE(same_answer(answer, truth) == Tri::unknown, answer);
}

}  // namespace

TEST_CASE("a number is read in a sentence, in words, in any width and dress") {
  for (const char* answer : {"4",
                             "4.",
                             " 4\n",
                             "four",
                             "FOUR!",
                             "**4**",
                             "__four__",
                             "`4`",
                             "\"4\"",
                             "(4)",
                             "[4]",
                             "$4$",
                             "\\boxed{4}",
                             "\\text{four}",
                             "4.0",
                             "4.00",
                             "04",
                             "\uFF14",
                             "\u200B4\u200B",
                             "4\uFE0F\u20E3",
                             "4\u00A0objects",
                             "4 objects",
                             "Answer: 4",
                             "Answer = four",
                             "The answer is 4.",
                             "There are 4 objects.",
                             "There are four objects in the image.",
                             "I can see four of them.",
                             "In total, 4 objects are shown.",
                             "4 (four)",
                             "There are four (4) objects.",
                             "count: 4",
                             "{\"answer\": 4}",
                             "<answer>4</answer>",
                             "<|begin_of_box|>4<|end_of_box|>",
                             "4<|im_end|>",
                             "4</s>",
                             "How many objects are there? 4",
                             "How many objects are there?\n4",
                             "The picture shows 4 circles left of the star.",
                             "There are 4 objects. So the answer is 4.",
                             "Let me see... 4!",
                             "I think there are 4.",
                             "There are exactly four.",
                             "4 objects in different colors and sizes",
                             "4 objects: a red circle, a star, a cross and a square.",
                             "<think>3? Or 5.</think>4",
                             "\u25C1think\u25B7not 3\u25C1/think\u25B7 It is 4."}) {
    says(answer, "4", "3");
    says(answer, "4", "0");
  }
  for (const char* answer :
       {"0", "zero", "none", "None.", "There are none.", "There are no objects.", "No circles.",
        "I see no red circles in the picture.", "There are no large striped things there", "0 circles"})
    says(answer, "0", "1");
  for (const char* answer :
       {"1", "one", "There is one.", "Only one.", "There is one red circle.", "One of them is red."})
    says(answer, "1", "2");
  constexpr std::string_view kWords[] = {"eleven",     "twelve",     "thirteen",    "fourteen", "fifteen",
                                         "sixteen",    "seventeen",  "eighteen",    "nineteen", "twenty",
                                         "twenty-one", "twenty two", "Twenty-Three"};
  for (std::size_t i = 0; i < std::size(kWords); ++i)
    says(std::string("There are ").append(kWords[i]).append(" of them."), std::to_string(11 + i), "2");
  says("ninety-nine", "99", "9");
  says("12", "12", "2");
}

TEST_CASE("yes and no are read alone and in a sentence that begins with them") {
  for (const char* answer : {"yes",
                             "Yes.",
                             "YES!",
                             "**Yes**",
                             "\\boxed{yes}",
                             "yeah",
                             "Yep",
                             "true",
                             "True.",
                             "Yes, there is.",
                             "Yes there is",
                             "Yes, there is a plain red circle.",
                             "Answer: yes",
                             "The answer is yes.",
                             "Is there a red circle? yes",
                             "Is there a circle that is not red? Yes.",
                             "Yes - a red one.",
                             "Yes, there is a circle that is not red.",
                             "Yes, there are two which aren't striped.",
                             "Yes, there are more stars than circles.",
                             "Yes. I see it.",
                             "yes yes",
                             "Yes, it's true.",
                             "<think>No?</think>Yes"})
    says(answer, "yes", "no");
  for (const char* answer : {"no",
                             "No.",
                             "NO!",
                             "**No**",
                             "nope",
                             "false",
                             "False.",
                             "No, there are none.",
                             "No, there isn't.",
                             "No there is not",
                             "No it isn't",
                             "No, there is no red circle.",
                             "No: it is above.",
                             "The answer is no.",
                             "No, they are not the same.",
                             "No \u2014 there are more stars than circles.",
                             "no, no",
                             "Answer: No",
                             "Is it left or right of the star? No.",
                             "It is false."})
    says(answer, "no", "yes");
}

TEST_CASE("a color, shape, size, texture or relation is read as a word or in a phrase") {
  for (const char* answer :
       {"red", "Red.", "the red", "A red", "\"Red\"", "**red**", "It is red.", "The circle is red.", "a red circle",
        "The color is red.", "red, I think", "It's a red one.", "Its color is: red", "\\text{Red}",
        "What color is it? Red", "The circle is red. It is not striped.", "dark red", "red-ish"})
    says(answer, "red", "blue");
  says("a red circle", "circle", "star");
  says("two circles", "circle", "star");
  says("It is a large, striped cross.", "cross", "square");
  says("It is a large, striped cross.", "large", "small");
  says("It is a large, striped cross.", "striped", "plain");
  says("It is big.", "large", "small");
  says("Is it large or small? Small.", "small", "large");
  says("with stripes", "striped", "plain");
  says("solid red", "plain", "striped");
  says("to the left", "left", "right");
  says("It is below the star.", "below", "above");
  says("an orange", "orange", "red");
}

TEST_CASE("no value, two values, a bound, a sum or a doubt says nothing") {
  for (const char* answer : {"",
                             " ",
                             ".",
                             "the",
                             "3 or 4",
                             "between 3 and 5",
                             "3-5",
                             "3 \u2013 5",
                             "3 to 5",
                             "4, no, 5",
                             "one of the four",
                             "1 of 4",
                             "4/5",
                             "4+",
                             "~4",
                             "<4",
                             ">4",
                             "\u22654",
                             "4%",
                             "4.5",
                             "1,000",
                             "-4",
                             "4:30",
                             "2 + 2",
                             "2 + 2 = 4",
                             "more than 4",
                             "at least 4",
                             "at most four",
                             "fewer than 4",
                             "almost 4",
                             "a dozen",
                             "two pairs",
                             "a hundred",
                             "several",
                             "many",
                             "many objects",
                             "IV",
                             "4th",
                             "the fourth",
                             "x4",
                             "4x",
                             "red",
                             "yes",
                             "no",
                             "No.",
                             "no idea",
                             "I cannot tell.",
                             "I can't tell",
                             "unknown",
                             "Unclear: 4",
                             "maybe 4",
                             "4 or so",
                             "not 4",
                             "It is not 4.",
                             "There aren't 4.",
                             "There aren't any.",
                             "4 is wrong",
                             "No, there are 4.",
                             "There are no more than 4 objects.",
                             "4? No.",
                             "4?",
                             "two circles and a star",
                             "one circle and one square",
                             "two circles and some squares",
                             "two red and a blue one",
                             "two circles and, I think, a star",
                             "One circle, one square.",
                             "There is one circle. There is one square.",
                             "the red one",
                             "4 circles plus the star",
                             "<think>4",
                             "[THINK]4",
                             "four hundred",
                             "anyone",
                             "twenty-fourth",
                             "a four-sided star",
                             "a 4-sided star",
                             "one-way",
                             "1 2",
                             "44444",
                             "r4",
                             "4\xFF"}) {
    says_nothing(answer, "4");
    says_nothing(answer, "1");
  }
  for (const char* answer : {"",
                             "yes no",
                             "yes and no",
                             "Yes or no",
                             "yes/no",
                             "no idea",
                             "No way to tell.",
                             "I have no clear view.",
                             "There is no doubt that it is.",
                             "There is no red circle.",
                             "no red circle",
                             "not yes",
                             "I can't say yes.",
                             "I cannot say no.",
                             "Yes, there is no red circle.",
                             "Yes, it is not.",
                             "Yes. No.",
                             "Yes, wait, no.",
                             "It is not true.",
                             "Not true",
                             "perhaps yes",
                             "unknown",
                             "red",
                             "4",
                             "a red circle",
                             "It is.",
                             "There is.",
                             "yes?",
                             "know",
                             "yesterday",
                             "No one is there",
                             "either",
                             "could be, yes"}) {
    says_nothing(answer, "yes");
    says_nothing(answer, "no");
  }
  for (const char* answer : {"",
                             "the",
                             "redd",
                             "infrared",
                             "r\u00E9d",
                             "red or blue",
                             "red and blue",
                             "not red",
                             "It is not red.",
                             "It isn't red",
                             "It isn\u2019t red.",
                             "never red",
                             "anything but red",
                             "Red. No.",
                             "Red? No.",
                             "red it is not",
                             "neither red",
                             "Red is wrong.",
                             "other than red",
                             "no red",
                             "4",
                             "yes",
                             "gray",
                             "a circle",
                             "I cannot tell",
                             "The color is unclear: red",
                             "maybe red",
                             "red or something",
                             "Is it red?",
                             "unlike the red circle"})
    says_nothing(answer, "red");
  says_nothing("The object nearest to the red circle is blue.", "blue");
  says_nothing("large and small", "large");
  says_nothing(std::string("yes\xFF\0", 5), "yes");
  says_nothing(std::string(10 << 20, 'y'), "yes");
  says_nothing("4" + std::string(20000, ' ') + "4", "4");
}

TEST_CASE("a bound says nothing, wherever it stands and whatever is between") {
  for (const char* answer : {"> 4", "\u2265 4", "~ 4", "about 4", "approximately four", "approx. 4", "up to 4",
                             "over 4 objects", "max 4", "4 max", "4 x 4", "around four"})
    says_nothing(answer, "4");
  for (const char* answer : {"Answer - 4", "- 4", "count = 4", "equal to 4"}) says(answer, "4", "3");
  for (const char* answer : {"non-red", "It isnt red"}) says_nothing(answer, "red");
}

TEST_CASE("an answer to a question of no type is right when it is the same") {
  says_nothing("teal", "pink");
  CHECK(same_answer("The Pink.", "pink") == Tri::yes);
  CHECK(same_answer("", "") == Tri::yes);
}

TEST_CASE("no answer that is about a value's opposite is read as the value") {
  const std::string_view kBefore[] = {"It is not ",   "There isn't a ", "no ",           "never ",
                                      "It's hardly ", "neither ",       "I cannot say ", "maybe ",
                                      "Not ",         "anything but ",  "without ",      "unlike "};
  const std::string_view kAfter[] = {" is wrong", " it is not",           "? No.",
                                     " or not",   " \u2013 no, it isn't", ", I am unsure"};
  for (const Attribute which : {Attribute::color, Attribute::shape, Attribute::size, Attribute::texture}) {
    for (const std::string_view value : values(which)) {
      for (const std::string_view before : kBefore) says_nothing(std::string(before).append(value), value);
      for (const std::string_view after : kAfter) says_nothing(std::string(value).append(after), value);
      for (const std::string_view other : values(which)) {
        if (other == value) continue;
        for (const char* between : {" or ", ", not ", " rather than ", " and ", "/", ". No, ", " instead of "}) {
          const std::string said = std::string(value) + between + std::string(other);
          says_nothing(said, value);
          says_nothing(said, other);
        }
      }
    }
  }
}

TEST_CASE("hostile answers are read in one pass and never throw") {
  random::Sequence draw(5, random::Stream::kFault, 0);
  const std::string_view pieces[] = {"4",      "one", " ",       "no",       "yes", ".",    "?",      "-",
                                     "<",      ">",   "and",     "not",      "\n",  "\xFF", "\u2265", "n't",
                                     "twenty", "red", "<think>", "</think>", ":",   "0"};
  for (int round = 0; round < 5000; ++round) {
    std::string said;
    for (int i = draw.below(40); i > 0; --i) said += pieces[draw.below(std::size(pieces))];
    for (const char* truth : {"4", "yes", "red"}) same_answer(said, truth);
  }
  for (const std::string_view piece : pieces) {
    std::string said;
    while (said.size() < 16000) said.append(piece).append(" ");
    for (const char* truth : {"4", "yes", "red", "0", "x"}) same_answer(said, truth);
  }
}
