#include "pattern.h"

#include <algorithm>

#include "vlmprobe/core/detail/format.h"

namespace vlmprobe::world {
namespace {

enum class Number { singular, plural };

bool queries(Family family) {
  return family >= Family::color && family <= Family::texture;
}
Attribute queried_by(Family family) {
  return static_cast<Attribute>(static_cast<int>(family) - static_cast<int>(Family::color));
}
Family query_family(Attribute which) {
  return static_cast<Family>(static_cast<int>(Family::color) + static_cast<int>(which));
}

bool starts_with_vowel(std::string_view word) {
  return !word.empty() && std::string_view("aeiou").find(word[0]) != std::string_view::npos;
}

// Takes [size] [texture] [color] noun off the front of `words`.
bool take_description(Words& words, Number number, Filter& filter) {
  filter = {};
  for (const Attribute which : {Attribute::size, Attribute::texture, Attribute::color}) {
    const int index = words.empty() ? -1 : index_of(values(which), words[0]);
    if (index < 0) continue;
    filter[which] = static_cast<std::int8_t>(index);
    words = words.subspan(1);
  }
  if (words.empty()) return false;
  const bool plural = number == Number::plural;
  const int shape = plural ? index_of(kShapePlurals, words[0]) : index_of(kShapes, words[0]);
  const int noun = plural ? index_of(kNounPlurals, words[0]) : index_of(kNouns, words[0]);
  if (shape < 0 && noun < 0) return false;
  filter[Attribute::shape] = static_cast<std::int8_t>(shape);  // -1 is kAny
  words = words.subspan(1);
  return true;
}

std::string say_description(const Filter& filter, Number number, random::Sequence& draw) {
  std::vector<std::string_view> said;
  for (const Attribute which : {Attribute::size, Attribute::texture, Attribute::color})
    if (filter.states(which)) said.push_back(values(which)[static_cast<std::size_t>(filter[which])]);
  const bool plural = number == Number::plural;
  if (filter.states(Attribute::shape)) {
    const auto shape = static_cast<std::size_t>(filter[Attribute::shape]);
    said.push_back(plural ? kShapePlurals[shape] : kShapes[shape]);
  } else {
    const auto noun = static_cast<std::size_t>(draw.below(2));
    said.push_back(plural ? kNounPlurals[noun] : kNouns[noun]);
  }
  return formatted("{}", joined(said, " "));
}

// Takes the longest of `phrases` that starts `words`; its index or -1. (No phrase here begins another.)
int take_phrase(Words& words, std::span<const std::string_view> phrases) {
  for (std::size_t i = 0; i < phrases.size(); ++i) {
    const auto wanted = split(phrases[i]);
    if (words.size() < wanted.size() || !std::ranges::equal(wanted, words.first(wanted.size()))) continue;
    words = words.subspan(wanted.size());
    return static_cast<int>(i);
  }
  return -1;
}

bool take_article(Words& words) {
  if (words.size() < 2 || words[0] != (starts_with_vowel(words[1]) ? "an" : "a")) return false;
  words = words.subspan(1);
  return true;
}

bool take_excluded(Words& words, Filter& excluded, bool shape) {
  excluded = {};
  if (shape) {
    const int index = take_phrase(words, kShapePlurals);
    excluded[Attribute::shape] = static_cast<std::int8_t>(index);
    return index >= 0;
  }
  for (const Attribute which : {Attribute::color, Attribute::size, Attribute::texture}) {
    const int index = take_phrase(words, values(which));
    if (index < 0) continue;
    excluded[which] = static_cast<std::int8_t>(index);
    return true;
  }
  return false;
}

bool take_queried(Words& words, Program& program, bool again) {
  const int index = take_phrase(words, kAttributeNames);
  if (index < 0) return false;
  const auto which = static_cast<Attribute>(index);
  if (queries(program.family)) {
    program.family = query_family(which);
    return true;
  }
  if (again && program.queried != which) return false;
  program.queried = which;
  return true;
}

bool take_slot(std::string_view slot, Words& words, Program& program, bool again) {
  if (slot == "{a}") return take_description(words, Number::singular, program.a);
  if (slot == "{b}") return take_description(words, Number::singular, program.b);
  if (slot == "{as}") return take_description(words, Number::plural, program.a);
  if (slot == "{bs}") return take_description(words, Number::plural, program.b);
  if (slot == "{an}") return take_article(words) && take_description(words, Number::singular, program.a);
  if (slot == "{q}") return take_queried(words, program, again);
  if (slot == "{n}") return take_excluded(words, program.b, false);
  if (slot == "{ns}") return take_excluded(words, program.b, true);
  if (slot == "{k}") return take_phrase(words, kColors) >= 0;
  if (slot == "{s}") return take_phrase(words, kShapes) >= 0;
  if (slot == "{r}") {
    const int index = take_phrase(words, kRelationPhrases);
    if (index >= 0) program.relation = kRelationOf[static_cast<std::size_t>(index)];
    return index >= 0;
  }
  const bool extreme = slot == "{e}";
  const int index = take_phrase(words, extreme ? std::span(kExtremeWords) : std::span(kCornerPhrases));
  if (extreme)
    program.relation = static_cast<Relation>(index);
  else
    program.corner = static_cast<Corner>(index);
  return index >= 0;
}

std::string say_slot(std::string_view slot, const Program& program, random::Sequence& draw) {
  const auto one_of = [&](std::span<const std::string_view> words) {
    return std::string(words[static_cast<std::size_t>(draw.below(static_cast<int>(words.size())))]);
  };
  if (slot == "{a}") return say_description(program.a, Number::singular, draw);
  if (slot == "{b}") return say_description(program.b, Number::singular, draw);
  if (slot == "{as}") return say_description(program.a, Number::plural, draw);
  if (slot == "{bs}") return say_description(program.b, Number::plural, draw);
  if (slot == "{an}") {
    const std::string said = say_description(program.a, Number::singular, draw);
    return (starts_with_vowel(said) ? "an " : "a ") + said;
  }
  if (slot == "{q}")
    return std::string(
        name_of(kAttributeNames, queries(program.family) ? queried_by(program.family) : *program.queried));
  if (slot == "{ns}") return std::string(kShapePlurals[static_cast<std::size_t>(program.b[Attribute::shape])]);
  if (slot == "{n}") {
    for (const Attribute which : {Attribute::color, Attribute::size, Attribute::texture})
      if (program.b.states(which)) return std::string(values(which)[static_cast<std::size_t>(program.b[which])]);
  }
  if (slot == "{k}") return one_of(kColors);
  if (slot == "{s}") return one_of(kShapes);
  if (slot == "{e}") return std::string(name_of(kExtremeWords, program.relation));
  if (slot == "{c}") return std::string(name_of(kCornerPhrases, program.corner));
  const bool sideways = program.relation == Relation::left || program.relation == Relation::right;
  const std::string direction(name_of(kRelations, program.relation));
  if (!sideways) return direction;
  return formatted("{}{} of", draw.chance(0.5) ? "" : "to the ", direction);
}

bool is_slot(std::string_view piece) {
  return piece.front() == '{';
}

// Families whose first description must state something: "how many objects are there" is count_all.
bool needs_description(Family family) {
  return family != Family::negation && family != Family::two_step;
}

}  // namespace

std::vector<std::string_view> split(std::string_view text) {
  std::vector<std::string_view> words;
  for (std::size_t begin = text.find_first_not_of(' '); begin != std::string_view::npos;) {
    const std::size_t end = std::min(text.find(' ', begin), text.size());
    words.push_back(text.substr(begin, end - begin));
    begin = text.find_first_not_of(' ', end);
  }
  return words;
}

bool Pattern::mentions(std::string_view slot) const {
  return std::ranges::find(pieces, slot) != pieces.end();
}

const std::vector<Pattern>& patterns() {
  static const std::vector<Pattern> kPatterns = [] {
    std::vector<Pattern> all;
    for (const Phrasing& phrasing : kPhrasings) all.push_back({&phrasing, split(phrasing.pattern)});
    return all;
  }();
  return kPatterns;
}

bool match(const Pattern& pattern, Words words, Program& program) {
  program = {.family = pattern.phrasing->family, .number = pattern.phrasing->number};
  bool queried = false;
  for (const std::string_view piece : pattern.pieces) {
    if (words.empty()) return false;
    if (is_slot(piece)) {
      if (!take_slot(piece, words, program, queried)) return false;
      queried = queried || piece == "{q}";
    } else {
      if (words[0] != piece) return false;
      words = words.subspan(1);
    }
  }
  if (!words.empty()) return false;
  const bool describes = pattern.mentions("{a}") || pattern.mentions("{as}") || pattern.mentions("{an}");
  if (describes && needs_description(program.family) && program.a.stated() == 0) return false;
  const bool refers = pattern.mentions("{b}") || pattern.mentions("{bs}");
  return !refers || program.b.stated() > 0;
}

bool can_say(const Pattern& pattern, const Program& program) {
  const Phrasing& phrasing = *pattern.phrasing;
  if (phrasing.kind != ParseKind::question || phrasing.number != program.number) return false;
  const bool any_query = queries(phrasing.family) && pattern.mentions("{q}");
  if (any_query ? !queries(program.family) : phrasing.family != program.family) return false;
  if (pattern.mentions("{n}")) return program.b.stated() == 1 && !program.b.states(Attribute::shape);
  if (pattern.mentions("{ns}")) return program.b.stated() == 1 && program.b.states(Attribute::shape);
  return true;
}

std::string fill(const Pattern& pattern, const Program& program, random::Sequence& draw) {
  std::vector<std::string> said;
  for (const std::string_view piece : pattern.pieces)
    said.push_back(is_slot(piece) ? say_slot(piece, program, draw) : std::string(piece));
  return formatted("{}", joined(said, " "));
}

}  // namespace vlmprobe::world
