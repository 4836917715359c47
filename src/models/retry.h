// Which HTTP answers are tried again, and when.
#pragma once

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <string_view>
#include <system_error>

namespace vlmprobe::models {

enum class Outcome : std::uint8_t { reply, again, throttled, rejected };

// A reply comes with 200 or 201. The other 2xx hold none yet (202), none at all (204) or a part of one (206), 499 is a
// gateway's word for a broken connection, and what is no status of HTTP is no server's: all of them are outages.
inline Outcome outcome_of(long http) {
  if (http == 200 || http == 201) return Outcome::reply;
  if (http == 429) return Outcome::throttled;
  const bool passes = http == 408 || http == 409 || http == 425 || http == 499;
  return http < 300 || http >= 500 || passes ? Outcome::again : Outcome::rejected;
}

// Whether a refusal is the request's own fault, so that every server would refuse it; any other is about a key, credit,
// the name of a model or a path, and another server may take it.
inline bool is_own_fault(long http) {
  return http == 400 || http == 413 || http == 414 || http == 415 || http == 422;
}

// Whether tokens may have been spent behind a failure: unless the server says itself that it made nothing.
inline bool may_have_worked(long http) {
  for (const long idle : {408L, 409L, 425L, 500L, 501L, 503L, 529L})
    if (http == idle) return false;
  return true;
}

inline constexpr double kMostPauseS = 60;  // that a server can ask for

// Seconds to wait as the value of Retry-After says: a number, or else a date that is `until_date` seconds away. What is
// neither says nothing: 0.
inline double retry_after_s(std::string_view value, double until_date) {
  value.remove_prefix(std::min(value.find_first_not_of(" \t"), value.size()));
  double seconds = 0;
  const auto read = std::from_chars(value.data(), value.data() + value.size(), seconds);
  if (read.ec == std::errc::invalid_argument) seconds = until_date;
  if (read.ec == std::errc::result_out_of_range) seconds = kMostPauseS;  // or next to nothing: nobody sends that
  return seconds > 0 ? std::min(seconds, kMostPauseS) : 0;               // no number is not above 0
}

// Seconds before attempt number `attempts` + 1: doubles from `first` up to 30, and differs by a quarter either way
// among requests, so that they do not come back together.
inline double pause_after(std::int64_t attempts, double first, std::uint64_t request) {
  const double doubled = first * std::exp2(static_cast<double>(std::min<std::int64_t>(attempts - 1, 16)));
  const double spread =
      0.75 + 0.5 *
                 static_cast<double>(
                     (request * 0x9E3779B97F4A7C15 + static_cast<std::uint64_t>(attempts) * 0xBF58476D1CE4E5B9) >> 40) /
                 (1 << 24);
  return std::min(doubled, 30.0) * spread;
}

}  // namespace vlmprobe::models
