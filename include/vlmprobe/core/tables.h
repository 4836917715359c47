// The tables of one step: one row per question. Columns are plain vectors of equal length, so that a stack without
// torch can use them and a binding can hand them on.
//
// Truth values have three states, because an outage or an unreadable verdict is neither a pass nor a finding.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "vlmprobe/core/text_column.h"

namespace vlmprobe {

// Stored as int8 in tensors and arrays: 0, 1, and -1 for unknown.
enum class Tri : std::int8_t { no = 0, yes = 1, unknown = -1 };

// What the parser found for slot s of a sequence. Only `ok` rows carry a question that may be sent to a verifier.
enum class SlotStatus : std::int8_t { ok, missing, empty, unclosed, duplicated, nested, out_of_order, too_long };

inline const char* name(SlotStatus status) {
  constexpr std::array kNames = {"ok",         "missing", "empty",        "unclosed",
                                 "duplicated", "nested",  "out_of_order", "too_long"};
  return kNames[static_cast<std::size_t>(status)];
}

// The questions of one batch, ordered by (sequence, slot); every sequence has exactly k rows.
struct Questions {
  std::int64_t k = 0;                      // slots per sequence
  std::vector<std::int64_t> sequence;      // [Q] row of the completion in the batch
  std::vector<std::int64_t> slot;          // [Q] 0 .. k-1
  std::vector<SlotStatus> status;          // [Q]
  TextColumn text;                         // [Q] valid UTF-8, trimmed; empty unless status is ok
  std::int64_t prefix_length = 2;          // words of a prefix (text/prefix.h)
  TextColumn prefix;                       // [Q] of the text
  std::vector<std::uint64_t> prefix_hash;  // [Q] text::prefix_hash
  std::vector<std::int64_t> token_begin;   // [Q] first token of the span, tags included; -1 without a span
  std::vector<std::int64_t> token_end;     // [Q] one past the last token; -1 without a span
  std::size_t size() const { return sequence.size(); }
};

// The verifier's four criteria for one question (paper, section on the verifier).
struct Criteria {
  Tri grammatical = Tri::unknown;  // well-formed
  Tri atomic = Tri::unknown;       // stands alone, not composed of several
  Tri grounded = Tri::unknown;     // needs the image
  Tri objective = Tri::unknown;    // one unambiguous answer
};

// Any criterion false: no; else any unknown: unknown; else yes.
inline Tri validity(const Criteria& criteria) {
  const std::array all = {criteria.grammatical, criteria.atomic, criteria.grounded, criteria.objective};
  for (const Tri value : all)
    if (value == Tri::no) return Tri::no;
  for (const Tri value : all)
    if (value == Tri::unknown) return Tri::unknown;
  return Tri::yes;
}

}  // namespace vlmprobe
