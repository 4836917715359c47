// The lexical term of a whole batch, without a string per question on the caller's side:
//
//   counts_of(H, texts)[q]   = Count(prefix(q), H)
//   lexical_novelty(H, ...)  = 1 / (1 + Count(prefix(q), H))            the paper's delta_ifreq
//
//   texts      [Q]  std::string or std::string_view; a text without words has the prefix "", which counts like any
//   other questions  a parsed table: a row whose status is not ok has no question: its count is 0 and its novelty NaN
//
// H is not changed, so duplicates inside the batch see the same count. Header-only, no torch; never throws on the
// text's account. Several threads may call it while nobody writes to H.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <string_view>
#include <vector>

#include "vlmprobe/core/tables.h"
#include "vlmprobe/memory/prefix_counts.h"

namespace vlmprobe::memory {

template <class Text>
std::vector<std::int64_t> counts_of(const PrefixCounts& counts, std::span<const Text> texts) {
  std::vector<std::int64_t> found;
  found.reserve(texts.size());
  for (const Text& text : texts) found.push_back(counts.count(text));
  return found;
}

inline std::vector<std::int64_t> counts_of(const PrefixCounts& counts, const Questions& questions) {
  std::vector<std::int64_t> found(questions.size(), 0);
  for (std::size_t q = 0; q < found.size(); ++q)
    if (questions.status[q] == SlotStatus::ok) found[q] = counts.count(questions.text[q]);
  return found;
}

template <class Text>
std::vector<double> lexical_novelty(const PrefixCounts& counts, std::span<const Text> texts) {
  std::vector<double> novelty;
  novelty.reserve(texts.size());
  for (const Text& text : texts) novelty.push_back(lexical_novelty(counts.count(text)));
  return novelty;
}

inline std::vector<double> lexical_novelty(const PrefixCounts& counts, const Questions& questions) {
  std::vector<double> novelty(questions.size(), std::numeric_limits<double>::quiet_NaN());
  for (std::size_t q = 0; q < novelty.size(); ++q)
    if (questions.status[q] == SlotStatus::ok) novelty[q] = lexical_novelty(counts.count(questions.text[q]));
  return novelty;
}

// Adds every text, or every row that has a question.
template <class Text>
void add_all(PrefixCounts& counts, std::span<const Text> texts) {
  for (const Text& text : texts) counts.add(text);
}

inline void add_all(PrefixCounts& counts, const Questions& questions) {
  for (std::size_t q = 0; q < questions.size(); ++q)
    if (questions.status[q] == SlotStatus::ok) counts.add(questions.text[q]);
}

}  // namespace vlmprobe::memory
