// Text from a pattern with "{}" for each argument, for messages. The count is checked when it is compiled.
//
//   formatted("k: expected at least {}, got {}", 1, 0)
//   formatted("expected one of {}", joined(names, ", "))
//
// Numbers are the shortest text that reads back as the same number, written out from 1e-4 up to 1e16 (a float up to
// 1e7) and else with an exponent; bool is true or false; "{{" is a brace. As fmt does it, without fmt: a public header
// that includes it meets another version of it in a user's program (docs/decisions/0015-three-libraries.md).
#pragma once

#include <array>
#include <charconv>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

namespace vlmprobe {

namespace detail {

// How many arguments a pattern takes; -1 for braces that are neither "{}" nor doubled.
constexpr int placeholders(std::string_view pattern) {
  int count = 0;
  for (std::size_t at = 0; at < pattern.size(); ++at) {
    if (pattern[at] != '{' && pattern[at] != '}') continue;
    const char next = at + 1 < pattern.size() ? pattern[at + 1] : '\0';
    if (next != pattern[at] && (pattern[at] == '}' || next != '}')) return -1;
    count += next != pattern[at];
    ++at;
  }
  return count;
}

inline void write(std::string& out, std::string_view text) {
  out += text;
}
inline void write(std::string& out, char character) {
  out += character;
}

template <class Number>
  requires(std::is_arithmetic_v<Number> && !std::same_as<Number, char>)
void write(std::string& out, Number value) {
  if constexpr (std::same_as<Number, bool>) {
    out += value ? "true" : "false";
  } else if constexpr (std::floating_point<Number>) {
    const Number size = std::abs(value);
    constexpr Number kLong = std::same_as<Number, float> ? Number(1e7) : Number(1e16);
    const bool plain = size == 0 || (size >= Number(1e-4) && size < kLong);
    std::array<char, 64> digits;
    const auto format = plain ? std::chars_format::fixed : std::chars_format::scientific;
    out.append(digits.data(), std::to_chars(digits.data(), digits.data() + digits.size(), value, format).ptr);
  } else {
    std::array<char, 24> digits;
    out.append(digits.data(), std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr);
  }
}

template <class Range>
struct Joined {
  const Range& range;
  std::string_view separator;
};

template <class Range>
void write(std::string& out, const Joined<Range>& list) {
  bool first = true;
  for (const auto& each : list.range) {
    if (!first) out += list.separator;
    first = false;
    write(out, each);
  }
}

inline std::string filled(std::string_view pattern, std::span<const std::string> arguments) {
  std::string out;
  for (std::size_t at = 0, next = 0; at < pattern.size(); ++at) {
    if (pattern.substr(at, 2) == "{}") {
      out += arguments[next++], ++at;
    } else {
      out += pattern[at];
      at += pattern[at] == '{' || pattern[at] == '}';
    }
  }
  return out;
}

}  // namespace detail

// A literal with a place for each of Args.
template <class... Args>
struct Pattern {
  template <class Text>
    requires std::convertible_to<const Text&, std::string_view>
  consteval Pattern(const Text& literal) : text(literal) {  // NOLINT(google-explicit-constructor)
    if (detail::placeholders(text) != static_cast<int>(sizeof...(Args))) throw "expected one {} for each argument";
  }
  std::string_view text;
};

template <class... Args>
std::string formatted(Pattern<std::type_identity_t<Args>...> pattern, const Args&... args) {
  std::array<std::string, sizeof...(Args)> texts;
  [[maybe_unused]] auto text = texts.begin();
  (detail::write(*text++, args), ...);
  return detail::filled(pattern.text, texts);
}

// The elements with a separator between them, for formatted(); the range outlives it.
template <class Range>
detail::Joined<Range> joined(const Range& range, std::string_view separator) {
  return {range, separator};
}

}  // namespace vlmprobe
