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

namespace detail {

// f(q, prefix, hash) for each text.
template <class Text, class F>
void each_prefix(std::int64_t length, std::span<const Text> texts, const F& f) {
  text::PrefixCutter cut(length);
  for (std::size_t q = 0; q < texts.size(); ++q) {
    const std::string_view prefix = cut(texts[q]);
    f(q, prefix, text::prefix_hash(prefix));
  }
}

// The same for each row that has a question; the table's own prefixes where they have the length.
template <class F>
void each_prefix(std::int64_t length, const Questions& questions, const F& f) {
  text::PrefixCutter cut(length);
  const bool has = questions.prefix_length == length;
  for (std::size_t q = 0; q < questions.size(); ++q) {
    if (questions.status[q] != SlotStatus::ok) continue;
    const std::string_view prefix = has ? questions.prefix[q] : cut(questions.text[q]);
    f(q, prefix, has ? questions.prefix_hash[q] : text::prefix_hash(prefix));
  }
}

}  // namespace detail

template <class Text>
std::vector<std::int64_t> counts_of(const PrefixCounts& counts, std::span<const Text> texts) {
  std::vector<std::int64_t> found(texts.size());
  detail::each_prefix(counts.length(), texts, [&](std::size_t q, std::string_view prefix, std::uint64_t hash) {
    found[q] = counts.count_prefix(prefix, hash);
  });
  return found;
}

inline std::vector<std::int64_t> counts_of(const PrefixCounts& counts, const Questions& questions) {
  std::vector<std::int64_t> found(questions.size(), 0);
  detail::each_prefix(counts.length(), questions, [&](std::size_t q, std::string_view prefix, std::uint64_t hash) {
    found[q] = counts.count_prefix(prefix, hash);
  });
  return found;
}

template <class Text>
std::vector<double> lexical_novelty(const PrefixCounts& counts, std::span<const Text> texts) {
  std::vector<double> novelty(texts.size());
  detail::each_prefix(counts.length(), texts, [&](std::size_t q, std::string_view prefix, std::uint64_t hash) {
    novelty[q] = lexical_novelty(counts.count_prefix(prefix, hash));
  });
  return novelty;
}

inline std::vector<double> lexical_novelty(const PrefixCounts& counts, const Questions& questions) {
  std::vector<double> novelty(questions.size(), std::numeric_limits<double>::quiet_NaN());
  detail::each_prefix(counts.length(), questions, [&](std::size_t q, std::string_view prefix, std::uint64_t hash) {
    novelty[q] = lexical_novelty(counts.count_prefix(prefix, hash));
  });
  return novelty;
}

// Adds every text, or every row that has a question.
template <class Text>
void add_all(PrefixCounts& counts, std::span<const Text> texts) {
  detail::each_prefix(counts.length(), texts, [&](std::size_t, std::string_view prefix, std::uint64_t hash) {
    counts.add_prefix(prefix, hash, 1);
  });
}

inline void add_all(PrefixCounts& counts, const Questions& questions) {
  detail::each_prefix(counts.length(), questions, [&](std::size_t, std::string_view prefix, std::uint64_t hash) {
    counts.add_prefix(prefix, hash, 1);
  });
}

}  // namespace vlmprobe::memory
