// A verdict as it is filled in, a key and its value at a time (text/verdict.h has the rules).
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "vlmprobe/core/tables.h"
#include "vlmprobe/text/detail/ascii.h"
#include "vlmprobe/text/detail/wrapping.h"

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

inline constexpr std::string_view kReasonKey = "reason", kAroundKeys = "\"'*_-`", kAroundValues = "\"'*_.`";

inline bool is_reason(std::string_view key) {
  return same_letters(trimmed(key, kAroundKeys), kReasonKey);
}

// What a value says of a key; unknown where it is not on the menu.
inline Tri truth_of(std::string_view key, std::string_view value) {
  constexpr std::array<std::string_view, 4> kYes = {"true", "yes", "1", "\xE6\x98\xAF"};
  constexpr std::array<std::string_view, 4> kNo = {"false", "no", "0", "\xE5\x90\xA6"};
  value = trimmed(value, kAroundValues);
  while (value.ends_with('!')) value = trimmed(value.substr(0, value.size() - 1), kAroundValues);  // "!false" is none
  const auto is = [&](std::string_view word) { return same_letters(value, word); };
  const auto is_not = [&](std::string_view word) {
    return value.size() > word.size() && is(std::string(word).append(key));
  };
  if (std::ranges::any_of(kYes, is) || is(key)) return Tri::yes;
  const bool no = std::ranges::any_of(kNo, is) || is_not("in") || is_not("un") || is_not("non-") || is_not("not ");
  return no ? Tri::no : Tri::unknown;
}

inline bool is_number(std::string_view value) {
  return !value.empty() && value.front() >= '0' && value.front() <= '9';
}

// Whether a value says anything: the `...` of a prompt's example does not.
inline bool says_something(std::string_view value) {
  return std::ranges::any_of(value, [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte >= 0x80 || (c >= '0' && c <= '9') || (lower(c) >= 'a' && lower(c) <= 'z');
  });
}

// Fills in a verdict, a key and its value at a time.
class Findings {
 public:
  explicit Findings(std::span<const std::string_view> keys) : keys_(keys) {
    verdict.truths.assign(keys.size(), Tri::unknown);
    verdict.causes.assign(keys.size(), Cause::missing);
    by_number_.assign(keys.size(), false);
  }

  // The key's place, K for the reason, -1 for any other.
  int place_of(std::string_view written) const {
    const std::string readable = plain(written);
    const std::string_view key = trimmed(readable, kAroundKeys);
    for (std::size_t i = 0; i < keys_.size(); ++i)
      if (same_letters(key, keys_[i])) return static_cast<int>(i);
    return is_reason(key) ? static_cast<int>(keys_.size()) : -1;
  }

  void add(std::string_view key, std::string_view value) {
    const int place = place_of(key);
    if (place == static_cast<int>(keys_.size())) {
      reason.assign(trimmed(value));
    } else if (place >= 0 && says_something(value)) {
      const std::string readable = plain(value);
      set(static_cast<std::size_t>(place), trimmed(readable, kAroundValues));
    }
  }

  // A value that stands where it gives no verdict, but may contradict one.
  void doubt(std::string_view key, std::string_view value) {
    const int place = place_of(key);
    if (place < 0 || place == static_cast<int>(keys_.size())) return;
    const auto i = static_cast<std::size_t>(place);
    const Tri truth = truth_of(keys_[i], value);
    if (verdict.causes[i] != Cause::missing && truth != Tri::unknown && truth != verdict.truths[i]) clash(i);
  }

  // Another verdict of the same text, of which every value that differs from ours contradicts it.
  void compare(const Findings& other) {
    for (std::size_t i = 0; i < keys_.size(); ++i) {
      const bool both = verdict.causes[i] != Cause::missing && other.verdict.causes[i] != Cause::missing;
      if (both && (verdict.truths[i] != other.verdict.truths[i] || verdict.causes[i] != other.verdict.causes[i]))
        clash(i);
    }
  }

  // Several in one: what differs is contradictory.
  void join(const Findings& other) {
    for (std::size_t i = 0; i < keys_.size(); ++i) {
      if (verdict.causes[i] != Cause::missing || other.verdict.causes[i] == Cause::missing) continue;
      verdict.truths[i] = other.verdict.truths[i];
      verdict.causes[i] = other.verdict.causes[i];
    }
    compare(other);
  }

  // 1 and 0 are truths as long as no key has another number: on a scale, 1 may be the worst.
  void settle() {
    for (std::size_t i = 0; i < keys_.size(); ++i) {
      if (!on_scale_ || !by_number_[i] || verdict.causes[i] != Cause::none) continue;
      verdict.truths[i] = Tri::unknown;
      verdict.causes[i] = Cause::off_menu;
    }
  }

  bool any() const { return any_; }

  Verdict verdict;
  std::string reason;

 private:
  void set(std::size_t i, std::string_view value) {
    const Tri truth = truth_of(keys_[i], value);
    const Cause cause = truth != Tri::unknown            ? Cause::none
                        : same_letters(value, "unknown") ? Cause::said_unknown
                                                         : Cause::off_menu;
    const bool same = verdict.truths[i] == truth && verdict.causes[i] == cause;
    const bool first = verdict.causes[i] == Cause::missing;
    any_ = true;
    by_number_[i] = by_number_[i] || is_number(value);
    on_scale_ = on_scale_ || (is_number(value) && truth == Tri::unknown);
    if (!first && !same) return clash(i);
    verdict.truths[i] = truth;
    verdict.causes[i] = cause;
  }

  void clash(std::size_t i) {
    verdict.truths[i] = Tri::unknown;
    verdict.causes[i] = Cause::contradictory;
  }

  std::span<const std::string_view> keys_;
  std::vector<bool> by_number_;
  bool any_ = false, on_scale_ = false;
};

}  // namespace detail
}  // namespace vlmprobe::text
