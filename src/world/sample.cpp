#include "vlmprobe/world/sample.h"

#include <algorithm>
#include <optional>
#include <tuple>
#include <vector>

#include "pattern.h"
#include "vlmprobe/core/error.h"
#include "vlmprobe/world/judge.h"

namespace vlmprobe::world {
namespace {

constexpr int kTries = 200;

Attribute any_attribute(random::Sequence& draw) {
  return static_cast<Attribute>(draw.below(static_cast<int>(kAttributes)));
}

const Object& any_object(const Scene& scene, random::Sequence& draw) {
  return scene.objects[static_cast<std::size_t>(draw.below(static_cast<int>(scene.objects.size())))];
}

// States `stated` attributes of the object, drawn without replacement.
Filter describe(const Object& object, int stated, random::Sequence& draw) {
  Filter filter;
  while (filter.stated() < stated) {
    const Attribute which = any_attribute(draw);
    filter[which] = object[which];
  }
  return filter;
}

// A description that names one object: two attributes mostly, more or fewer at times.
Filter referent(const Scene& scene, random::Sequence& draw) {
  constexpr int kStated[] = {1, 2, 2, 2, 3};
  return describe(any_object(scene, draw), kStated[draw.below(5)], draw);
}

// A description of a set: of something in the scene, or (with probability `anything`) of an object drawn at random.
Filter set(const Scene& scene, random::Sequence& draw, double anything = 0.3) {
  Object object = any_object(scene, draw);
  if (draw.chance(anything))
    for (std::size_t i = 0; i < kAttributes; ++i)
      object.attribute[i] =
          static_cast<std::int8_t>(draw.below(static_cast<int>(values(static_cast<Attribute>(i)).size())));
  return describe(object, 1 + draw.below(2), draw);
}

Filter set_or_all(const Scene& scene, random::Sequence& draw) {
  return draw.chance(0.5) ? Filter{} : set(scene, draw);
}

Program any_program(const Scene& scene, Family family, random::Sequence& draw) {
  Program program{.family = family};
  const auto relation = [&] { return static_cast<Relation>(draw.below(4)); };
  switch (family) {
    case Family::count_all:
      break;
    case Family::count:
      program.a = set(scene, draw);
      break;
    case Family::exist:
      program.a = set(scene, draw, 0.6);
      break;
    case Family::compare:
      program.a = set(scene, draw), program.b = set(scene, draw);
      break;
    case Family::color:
    case Family::shape:
    case Family::size:
    case Family::texture:
      program.a = referent(scene, draw);
      break;
    case Family::relation:
      program.a = referent(scene, draw), program.b = referent(scene, draw), program.relation = relation();
      break;
    case Family::nearest:
      program.a = referent(scene, draw), program.queried = any_attribute(draw);
      break;
    case Family::extreme:
      program.relation = relation(), program.queried = any_attribute(draw);
      break;
    case Family::corner:
      program.corner = static_cast<Corner>(draw.below(4)), program.queried = any_attribute(draw);
      break;
    case Family::same:
      program.a = referent(scene, draw), program.b = referent(scene, draw), program.queried = any_attribute(draw);
      break;
    case Family::negation:
      program.a = set_or_all(scene, draw), program.b = describe(any_object(scene, draw), 1, draw),
      program.number = draw.chance(0.5);
      break;
    case Family::two_step:
      program.a = set_or_all(scene, draw), program.b = referent(scene, draw), program.relation = relation(),
      program.number = draw.chance(0.5);
      break;
  }
  return program;
}

std::optional<Sample> try_question(const Scene& scene, Family family, random::Sequence& draw) {
  for (int attempt = 0; attempt < kTries; ++attempt) {
    const Program program = any_program(scene, family, draw);
    Judgement judgement = judge(scene, program);
    if (judgement.valid()) return Sample{program, phrase(program, draw), std::move(judgement.answer)};
  }
  return std::nullopt;
}

// Swaps two neighbours, drops a word, changes a noun's number or a verb's.
std::string broken(const std::string& sentence, random::Sequence& draw) {
  std::vector<std::string_view> words = split(sentence);
  const auto at = static_cast<std::size_t>(draw.below(static_cast<int>(words.size()) - 1));
  const auto swap_number = [&](std::string_view& word) {
    for (const auto& [one, many] :
         {std::pair(std::span<const std::string_view>(kShapes), std::span<const std::string_view>(kShapePlurals)),
          std::pair(std::span<const std::string_view>(kNouns), std::span<const std::string_view>(kNounPlurals))}) {
      if (const int i = index_of(one, word); i >= 0) return word = many[static_cast<std::size_t>(i)], true;
      if (const int i = index_of(many, word); i >= 0) return word = one[static_cast<std::size_t>(i)], true;
    }
    if (word == "is" || word == "are") return word = word == "is" ? "are" : "is", true;
    if (word == "a" || word == "an") return word = word == "a" ? "an" : "a", true;
    if (word == "does" || word == "do") return word = word == "do" ? "does" : "do", true;
    return false;
  };
  switch (draw.below(4)) {
    case 0:
      words.erase(words.begin() + static_cast<std::ptrdiff_t>(at));
      break;
    case 1:
      std::swap(words[at], words[at + 1]);
      break;
    default:
      std::ignore = std::ranges::any_of(words.begin() + static_cast<std::ptrdiff_t>(at), words.end(), swap_number);
  }
  return formatted("{}", joined(words, " "));
}

std::string compound(const Scene& scene, random::Sequence& draw) {
  std::string first = sample_question(scene, draw).question;
  first.resize(first.size() - 2);  // its final mark
  return first + (draw.chance(0.8) ? " and " : " or ") + sample_question(scene, draw).question;
}

// A program that nobody checked: it may ask for what it states, or about an object that is not there.
std::string unchecked(const Scene& scene, random::Sequence& draw) {
  const auto family = static_cast<Family>(draw.below(static_cast<int>(kFamilies.size())));
  return phrase(any_program(scene, family, draw), draw);
}

std::string candidate(const Scene& scene, Criterion criterion, random::Sequence& draw) {
  switch (criterion) {
    case Criterion::grammatical:
      return broken(sample_question(scene, draw).question, draw);
    case Criterion::atomic:
      return compound(scene, draw);
    case Criterion::grounded:
      return draw.chance(0.5) ? remark(ParseKind::ungrounded, draw) : unchecked(scene, draw);
    case Criterion::objective:
      return draw.chance(0.4) ? remark(ParseKind::subjective, draw) : unchecked(scene, draw);
  }
  return "";
}

}  // namespace

Sample sample_question(const Scene& scene, Family family, random::Sequence& draw) {
  auto sample = try_question(scene, family, draw);
  expect_state(sample.has_value(), "world::sample_question", "family: expected one that the scene allows, got {}",
               name_of(kFamilies, family));
  return *std::move(sample);
}

Sample sample_question(const Scene& scene, random::Sequence& draw) {
  while (true) {  // count_all is always possible, so this ends
    const auto family = static_cast<Family>(draw.below(static_cast<int>(kFamilies.size())));
    if (auto sample = try_question(scene, family, draw)) return *std::move(sample);
  }
}

std::string sample_invalid(const Scene& scene, Criterion criterion, random::Sequence& draw) {
  while (true) {
    std::string question = candidate(scene, criterion, draw);
    const Criteria found = judge(scene, question).criteria;
    const std::array verdicts = {found.grammatical, found.atomic, found.grounded, found.objective};
    const auto wanted = static_cast<std::size_t>(criterion);
    const auto broken_count = std::ranges::count(verdicts, Tri::no);
    if (verdicts[wanted] == Tri::no && broken_count == 1) return question;
  }
}

}  // namespace vlmprobe::world
