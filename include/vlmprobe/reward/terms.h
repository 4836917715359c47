// The columns a reward is computed from, and the five terms that read them. Header-only, no torch.
//
//   semantic, lexical   the two novelties (memory/question_memory.h), in [0, 1], NaN where unknown
//   valid, invalid      V and 1 - V of the paper; a missing or malformed slot has V = 0
//   wrong               1 - C
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "vlmprobe/core/error.h"
#include "vlmprobe/reward/value.h"

namespace vlmprobe::reward {

// One row per question; all columns have the length of `sequence`.
struct Columns {
  std::int64_t num_sequences = 0;
  std::span<const std::int64_t> sequence;  // 0 .. num_sequences - 1
  std::span<const std::int8_t> valid;      // 1, 0, -1 for unknown
  std::span<const std::int8_t> correct;    // 1, 0, -1 for unknown
  std::span<const double> semantic;
  std::span<const double> lexical;
  std::vector<std::span<const double>> custom = {};  // values of a run-time formula's custom terms
  std::size_t size() const { return sequence.size(); }
};

namespace detail {

// No branch until a value is bad: compilers make vectors of it.
template <class T, class Good>
void check_column(std::string_view op, std::string_view name, std::span<const T> column, std::size_t rows,
                  std::string_view allowed, const Good& good) {
  expect(column.size() == rows, op, "{}: expected shape [Q], got [{}] (Q={} was set by sequence)", name, column.size(),
         rows);
  bool all = true;
  for (const T value : column) all &= good(value);
  if (all) return;
  const auto bad = std::find_if_not(column.begin(), column.end(), good);
  expect(false, op, "{}: row {}: expected {}, got {}", name, bad - column.begin(), allowed, *bad);
}

}  // namespace detail

// Of one custom term's values.
inline void check_custom(std::span<const double> values, std::size_t rows, std::string_view op, std::string_view name) {
  detail::check_column(op, name, values, rows, "a finite value or NaN",
                       [](double value) { return !std::isinf(value); });
}

// Throws InvalidArgument in the name of `op` unless the columns are what is said above. `custom`: how many of those the
// reward reads.
inline void check(const Columns& columns, std::string_view op, std::size_t custom = 0) {
  const std::size_t rows = columns.size();
  const std::int64_t sequences = columns.num_sequences;
  expect(sequences >= 0, op, "num_sequences: expected at least 0, got {}", sequences);
  expect(columns.custom.size() >= custom, op, "custom: expected the values of {} terms, got {}", custom,
         columns.custom.size());
  const auto tri = [](std::int8_t value) { return (value >= -1) & (value <= 1); };
  const auto novelty = [](double value) { return (value != value) | ((value >= 0) & (value <= 1)); };
  detail::check_column(op, "sequence", columns.sequence, rows, "an index below num_sequences",
                       [&](std::int64_t b) { return (b >= 0) & (b < sequences); });
  detail::check_column(op, "valid", columns.valid, rows, "1, 0 or -1", tri);
  detail::check_column(op, "correct", columns.correct, rows, "1, 0 or -1", tri);
  detail::check_column(op, "semantic", columns.semantic, rows, "a value in [0, 1] or NaN", novelty);
  detail::check_column(op, "lexical", columns.lexical, rows, "a value in [0, 1] or NaN", novelty);
  for (const std::span<const double> values : columns.custom) check_custom(values, rows, op, "custom");
}

enum class TermId : std::uint8_t { semantic, lexical, valid, wrong, invalid };
inline constexpr std::array<std::string_view, 5> kTermNames = {"semantic", "lexical", "valid", "wrong", "invalid"};

constexpr Value read(TermId term, const Columns& columns, std::size_t q) {
  switch (term) {
    case TermId::semantic:
      return measured(columns.semantic[q]);
    case TermId::lexical:
      return measured(columns.lexical[q]);
    case TermId::valid:
      return indicator(columns.valid[q]);
    case TermId::wrong:
      return opposite(columns.correct[q]);
    case TermId::invalid:
      return opposite(columns.valid[q]);
  }
  return measured(kUnknown);
}

}  // namespace vlmprobe::reward
