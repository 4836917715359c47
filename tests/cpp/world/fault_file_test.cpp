#include "support.h"
#include "vlmprobe/core/error.h"
#include "vlmprobe/world/faults.h"
#include "world/scenes.h"

using namespace vlmprobe;
using namespace vlmprobe::world;

namespace {

// The message without its operation, which every one has; "" when the text is taken.
std::string message(const std::string& text) {
  const std::string said = thrown([&] { FaultSet::parse(text); });
  if (said.empty()) return said;
  CHECK(said.starts_with("[world::faults] "));
  return said.substr(std::string("[world::faults] ").size());
}

// A fault "f" with these fields instead of its own.
std::string with(const std::string& fields) {
  return message(R"([{"id": "f", )" + fields + "}]");
}

}  // namespace

TEST_CASE("a fault file is read, and written so that it reads the same") {
  const std::string text = R"([
    {"id": "a", "when": {"family": "count", "color": ["red", "blue"], "num_objects": {"min": 4}}, "effect": "off_by_one"},
    {"id": "b", "when": {"depth": {"min": 2, "max": 5}, "answer": 3}, "effect": "other", "rate": 0.25},
    {"id": "c \u00e9", "when": {"num_objects": 2, "relation": "left"}, "effect": "swap", "rate": 0},
    {"id": "d", "when": {"depth": {"min": -2147483648}, "size": "large"}, "effect": "replace",
     "map": {"red": "orange", "2": "3"}}])";
  const FaultSet read = FaultSet::parse(text, 5), again = FaultSet::parse(read.to_json(), 5);
  CHECK(read.seed() == 5);
  CHECK(again.to_json() == read.to_json());
  REQUIRE(read.faults().size() == 4);
  for (std::size_t f = 0; f < 4; ++f) {
    const Fault &one = read.faults()[f], &other = again.faults()[f];
    CHECK(one.id == other.id);
    CHECK(one.effect == other.effect);
    CHECK(one.rate == other.rate);
    CHECK(one.replacement == other.replacement);
    REQUIRE(one.when.size() == other.when.size());
    for (std::size_t c = 0; c < one.when.size(); ++c) {
      CHECK(one.when[c].feature == other.when[c].feature);
      CHECK(one.when[c].words == other.when[c].words);
      CHECK(one.when[c].min == other.when[c].min);
      CHECK(one.when[c].max == other.when[c].max);
    }
  }
  CHECK(read.faults()[0].rate == 1);
  CHECK(read.faults()[1].rate == 0.25);
  CHECK(read.faults()[3].replacement.at("2") == "3");
  CHECK(FaultSet::parse("[]").faults().empty());
  CHECK(FaultSet::parse(FaultSet().to_json()).faults().empty());
}

TEST_CASE("what is wrong with a fault is named, with what is allowed") {
  CHECK(message("") == "file: expected a JSON list of faults, got text that is no JSON");
  CHECK(message("[{]") == "file: expected a JSON list of faults, got text that is no JSON");
  CHECK(message("[\"\xFF\"]") == "file: expected a JSON list of faults, got text that is no JSON");
  CHECK(message(R"({"id": "f"})") == "file: expected a JSON list of faults, got object");
  CHECK(message("3") == "file: expected a JSON list of faults, got number");
  CHECK(message("[3]") == "fault 0: expected an object, got number");
  CHECK(message("[{}]") == "fault 0: id: expected a name");
  CHECK(message(R"([{"id": ""}])") == "fault 0: id: expected a name");
  CHECK(message(R"([{"id": 3}])") == "fault 0: id: expected a name");
  CHECK(with(R"("cause": 1)") == "fault f: expected a field among id, when, effect, rate, map, got cause");
  CHECK(with(R"("effect": "swap")") == "fault f: when: expected at least one feature");
  CHECK(with(R"("when": {}, "effect": "swap")") == "fault f: when: expected at least one feature");
  CHECK(with(R"("when": [], "effect": "swap")") == "fault f: when: expected at least one feature");
  CHECK(with(R"("when": {"colour": "red"}, "effect": "swap")") ==
        "fault f: expected a feature among family, answer, num_objects, color, shape, size, texture, relation, depth, "
        "got colour");
  CHECK(with(R"("when": {"color": "pink"}, "effect": "swap")") ==
        "fault f: when.color: expected one of red, green, blue, yellow, orange, purple, got pink");
  CHECK(with(R"("when": {"size": ["small", 3]}, "effect": "swap")") ==
        "fault f: when.size: expected one of small, large, got 3");
  CHECK(with(R"("when": {"relation": "over"}, "effect": "swap")") ==
        "fault f: when.relation: expected one of left, right, above, below, got over");
  CHECK(with(R"("when": {"family": "colour"}, "effect": "swap")")
            .starts_with("fault f: when.family: expected one of count, count_all, exist, compare, color, "));
  CHECK(with(R"("when": {"color": []}, "effect": "swap")") ==
        "fault f: when.color: expected at least one word, got []");
  CHECK(with(R"("when": {"color": {"min": 1}}, "effect": "swap")") ==
        R"(fault f: when.color: expected a word or a list of words, got {"min":1})");
  CHECK(with(R"("when": {"depth": "two"}, "effect": "swap")") ==
        R"(fault f: when.depth: expected a whole number, got "two")");
  CHECK(with(R"("when": {"num_objects": 2.5}, "effect": "swap")") ==
        "fault f: when.num_objects: expected a whole number, got 2.5");
  CHECK(with(R"("when": {"num_objects": 3000000000}, "effect": "swap")") ==
        "fault f: when.num_objects: expected a whole number, got 3000000000");
  CHECK(with(R"("when": {"num_objects": {"least": 2}}, "effect": "swap")") ==
        "fault f: when.num_objects: expected min or max, got least");
  CHECK(with(R"("when": {"num_objects": {}}, "effect": "swap")") ==
        "fault f: when.num_objects: expected min or max, got {}");
  CHECK(with(R"("when": {"num_objects": {"min": "2"}}, "effect": "swap")") ==
        R"(fault f: when.num_objects.min: expected a whole number, got "2")");
  CHECK(with(R"("when": {"num_objects": {"min": 4, "max": 3}}, "effect": "swap")") ==
        "fault f: when.num_objects: expected min <= max, got 4 > 3");

  const std::string when = R"("when": {"color": "red"}, )";
  CHECK(with(R"("when": {"color": "red"})") ==
        "fault f: effect: expected one of off_by_one, swap, replace, other, got nothing");
  CHECK(with(when + R"("effect": "lie")") ==
        "fault f: effect: expected one of off_by_one, swap, replace, other, got lie");
  CHECK(with(when + R"("effect": [1])") ==
        "fault f: effect: expected one of off_by_one, swap, replace, other, got [1]");
  for (const std::string rate : {"-0.1", "1.5", "true", "null", "[0.5]", "\"1\""})
    CHECK(with(when + R"("effect": "swap", "rate": )" + rate) ==
          "fault f: rate: expected a number in [0, 1], got " + rate);
  CHECK(with(when + R"("effect": "replace")") == "fault f: map: expected a map of answers, as replace needs, got {}");
  CHECK(with(when + R"("effect": "replace", "map": ["red"])") ==
        R"(fault f: map: expected a map of answers, as replace needs, got ["red"])");
  CHECK(with(when + R"("effect": "swap", "map": {"red": "blue"})") ==
        R"(fault f: map: expected none, as only replace takes one, got {"red":"blue"})");
  CHECK(with(when + R"("effect": "replace", "map": {"red": "pink"})")
            .starts_with("fault f: map: expected one of yes, no, 0, 1, 2, 3, 4, 5, 6, 7, red, green, "));
  CHECK(with(when + R"("effect": "replace", "map": {"red": {}})").ends_with(", got {}"));

  const std::string good = R"({"id": "f", "when": {"color": "red"}, "effect": "swap"})";
  CHECK(message("[" + good + "]").empty());
  CHECK(message("[" + good + ", " + good + "]") == "fault f: id: expected a name used once");
}

TEST_CASE("brackets a million deep are refused before anything recurses") {
  const std::string deep = std::string(1000000, '[') + std::string(1000000, ']');
  const std::string expected = "file: expected at most 16 levels of brackets, got more";
  CHECK(message(deep) == expected);
  CHECK(with(R"("when": {"color": )" + deep + "}") == expected);
  CHECK(with(R"("rate": )" + deep) == expected);
}

TEST_CASE("random and damaged files are refused or whole") {
  const std::string good = R"([{"id": "a", "when": {"family": "count", "num_objects": {"min": 4}}, "effect": "replace",
    "rate": 0.5, "map": {"1": "2"}}, {"id": "b", "when": {"color": ["red"]}, "effect": "other"}])";
  random::Sequence draw(8, random::Stream::kFault, 0);
  const std::string marks = "[]{}\",:0123456789.-eEtrufalsn \\\x80";
  int refused = 0;
  for (int round = 0; round < 20000; ++round) {
    std::string text = good;
    for (int change = draw.below(3); change >= 0; --change) {
      const auto at = static_cast<std::size_t>(draw.below(static_cast<int>(text.size())));
      const char mark = marks[static_cast<std::size_t>(draw.below(static_cast<int>(marks.size())))];
      if (draw.chance(0.3))
        text.erase(at, 1 + static_cast<std::size_t>(draw.below(20)));
      else if (draw.chance(0.5))
        text.insert(at, 1, mark);
      else
        text[at] = mark;
    }
    try {
      const FaultSet faults = FaultSet::parse(text);
      REQUIRE(FaultSet::parse(faults.to_json()).to_json() == faults.to_json());
    } catch (const InvalidArgument& error) {
      ++refused;
      REQUIRE(std::string_view(error.what()).starts_with("[world::faults] "));
    }
  }
  CHECK(refused > 10000);
  CHECK(refused < 20000);
}
