// The truth about a question: which validity criteria hold on a scene, and the right answer.
//
// The picture must be able to decide: a relation needs kMargin pixels between the centres along its axis, the nearest,
// extreme and corner object must win by kMargin pixels. A question that leaves it open is not objective, nor is one
// whose "the red circle" names no object or several. A question whose answer can be told without the picture is not
// grounded: one that states it ("what color is the red circle"), or from which it follows once "the red circle" is
// taken to name one object ("are there more red circles than circles"). Neither is an exclusion that the description
// settles ("the red circles that are not blue"). A text that the grammar does not know is not grammatical, and its
// other criteria are unknown.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "vlmprobe/core/tables.h"
#include "vlmprobe/world/program.h"

namespace vlmprobe::world {

inline constexpr double kMargin = 5.0;  // pixels

struct Judgement {
  Criteria criteria;
  std::optional<Program> program;  // absent unless the text is one question of the grammar about the picture
  std::string answer;              // set exactly when the question is valid
  std::string reason;              // why it is not valid; empty when it is
  bool valid() const { return validity(criteria) == Tri::yes; }
};

// The judgement of a program, which is grammatical and atomic by construction.
Judgement judge(const Scene& scene, const Program& program);

// The judgement of any text: parsed, then judged. Never throws on text.
Judgement judge(const Scene& scene, std::string_view question);

// The attributes of the object asked about, for features: of the one object where a question is about one, else as
// stated by the filter.
Filter asked_about(const Scene& scene, const Program& program);

}  // namespace vlmprobe::world
