// The table of phrasings. Words stand for themselves; {slots} are filled from the program and bind it when parsed:
//
//   {a} {b}    singular description without article    {as} {bs}  plural description
//   {an}       description with a or an                {q}        color, shape, size or texture
//   {r}        left of, to the left of, above, ...     {e}        leftmost, rightmost, topmost, bottommost
//   {c}        top left, ...                           {n}        the excluded word: red, large, striped
//   {ns}       the excluded shape: circles             {k} {s}    any color, any shape; bind nothing
//
// A description has size, texture, color, noun in this order; "object" or "thing" stands for no stated shape.
#pragma once

#include <array>
#include <string_view>

#include "vlmprobe/world/grammar.h"

namespace vlmprobe::world {

struct Phrasing {
  ParseKind kind = ParseKind::question;
  Family family = Family::count_all;
  bool number = false;  // negation and two_step: asks how many
  std::string_view pattern;
};

// Phrasings with {q} in a query family stand for the four families color, shape, size and texture at once.
inline constexpr auto kQuestion = ParseKind::question;
inline constexpr Phrasing kPhrasings[] = {
    {kQuestion, Family::count, false, "how many {as} are there ?"},
    {kQuestion, Family::count, false, "how many {as} are in the picture ?"},
    {kQuestion, Family::count, false, "how many {as} do you see ?"},
    {kQuestion, Family::count, false, "count the {as} ."},
    {kQuestion, Family::count, false, "count all {as} ."},
    {kQuestion, Family::count, false, "what is the number of {as} ?"},
    {kQuestion, Family::count, false, "what number of {as} is shown ?"},
    {kQuestion, Family::count, false, "give the number of {as} ."},
    {kQuestion, Family::count, false, "tell me how many {as} there are ."},
    {kQuestion, Family::count, false, "counting only {as} , what is the total ?"},
    {kQuestion, Family::count, false, "{as} : how many ?"},

    {kQuestion, Family::count_all, false, "how many objects are there ?"},
    {kQuestion, Family::count_all, false, "how many things do you see ?"},
    {kQuestion, Family::count_all, false, "count every object ."},
    {kQuestion, Family::count_all, false, "what is the total number of objects ?"},
    {kQuestion, Family::count_all, false, "altogether , how many things are there ?"},
    {kQuestion, Family::count_all, false, "in total , how many objects are shown ?"},
    {kQuestion, Family::count_all, false, "give the total number of objects ."},

    {kQuestion, Family::exist, false, "is there {an} ?"},
    {kQuestion, Family::exist, false, "is there {an} in the picture ?"},
    {kQuestion, Family::exist, false, "are there any {as} ?"},
    {kQuestion, Family::exist, false, "can you see {an} ?"},
    {kQuestion, Family::exist, false, "do you see any {as} ?"},
    {kQuestion, Family::exist, false, "does the picture show {an} ?"},
    {kQuestion, Family::exist, false, "does this picture contain {an} ?"},
    {kQuestion, Family::exist, false, "any {as} here ?"},
    {kQuestion, Family::exist, false, "are {as} present ?"},
    {kQuestion, Family::exist, false, "is {an} visible ?"},

    {kQuestion, Family::compare, false, "are there more {as} than {bs} ?"},
    {kQuestion, Family::compare, false, "do {as} outnumber {bs} ?"},
    {kQuestion, Family::compare, false, "are {as} more numerous than {bs} ?"},
    {kQuestion, Family::compare, false, "does the picture have more {as} than {bs} ?"},
    {kQuestion, Family::compare, false, "more {as} than {bs} ?"},
    {kQuestion, Family::compare, false, "is the number of {as} greater than the number of {bs} ?"},

    {kQuestion, Family::color, false, "what {q} is the {a} ?"},
    {kQuestion, Family::color, false, "which {q} is the {a} ?"},
    {kQuestion, Family::color, false, "what is the {q} of the {a} ?"},
    {kQuestion, Family::color, false, "name the {q} of the {a} ."},
    {kQuestion, Family::color, false, "tell me the {q} of the {a} ."},
    {kQuestion, Family::color, false, "the {a} has what {q} ?"},
    {kQuestion, Family::color, false, "find the {a} and name its {q} ."},
    {kQuestion, Family::color, false, "{q} of the {a} ?"},
    {kQuestion, Family::color, false, "in which color is the {a} drawn ?"},
    {kQuestion, Family::size, false, "is the {a} large or small ?"},
    {kQuestion, Family::size, false, "how big is the {a} ?"},
    {kQuestion, Family::texture, false, "is the {a} striped or plain ?"},
    {kQuestion, Family::texture, false, "how is the {a} filled ?"},

    {kQuestion, Family::relation, false, "is the {a} {r} the {b} ?"},
    {kQuestion, Family::relation, false, "does the {a} lie {r} the {b} ?"},
    {kQuestion, Family::relation, false, "does the {a} appear {r} the {b} ?"},
    {kQuestion, Family::relation, false, "can the {a} be found {r} the {b} ?"},
    {kQuestion, Family::relation, false, "looking at the {a} , is it {r} the {b} ?"},
    {kQuestion, Family::relation, false, "would you say the {a} is {r} the {b} ?"},

    {kQuestion, Family::nearest, false, "what {q} is the object nearest to the {a} ?"},
    {kQuestion, Family::nearest, false, "which {q} is the thing closest to the {a} ?"},
    {kQuestion, Family::nearest, false, "what is the {q} of the object closest to the {a} ?"},
    {kQuestion, Family::nearest, false, "name the {q} of the nearest neighbor of the {a} ."},
    {kQuestion, Family::nearest, false, "closest to the {a} , what {q} do you see ?"},
    {kQuestion, Family::nearest, false, "nearest to the {a} is an object of what {q} ?"},

    {kQuestion, Family::extreme, false, "what {q} is the {e} object ?"},
    {kQuestion, Family::extreme, false, "which {q} is the {e} thing ?"},
    {kQuestion, Family::extreme, false, "what is the {q} of the {e} object ?"},
    {kQuestion, Family::extreme, false, "name the {q} of the {e} object ."},
    {kQuestion, Family::extreme, false, "the {e} object has what {q} ?"},
    {kQuestion, Family::extreme, false, "{e} object : what {q} ?"},

    {kQuestion, Family::corner, false, "what {q} is the object closest to the {c} corner ?"},
    {kQuestion, Family::corner, false, "which {q} is in the {c} corner ?"},
    {kQuestion, Family::corner, false, "in the {c} corner , what {q} is the object ?"},
    {kQuestion, Family::corner, false, "near the {c} corner , which {q} do you see ?"},
    {kQuestion, Family::corner, false, "name the {q} of the object in the {c} corner ."},
    {kQuestion, Family::corner, false, "{c} corner : what {q} ?"},

    {kQuestion, Family::same, false, "are the {a} and the {b} the same {q} ?"},
    {kQuestion, Family::same, false, "do the {a} and the {b} have the same {q} ?"},
    {kQuestion, Family::same, false, "do the {a} and the {b} share their {q} ?"},
    {kQuestion, Family::same, false, "is the {q} of the {a} the same as the {q} of the {b} ?"},
    {kQuestion, Family::same, false, "does the {a} match the {b} in {q} ?"},
    {kQuestion, Family::same, false, "has the {a} the same {q} as the {b} ?"},

    {kQuestion, Family::negation, true, "how many {as} are not {n} ?"},
    {kQuestion, Family::negation, true, "how many {as} are not {ns} ?"},
    {kQuestion, Family::negation, true, "count the {as} that are not {n} ."},
    {kQuestion, Family::negation, true, "count the {as} that are not {ns} ."},
    {kQuestion, Family::negation, true, "leaving out {ns} , how many {as} are there ?"},
    {kQuestion, Family::negation, true, "without the {n} ones , how many {as} are there ?"},
    {kQuestion, Family::negation, true, "{as} that are not {n} : how many ?"},
    {kQuestion, Family::negation, false, "is there {an} that is not {n} ?"},
    {kQuestion, Family::negation, false, "are there {as} that are not {ns} ?"},
    {kQuestion, Family::negation, false, "do you see {an} that is not {n} ?"},
    {kQuestion, Family::negation, false, "any {as} that are not {ns} ?"},
    {kQuestion, Family::negation, false, "any {as} that are not {n} ?"},

    {kQuestion, Family::two_step, true, "how many {as} are {r} the {b} ?"},
    {kQuestion, Family::two_step, true, "count the {as} {r} the {b} ."},
    {kQuestion, Family::two_step, true, "{r} the {b} , how many {as} are there ?"},
    {kQuestion, Family::two_step, true, "what number of {as} lies {r} the {b} ?"},
    {kQuestion, Family::two_step, false, "is there {an} {r} the {b} ?"},
    {kQuestion, Family::two_step, false, "are there any {as} {r} the {b} ?"},
    {kQuestion, Family::two_step, false, "do you see {an} {r} the {b} ?"},
    {kQuestion, Family::two_step, false, "does {an} lie {r} the {b} ?"},

    {ParseKind::ungrounded, {}, false, "how many sides does a {s} have ?"},
    {ParseKind::ungrounded, {}, false, "is a {s} a shape ?"},
    {ParseKind::ungrounded, {}, false, "is {k} a color ?"},
    {ParseKind::ungrounded, {}, false, "what color is a {k} {s} ?"},
    {ParseKind::ungrounded, {}, false, "are all {k} objects {k} ?"},
    {ParseKind::ungrounded, {}, false, "is {k} a shape or a color ?"},
    {ParseKind::ungrounded, {}, false, "is a large {s} bigger than a small {s} ?"},

    {ParseKind::subjective, {}, false, "do you like the {a} ?"},
    {ParseKind::subjective, {}, false, "is the {a} pretty ?"},
    {ParseKind::subjective, {}, false, "which object is the nicest ?"},
    {ParseKind::subjective, {}, false, "what is the best color here ?"},
    {ParseKind::subjective, {}, false, "is this a nice picture ?"},
    {ParseKind::subjective, {}, false, "which {s} do you like best ?"},
    {ParseKind::subjective, {}, false, "does {k} look good here ?"},
};

inline constexpr std::array<std::string_view, 6> kRelationPhrases = {"left of",         "to the left of", "right of",
                                                                     "to the right of", "above",          "below"};
inline constexpr std::array<Relation, 6> kRelationOf = {Relation::left,  Relation::left,  Relation::right,
                                                        Relation::right, Relation::above, Relation::below};
inline constexpr std::array<std::string_view, 4> kExtremeWords = {"leftmost", "rightmost", "topmost", "bottommost"};
inline constexpr std::array<std::string_view, 4> kCornerPhrases = {"top left", "top right", "bottom left",
                                                                   "bottom right"};
inline constexpr std::array<std::string_view, 2> kNouns = {"object", "thing"};
inline constexpr std::array<std::string_view, 2> kNounPlurals = {"objects", "things"};

}  // namespace vlmprobe::world
