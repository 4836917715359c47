// A verdict as it is filled in, a key and its value at a time (text/verdict.h has the rules).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "vlmprobe/core/tables.h"
#include "vlmprobe/text/ascii.h"

namespace vlmprobe::text {

enum class Reading : std::int8_t { ok, empty, truncated, unparsable };
enum class Cause : std::int8_t { none, said_unknown, missing, off_menu, contradictory };

inline const char* name(Reading reading) {
  constexpr std::array kNames = {"ok", "empty", "truncated", "unparsable"};
  return kNames[static_cast<std::size_t>(reading)];
}

inline const char* name(Cause cause) {
  constexpr std::array kNames = {"none", "said_unknown", "missing", "off_menu", "contradictory"};
  return kNames[static_cast<std::size_t>(cause)];
}

struct Verdict {
  Reading reading = Reading::unparsable;
  std::vector<Tri> truths;    // [K]; all unknown unless the reading is ok
  std::vector<Cause> causes;  // [K]; all missing unless the reading is ok
  std::string reason;         // UTF-8
};

namespace detail {

inline constexpr std::string_view kReasonKey = "reason";

inline bool is_reason(std::string_view key) {
  return same_letters(trimmed(key, "\"'*_-"), kReasonKey);
}

// Fills in a verdict, a key and its value at a time.
class Findings {
 public:
  explicit Findings(std::span<const std::string_view> keys) : keys_(keys) {
    verdict.truths.assign(keys.size(), Tri::unknown);
    verdict.causes.assign(keys.size(), Cause::missing);
  }

  void add(std::string_view key, std::string_view value) {
    key = trimmed(key, "\"'*_-");
    for (std::size_t i = 0; i < keys_.size(); ++i)
      if (same_letters(key, keys_[i])) return set(i, trimmed(value, "\"'*_."));
    if (is_reason(key)) reason.assign(trimmed(value));
  }

  bool any() const { return any_; }

  Verdict verdict;
  std::string reason;

 private:
  void set(std::size_t i, std::string_view value) {
    const bool yes = same_letters(value, "true") || same_letters(value, "yes");
    const bool no = same_letters(value, "false") || same_letters(value, "no");
    const Tri truth = yes ? Tri::yes : no ? Tri::no : Tri::unknown;
    const Cause cause = yes || no                        ? Cause::none
                        : same_letters(value, "unknown") ? Cause::said_unknown
                                                         : Cause::off_menu;
    const bool same = verdict.truths[i] == truth && verdict.causes[i] == cause;
    const bool clash = verdict.causes[i] != Cause::missing && !same;
    verdict.truths[i] = clash ? Tri::unknown : truth;
    verdict.causes[i] = clash ? Cause::contradictory : cause;
    any_ = true;
  }

  std::span<const std::string_view> keys_;
  bool any_ = false;
};

}  // namespace detail
}  // namespace vlmprobe::text
