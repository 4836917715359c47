#include "vlmprobe/world/grammar.h"

#include <algorithm>
#include <set>

#include "pattern.h"
#include "vlmprobe/core/error.h"

namespace vlmprobe::world {
namespace {

// Lower case, marks set apart by spaces, other white space as spaces: "Is it red?" -> "is it red ?".
std::string spaced(std::string_view text) {
  std::string result;
  for (const char character : text) {
    const bool mark = character == '?' || character == '.' || character == ',' || character == ':';
    const bool capital = character >= 'A' && character <= 'Z', white = character >= '\t' && character <= '\r';
    if (mark) result += ' ';
    result += capital ? static_cast<char>(character - 'A' + 'a') : white ? ' ' : character;
    if (mark) result += ' ';
  }
  return result;
}

Parse parse_one(Words words) {
  Parse parse;
  for (const Pattern& pattern : patterns()) {
    if (!match(pattern, words, parse.program)) continue;
    parse.kind = pattern.phrasing->kind;
    return parse;
  }
  return {};
}

// A question without its final mark is one if some mark completes it.
bool is_question(std::vector<std::string_view> words) {
  if (words.empty()) return false;
  if (words.back() == "?" || words.back() == ".") return parse_one(words).kind != ParseKind::ungrammatical;
  for (const std::string_view mark : {"?", "."}) {
    words.push_back(mark);
    if (parse_one(words).kind != ParseKind::ungrammatical) return true;
    words.pop_back();
  }
  return false;
}

bool is_compound(Words words) {
  for (std::size_t i = 1; i + 1 < words.size(); ++i) {
    if (words[i] != "and" && words[i] != "or") continue;
    if (is_question({words.begin(), words.begin() + static_cast<std::ptrdiff_t>(i)}) &&
        is_question({words.begin() + static_cast<std::ptrdiff_t>(i) + 1, words.end()}))
      return true;
  }
  return false;
}

}  // namespace

Parse parse(std::string_view text) {
  if (text.size() > kMaxWords * 16) return {};  // no sentence of the grammar is that long
  const std::string prepared = spaced(text);
  const std::vector<std::string_view> words = split(prepared);
  if (words.size() > kMaxWords) return {};
  Parse parse = parse_one(words);
  if (parse.kind == ParseKind::ungrammatical && is_compound(words)) parse.kind = ParseKind::compound;
  return parse;
}

std::string phrase(const Program& program, random::Sequence& draw) {
  std::vector<const Pattern*> possible;
  for (const Pattern& pattern : patterns())
    if (can_say(pattern, program)) possible.push_back(&pattern);
  expect(!possible.empty(), "world::phrase", "program: expected one that the grammar can say, got {}",
         to_string(program));
  return fill(*possible[static_cast<std::size_t>(draw.below(static_cast<int>(possible.size())))], program, draw);
}

std::string remark(ParseKind kind, random::Sequence& draw) {
  expect(kind == ParseKind::ungrounded || kind == ParseKind::subjective, "world::remark",
         "kind: expected ungrounded or subjective");
  std::vector<const Pattern*> possible;
  for (const Pattern& pattern : patterns())
    if (pattern.phrasing->kind == kind) possible.push_back(&pattern);
  Program program;
  program.a[Attribute::color] = static_cast<std::int8_t>(draw.below(static_cast<int>(kColors.size())));
  program.a[Attribute::shape] = static_cast<std::int8_t>(draw.below(static_cast<int>(kShapes.size())));
  return fill(*possible[static_cast<std::size_t>(draw.below(static_cast<int>(possible.size())))], program, draw);
}

std::vector<std::string> grammar_words() {
  std::set<std::string, std::less<>> words = {"and", "or", "a", "an"};
  const auto add = [&](std::span<const std::string_view> phrases) {
    for (const std::string_view phrase : phrases)
      for (const std::string_view word : split(phrase)) words.emplace(word);
  };
  for (const Pattern& pattern : patterns())
    for (const std::string_view piece : pattern.pieces)
      if (piece.front() != '{') words.emplace(piece);
  for (const auto& list : {std::span<const std::string_view>(kColors),
                           {kShapes},
                           {kShapePlurals},
                           {kSizes},
                           {kTextures},
                           {kAttributeNames},
                           {kRelationPhrases},
                           {kExtremeWords},
                           {kCornerPhrases},
                           {kNouns},
                           {kNounPlurals}})
    add(list);
  return {words.begin(), words.end()};
}

}  // namespace vlmprobe::world
