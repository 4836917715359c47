// The question grammar: sentences that are programs, and programs as sentences in several phrasings.
//
// Sentences are lower case, words and punctuation separated by white space, ending in "?" or "." as the phrasing says.
// parse() also takes text whose punctuation touches its words and whose letters are upper case. The phrasings are a
// table (src/world/phrasings.h); generation and parsing both read it, so what is said is what is understood.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "vlmprobe/core/random.h"
#include "vlmprobe/world/program.h"

namespace vlmprobe::world {

enum class ParseKind : std::int8_t {
  question,      // one question about the picture: `program` is set
  compound,      // two questions joined by "and" or "or"
  ungrounded,    // well-formed, but no picture is needed
  subjective,    // well-formed, but a matter of taste
  ungrammatical  // none of the above
};

struct Parse {
  ParseKind kind = ParseKind::ungrammatical;
  Program program;
};

// Linear in the text's length for each phrasing; text longer than kMaxWords words is ungrammatical. Never throws.
inline constexpr std::size_t kMaxWords = 64;
Parse parse(std::string_view text);

// The program in one of its phrasings, drawn uniformly. Programs that no phrasing can say (a negation that excludes
// two attributes, say) throw InvalidArgument.
std::string phrase(const Program& program, random::Sequence& draw);

// A well-formed sentence of the given kind (ungrounded or subjective).
std::string remark(ParseKind kind, random::Sequence& draw);

// Every word and mark of the grammar, sorted: the vocabulary of the world's tokenizer.
std::vector<std::string> grammar_words();

}  // namespace vlmprobe::world
