// What a free-text answer says: whether it is the right one, another one, or cannot be told.
//
// An answer says a value when exactly one value of the right answer's type stands in it, as often as it likes: "4",
// "There are four objects.", "**4.0**", "\boxed{4}", "a red circle" for a color. None, or two that differ ("3 or 4",
// "one of the four", "between 3 and 5", "Yes and no"), says nothing.
//
//   type            values
//   yes or no       yes, yeah, yep, yup, true; no, nope, nah, false. "no" only where nothing hangs on it: at the end,
//   before
//                   a mark, a pronoun or a reason ("No, there is none", "no it isn't", but not "no idea", "no red
//                   circle")
//   a number        0 to 99 in digits (of any width, "4.0") or words; also "none" and "no" before a thing of the world:
//                   "There are no red circles" says 0
//   a color, shape, size, texture, relation
//                   the world's words; circles is circle, big is large, solid plain, stripes striped
//
// What says nothing, whatever its value:
//   - it is not known: cannot, unsure, unclear, unknown, maybe, or, either, ...;
//   - a negation: before the value, in its sentence, or at the beginning of a later one ("It is not red.", "Red.
//     No."). A text that begins with yes or no may go on with "there is none" and "that is not", as far as it agrees;
//   - a number that is a bound, a part or a sum: than, least, most, about, up to, dozen, "3+", "> 3", "~4", "4%",
//     "4/5", "two circles and a star", "one circle, one square".
// A sentence that ends with a question mark is no answer and is passed over; so is everything up to the end of the
// thinking (text/thinking.h), and thinking without an end says nothing.
//
// Case, width, punctuation, emphasis and what nobody sees make no difference. Where the right answer is of no type,
// only the same text, articles aside, says it, and no text another.
// Linear in the answer. Never throws on text.
#pragma once

#include <string_view>

#include "vlmprobe/core/tables.h"

namespace vlmprobe::world {

// yes: the answer says `truth`; no: it says another value of its type; unknown: it says none.
Tri same_answer(std::string_view answer, std::string_view truth);

}  // namespace vlmprobe::world
