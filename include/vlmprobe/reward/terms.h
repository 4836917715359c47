// The columns a reward is computed from, and the five terms that read them. Header-only, no torch.
//
//   semantic, lexical   the two novelties (memory/question_memory.h), in [0, 1], NaN where unknown
//   valid, invalid      V and 1 - V of the paper; a missing or malformed slot has V = 0
//   wrong               1 - C
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "vlmprobe/reward/value.h"

namespace vlmprobe::reward {

// One row per question; all columns have the length of `sequence`. Not checked here: score.h checks tensors.
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
