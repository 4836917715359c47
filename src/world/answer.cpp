#include "vlmprobe/world/answer.h"

#include <algorithm>
#include <array>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "answer_words.h"
#include "vlmprobe/text/thinking.h"
#include "vlmprobe/world/vocabulary.h"

namespace vlmprobe::world {
namespace {

using Names = std::span<const std::string_view>;
using Sentence = std::span<const AnswerWord>;

constexpr std::size_t kLongest = 16 << 10;  // bytes of an answer
constexpr std::array<std::string_view, 5> kYes = {"yes", "yeah", "yep", "yup", "true"};
constexpr std::array<std::string_view, 4> kNo = {"no", "nope", "nah", "false"};
constexpr std::array<std::string_view, 24> kUnsure = {
    "cannot",        "can't",        "cant",       "unknown", "unsure",  "uncertain", "unclear",   "unable",
    "indeterminate", "undetermined", "impossible", "idk",     "maybe",   "may",       "perhaps",   "possibly",
    "might",         "could",        "or",         "either",  "whether", "hard",      "difficult", "sorry"};
constexpr std::array<std::string_view, 26> kNegations = {
    "not",       "no",       "never",  "neither", "nor",    "none",      "nothing", "without", "except",
    "excluding", "hardly",   "rather", "wrong",   "untrue", "incorrect", "false",   "nope",    "instead",
    "unlike",    "anything", "non",    "isnt",    "arent",  "doesnt",    "dont",    "wasnt"};
constexpr std::array<std::string_view, 16> kBounds = {"than",    "least",  "most",  "between", "minimum", "maximum",
                                                      "nearly",  "almost", "dozen", "pair",    "pairs",   "couple",
                                                      "hundred", "half",   "max",   "min"};
constexpr std::array<std::string_view, 13> kBeforeBounds = {
    "about", "around", "approximately", "approx",  "roughly",   "circa", "over",
    "under", "above",  "below",         "exceeds", "exceeding", "near"};
constexpr std::array<std::string_view, 4> kArithmetic = {"plus", "minus", "times", "x"};
constexpr std::array<std::string_view, 20> kUnits = {
    "zero", "one",    "two",    "three",    "four",     "five",    "six",     "seven",     "eight",    "nine",
    "ten",  "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"};
constexpr std::array<std::string_view, 10> kTens = {"",      "",      "twenty",  "thirty", "forty",
                                                    "fifty", "sixty", "seventy", "eighty", "ninety"};
constexpr std::array<std::string_view, 20> kAfterNo = {"there", "it",      "it's",  "they", "this", "that", "these",
                                                       "those", "the",     "he",    "she",  "i",    "i'm",  "we",
                                                       "you",   "because", "since", "as",   "none", "not"};
constexpr std::array<std::string_view, 3> kRelatives = {"that", "which", "who"};
constexpr std::array<std::string_view, 11> kBeforeOne = {"the",     "this",  "that", "each",  "any", "every",
                                                         "another", "other", "no",   "which", "same"};
constexpr std::array<std::pair<std::string_view, std::string_view>, 3> kSynonyms = {
    {{"big", "large"}, {"solid", "plain"}, {"stripes", "striped"}}};

bool among(Names names, std::string_view word) {
  return index_of(names, word) >= 0;
}

bool negates(const AnswerWord& word) {
  return among(kNegations, word.text) || word.text.ends_with("n't");
}

// The world's word for a value, in the singular.
std::string_view singular(std::string_view word) {
  for (const auto& [other, own] : kSynonyms)
    if (word == other) return own;
  const int plural = index_of(kShapePlurals, word);
  return plural >= 0 ? kShapes[static_cast<std::size_t>(plural)] : word;
}

bool describes(std::string_view word) {
  const std::string_view value = singular(word);
  return among(kColors, value) || among(kSizes, value) || among(kTextures, value);
}

bool is_thing(std::string_view word) {
  constexpr std::array<std::string_view, 4> kThings = {"object", "objects", "thing", "things"};
  return among(kThings, word) || among(kShapes, singular(word));
}

// What an answer says of one type: its values, each with its place.
struct Said {
  std::string value;  // as the world writes it; "?" for a number that is none of its numbers
  std::size_t first = 0, last = 0;
};

std::vector<Said> listed(Sentence words, Names values) {
  std::vector<Said> found;
  for (std::size_t i = 0; i < words.size(); ++i)
    if (const std::string_view value = singular(words[i].text); among(values, value))
      found.push_back({std::string(value), i, i});
  return found;
}

std::vector<Said> agreed(Sentence words) {
  std::vector<Said> found;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const bool hangs_on =
        i + 1 < words.size() && words[i + 1].phrase == words[i].phrase && !among(kAfterNo, words[i + 1].text);
    if (among(kYes, words[i].text)) found.push_back({"yes", i, i});
    if (among(kNo, words[i].text) && !(words[i].text == "no" && hangs_on)) found.push_back({"no", i, i});
  }
  return found;
}

// "4", "04", "4.0"; nothing for other digits.
std::optional<int> whole(std::string_view digits) {
  const std::size_t point = std::min(digits.find('.'), digits.size());
  const std::string_view part = digits.substr(0, point), rest = digits.substr(std::min(point + 1, digits.size()));
  if (part.empty() || part.size() > 4 || part.find_first_not_of("0123456789") != part.npos) return std::nullopt;
  if (rest.find_first_not_of('0') != rest.npos) return std::nullopt;
  int value = 0;
  for (const char c : part) value = 10 * value + (c - '0');
  return value;
}

// The number that begins at `i`, and its last word; -1 where it is none of the world's, nothing where none begins.
std::optional<std::pair<int, std::size_t>> number_at(Sentence words, std::size_t i) {
  const std::string_view word = words[i].text;
  if (words[i].joined && index_of(kTens, word) < 2) return std::nullopt;  // "one-way", "4-sided"
  const auto same_phrase = [&](std::size_t j) { return j < words.size() && words[j].phrase == words[i].phrase; };
  if (words[i].number) return std::pair(whole(word).value_or(-1), i);
  if (const int tens = index_of(kTens, word); tens > 1) {
    const int unit = same_phrase(i + 1) ? index_of(kUnits, words[i + 1].text) : -1;
    if (unit >= 1 && unit <= 9) return std::pair(10 * tens + unit, i + 1);
    return words[i].joined ? std::nullopt : std::optional(std::pair(10 * tens, i));
  }
  if (word == "one" && i > 0 && words[i - 1].phrase == words[i].phrase &&
      (describes(words[i - 1].text) || among(kBeforeOne, words[i - 1].text)))
    return std::nullopt;
  if (const int unit = index_of(kUnits, word); unit >= 0) return std::pair(unit, i);
  if (word == "none") return std::pair(0, i);
  if (word != "no") return std::nullopt;
  std::size_t end = i + 1;
  while (same_phrase(end) && describes(words[end].text)) ++end;
  return same_phrase(end) && is_thing(words[end].text) ? std::optional(std::pair(0, end)) : std::nullopt;
}

// Whether a number's clause goes on to count something else: "two circles and a star", "two red ones, another is blue".
class Sum {
 public:
  void begin(const AnswerWord& number) { clause_ = number.clause, linked_ = false; }

  bool sees(const AnswerWord& word) {
    if (word.clause != clause_) return false;
    linked_ |= word.text == "and" || word.text == "another";
    const bool counted = is_thing(word.text) || describes(word.text) || word.text == "one" || word.text == "ones";
    return (linked_ && counted) || among(kArithmetic, word.text);
  }

 private:
  int clause_ = -1;
  bool linked_ = false;
};

// "about 4", "up to 4".
bool bounded(Sentence words, std::size_t number) {
  if (number == 0) return false;
  const std::string_view before = words[number - 1].text;
  return among(kBeforeBounds, before) || (before == "to" && number > 1 && words[number - 2].text == "up");
}

// A bound, a number that goes on in a sum, or one that is said of several things, is none of the world's.
std::vector<Said> counted(Sentence words) {
  std::vector<Said> found;
  int goes_on = 0;
  bool other = false;
  Sum sum;
  for (std::size_t i = 0; i < words.size(); ++i) {
    other |= among(kBounds, words[i].text) || sum.sees(words[i]);
    const auto number = number_at(words, i);
    if (!number) continue;
    const auto [value, last] = *number;
    other |= bounded(words, i);
    found.push_back({value < 0 ? "?" : std::to_string(value), i, last});
    goes_on += last + 1 < words.size() && words[last + 1].phrase == words[last].phrase;
    sum.begin(words[last]);
    i = last;
  }
  if (other || goes_on > 1) found.push_back({"?", 0, 0});
  return found;
}

bool first_of_sentence(Sentence words, std::size_t i) {
  return i == 0 || words[i - 1].sentence != words[i].sentence;
}

// Whether a negation may turn round what is said. One that is part of a value ("no circles" is 0) does not.
bool negated(Sentence words, const std::vector<Said>& said) {
  for (std::size_t i = 0; i < words.size(); ++i) {
    const bool part = std::ranges::any_of(said, [&](const Said& each) { return each.first <= i && i <= each.last; });
    if (part || !(negates(words[i]) || words[i].text == "than")) continue;
    const Said& last = said.back();
    const bool before = i < last.first, beside = words[i].sentence == words[last.last].sentence;
    if (before || beside || first_of_sentence(words, i)) return true;
  }
  return false;
}

// As `negated`; but after "no" a negation agrees, and after "yes" one of what is described does ("that is not red").
bool taken_back(Sentence words, const std::vector<Said>& said) {
  const Said& first = said.front();
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (!negates(words[i]) || std::ranges::any_of(said, [&](const Said& each) { return each.first == i; })) continue;
    if (i < first.first) return true;
    if (first.value == "no") continue;
    const auto relative = [&](std::size_t back) { return i >= back && among(kRelatives, words[i - back].text); };
    const bool beside = words[i].sentence == words[first.first].sentence || first_of_sentence(words, i);
    if (beside && !relative(1) && !relative(2)) return true;
  }
  return false;
}

Names values_of_type(std::string_view truth) {
  for (const Names names : {Names(kColors), Names(kShapes), Names(kSizes), Names(kTextures), Names(kRelations)})
    if (among(names, truth)) return names;
  return {};
}

std::string without_articles(Sentence words) {
  constexpr std::array<std::string_view, 3> kArticles = {"a", "an", "the"};
  std::string out;
  for (const AnswerWord& word : words)
    if (!among(kArticles, word.text)) out.append(out.empty() ? "" : " ").append(word.text);
  return out;
}

}  // namespace

Tri same_answer(std::string_view answer, std::string_view truth) {
  const std::optional<std::string_view> told = text::said(answer);
  if (!told || told->size() > kLongest) return Tri::unknown;

  const std::vector<AnswerWord> words = AnswerWords(*told).take();
  const std::string right = without_articles(AnswerWords(truth.substr(0, kLongest)).take());
  const Names values = values_of_type(right);
  const bool yes_no = right == "yes" || right == "no", number = whole(right).has_value();
  if (!yes_no && !number && values.empty()) return without_articles(words) == right ? Tri::yes : Tri::unknown;

  const std::vector<Said> said = yes_no ? agreed(words) : number ? counted(words) : listed(words, values);
  const auto differs = [&](const Said& each) { return each.value != said.front().value; };
  if (said.empty() || said.front().value == "?" || std::ranges::any_of(said, differs)) return Tri::unknown;
  if (std::ranges::any_of(words, [](const AnswerWord& word) { return among(kUnsure, word.text); })) return Tri::unknown;
  if (yes_no ? taken_back(words, said) : negated(words, said)) return Tri::unknown;
  return said.front().value == (number ? std::to_string(*whole(right)) : right) ? Tri::yes : Tri::no;
}

}  // namespace vlmprobe::world
