// A phrasing cut into words and slots, and the words of a text.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "phrasings.h"

namespace vlmprobe::world {

using Words = std::span<const std::string_view>;

std::vector<std::string_view> split(std::string_view text);

struct Pattern {
  const Phrasing* phrasing;
  std::vector<std::string_view> pieces;  // words and slots
  bool mentions(std::string_view slot) const;
};

// All phrasings, in the table's order.
const std::vector<Pattern>& patterns();

// Binds `program` while all of `words` match; false (and `program` in any state) when they do not.
bool match(const Pattern& pattern, Words words, Program& program);

// The words of `program` in this phrasing. The pattern can say the program: see can_say.
std::string fill(const Pattern& pattern, const Program& program, random::Sequence& draw);
bool can_say(const Pattern& pattern, const Program& program);

}  // namespace vlmprobe::world
