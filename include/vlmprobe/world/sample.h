// Questions for a scene. "Uniform valid questions" means: the family uniformly among the fifteen, then a program of
// that family about this scene, drawn until it is valid, then one of its phrasings uniformly.
#pragma once

#include <string>

#include "vlmprobe/core/random.h"
#include "vlmprobe/world/program.h"

namespace vlmprobe::world {

struct Sample {
  Program program;
  std::string question;
  std::string answer;
};

// A valid question. A family that the scene does not allow (a relation where everything is level) is drawn again.
Sample sample_question(const Scene& scene, random::Sequence& draw);

// The same with the family given; throws InvalidState when the scene allows no question of that family.
Sample sample_question(const Scene& scene, Family family, random::Sequence& draw);

// The four ways in which a question can be invalid, in the order of core's Criteria.
enum class Criterion : std::int8_t { grammatical, atomic, grounded, objective };

// A question that breaks exactly the given criterion: broken agreement or word order; two questions in one; one that
// needs no picture; one of taste or without a single referent.
std::string sample_invalid(const Scene& scene, Criterion broken, random::Sequence& draw);

}  // namespace vlmprobe::world
