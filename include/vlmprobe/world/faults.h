// Planted faults: known ways in which an answerer goes wrong, so that discovery can be scored against the truth.
//
// A fault file is a JSON list of objects:
//
//   id      a name, unique in the file
//   when    a conjunction over features: {"family": "count", "color": ["red", "blue"], "num_objects": {"min": 4}}
//   effect  "off_by_one" (numbers: one more or one less), "swap" (yes/no, left/right, above/below),
//           "replace" with "map": {"red": "orange"}, "other" (a wrong answer of the same type, drawn uniformly)
//   rate    [0, 1], the share of matching questions that are answered wrongly; default 1
//
// Features: family, answer, num_objects, color, shape, size, texture (of the object asked about: the object itself
// where the question is about one, else what its description states), relation, depth. A feature that a question does
// not have fails the condition.
//
// Whether a fault fires, and which answer it then gives, is fixed per (seed, scene, question, fault). Effects work on
// what the answerer said: one that does not apply to it (a swap of a number, say) leaves it and does not fire.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "vlmprobe/world/program.h"

namespace vlmprobe::world {

// A feature's value: a word or a number (num_objects, depth).
struct Feature {
  std::string name;
  std::string word;  // empty for numbers
  int number = 0;
};

// The features of a question whose right answer is `answer`.
std::vector<Feature> features(const Scene& scene, const Program& program, std::string_view answer);

// What a fault needs of one feature: one of `words`, or a number within [min, max].
struct Condition {
  std::string feature;
  std::vector<std::string> words;
  int min = 0, max = 0;
  bool holds(const std::vector<Feature>& features) const;
};

enum class Effect : std::int8_t { off_by_one, swap, replace, other };

struct Fault {
  std::string id;
  std::vector<Condition> when;
  Effect effect = Effect::other;
  std::map<std::string, std::string> replacement;
  double rate = 1;
  bool matches(const std::vector<Feature>& features) const;
};

struct Corruption {
  std::string answer;                // the answer given: right unless a fault fired
  std::vector<std::size_t> reached;  // faults whose condition holds
  std::optional<std::size_t> fired;  // the first of them that fires and changes the answer
};

class FaultSet {
 public:
  FaultSet() = default;
  explicit FaultSet(std::vector<Fault> faults, std::uint64_t seed = 0) : faults_(std::move(faults)), seed_(seed) {}

  // Reads the JSON above. Throws InvalidArgument that names the fault, the field and the allowed values.
  static FaultSet parse(std::string_view json, std::uint64_t seed = 0);
  std::string to_json() const;

  // What an answerer that would say `answer` says with these faults. `truth` is the right answer, for the features.
  Corruption corrupt(const Scene& scene, const Program& program, std::string_view question, std::string_view truth,
                     std::string_view answer) const;

  // The share of uniform valid questions (sample.h) that reach each fault, from n draws over scenes of `seed`.
  std::vector<double> masses(int n, std::uint64_t seed) const;

  const std::vector<Fault>& faults() const { return faults_; }
  std::uint64_t seed() const { return seed_; }

 private:
  std::vector<Fault> faults_;
  std::uint64_t seed_ = 0;
};

struct RandomFaultOptions {
  int count = 10;            // [1, 64]
  double min_mass = 0.0005;  // under uniform valid questions
  double max_mass = 0.02;
};

// Faults on one or two features drawn at random, with masses inside the bounds; a pure function of its arguments.
FaultSet random_faults(std::uint64_t seed, const RandomFaultOptions& options = {});

}  // namespace vlmprobe::world
