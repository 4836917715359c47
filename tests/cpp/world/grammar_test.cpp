#include "vlmprobe/world/grammar.h"

#include <algorithm>
#include <array>
#include <set>

#include "support.h"
#include "vlmprobe/text/prefix.h"
#include "vlmprobe/world/judge.h"
#include "world/scenes.h"

using namespace vlmprobe;
using namespace vlmprobe::world;

namespace {

// As people write: a capital, marks that touch their words, other white space.
std::string as_written(const std::string& sentence) {
  std::string text;
  for (std::size_t i = 0; i < sentence.size(); ++i) {
    const bool before_mark = i + 1 < sentence.size() && std::string_view("?.,:").find(sentence[i + 1]) != text.npos;
    if (sentence[i] == ' ' && before_mark) continue;
    text += sentence[i] == ' ' && i % 5 == 0 ? '\t' : sentence[i];
  }
  text[0] = static_cast<char>(text[0] - 'a' + 'A');
  return " \n" + text + "\r\n";
}

ParseKind kind_of(std::string_view text) {
  return parse(text).kind;
}

}  // namespace

TEST_CASE("what is said is what is understood") {
  for (std::size_t f = 0; f < kFamilies.size(); ++f)
    for (std::uint32_t index = 0; index < 600; ++index) {
      const Scene scene = scene_at(index);
      random::Sequence draw = draw_at(index, static_cast<std::uint32_t>(f));
      Sample sample;
      const auto family = static_cast<Family>(f);
      if (!thrown([&] { sample = sample_question(scene, family, draw); }).empty()) continue;  // not in this scene
      CAPTURE(sample.question);
      REQUIRE(sample.program.family == family);
      for (const std::string& text : {sample.question, as_written(sample.question)}) {
        const Parse understood = parse(text);
        REQUIRE(understood.kind == ParseKind::question);
        REQUIRE(understood.program == sample.program);
        const Judgement judgement = judge(scene, text);
        REQUIRE(judgement.valid());
        REQUIRE(judgement.answer == sample.answer);
      }
    }
}

TEST_CASE("every phrasing of a program is understood as that program") {
  const Program program{
      .family = Family::two_step, .a = filter("orange"), .b = filter("star"), .relation = Relation::left};
  std::set<std::string> said;
  for (std::uint32_t index = 0; index < 400; ++index) {
    random::Sequence draw = draw_at(index, 100);
    said.insert(phrase(program, draw));
  }
  CHECK(said.size() == 16);  // 4 patterns x "left of", "to the left of" x object(s), thing(s)
  CHECK(said.contains("is there an orange thing to the left of the star ?"));
  for (const std::string& text : said) CHECK(parse(text).program == program);
}

TEST_CASE("samples have at least 150 two-word prefixes, of known words only") {
  const std::vector<std::string> words = grammar_words();
  CHECK(std::ranges::is_sorted(words));
  CHECK(std::ranges::adjacent_find(words) == words.end());
  std::set<std::string> prefixes;
  for (std::uint32_t index = 0; index < 20000; ++index) {
    const std::string question = sample_at(index).question;
    prefixes.insert(text::prefix(question));
    std::istringstream stream(question);
    for (std::string word; stream >> word;) REQUIRE(std::ranges::binary_search(words, word));
  }
  CHECK(prefixes.size() >= 150);
}

TEST_CASE("two questions in one are compound") {
  CHECK(kind_of("is there a red circle and how many stars are there ?") == ParseKind::compound);
  CHECK(kind_of("Is there a red circle? And how many stars are there?") == ParseKind::compound);
  CHECK(kind_of("count the stars or is the square striped or plain ?") == ParseKind::compound);
  CHECK(kind_of("do you like the red circle and how many stars are there ?") == ParseKind::compound);
  CHECK(kind_of("is the red circle large or small ?") == ParseKind::question);
  CHECK(kind_of("are the star and the circle the same color ?") == ParseKind::question);
  CHECK(kind_of("is there a red circle and") == ParseKind::ungrammatical);
  CHECK(kind_of("and how many stars are there ?") == ParseKind::ungrammatical);
  CHECK(kind_of("is there a red circle and a star ?") == ParseKind::ungrammatical);
}

TEST_CASE("remarks need no picture, or are a matter of taste") {
  CHECK(kind_of("How many sides does a square have?") == ParseKind::ungrounded);
  CHECK(kind_of("is red a color ?") == ParseKind::ungrounded);
  CHECK(kind_of("is red a shape or a color ?") == ParseKind::ungrounded);
  CHECK(kind_of("do you like the red circle ?") == ParseKind::subjective);
  CHECK(kind_of("Is this a nice picture?") == ParseKind::subjective);
  for (const ParseKind kind : {ParseKind::ungrounded, ParseKind::subjective}) {
    std::set<std::string> said;
    for (std::uint32_t index = 0; index < 500; ++index) {
      random::Sequence draw = draw_at(index, 101);
      const std::string& text = *said.insert(remark(kind, draw)).first;
      REQUIRE(kind_of(text) == kind);
    }
    CHECK(said.size() > 40);
  }
  random::Sequence draw = draw_at(0);
  CHECK(thrown([&] { remark(ParseKind::question, draw); }) ==
        "[world::remark] kind: expected ungrounded or subjective");
}

TEST_CASE("broken sentences are ungrammatical") {
  for (const std::string_view text :
       {"", " ", "?", "?? ..", "hello", "how many red circle are there ?", "how many red circles are there",
        "how many circles red are there ?", "is there a orange circle ?", "is there an red circle ?",
        "is there an orange circles ?", "are there any circle ?", "what color the star is ?",
        "is the star left the square ?", "how many red red circles are there ?",
        "how many striped small circles are there ?", "is the color of the star the same as the size of the square ?",
        "how many objects are there ? ?", "what \xC3\xA7olor is the star ?"}) {
    CAPTURE(text);
    CHECK(kind_of(text) == ParseKind::ungrammatical);
  }
}

TEST_CASE("a program without words is refused") {
  random::Sequence draw = draw_at(0);
  const Program program{.family = Family::negation, .b = filter("red circle")};
  CHECK(thrown([&] { phrase(program, draw); }) ==
        "[world::phrase] program: expected one that the grammar can say, got negation(object; not red circle)");
}

TEST_CASE("hostile text is ungrammatical, never an error") {
  const Scene scene = five();
  const auto refused = [&](std::string_view text) {
    return kind_of(text) == ParseKind::ungrammatical && judge(scene, text).criteria.grammatical == Tri::no;
  };
  constexpr std::size_t kLarge = 10 << 20;
  std::string conjunctions, question = "how many red circles are there ?";
  while (conjunctions.size() < kLarge) conjunctions += "and ";
  CHECK(refused(conjunctions));
  CHECK(refused(std::string(kLarge, '?')));
  CHECK(refused(std::string(kLarge, '\0')));
  CHECK(refused(std::string(kLarge, '\xFF')));
  CHECK(refused(std::string_view(conjunctions).substr(0, 4 * kMaxWords)));
  CHECK(refused(std::string_view(conjunctions).substr(0, 4 * kMaxWords + 4)));
  CHECK(refused(std::string("how many\0red circles are there ?", 32)));
  CHECK(refused("\x1b[2J how many red circles are there ?"));
  CHECK(refused(question + " \xE2\x80\xAE"));
  CHECK(kind_of(question + std::string(900, ' ')) == ParseKind::question);

  const std::vector<std::string> words = grammar_words();
  random::Sequence draw(3, random::Stream::kSampling, 0);
  std::array<int, 5> kinds{};
  for (int round = 0; round < 20000; ++round) {
    std::string bytes, salad;
    for (int i = draw.below(40); i > 0; --i) bytes += static_cast<char>(draw.below(256));
    for (int i = draw.below(12); i > 0; --i)
      salad += words[static_cast<std::size_t>(draw.below(static_cast<int>(words.size())))] + " ";
    std::string changed = sample_at(static_cast<std::uint32_t>(round % 500)).question;
    changed[static_cast<std::size_t>(draw.below(static_cast<int>(changed.size())))] =
        static_cast<char>(draw.below(256));
    for (const std::string& text : {bytes, salad, changed}) {
      const Judgement judgement = judge(scene, text);
      ++kinds.at(static_cast<std::size_t>(kind_of(text)));
      REQUIRE(judgement.valid() == !judgement.answer.empty());
      REQUIRE(judgement.valid() == judgement.reason.empty());
    }
  }
  CHECK(kinds[static_cast<std::size_t>(ParseKind::ungrammatical)] > 50000);
}
