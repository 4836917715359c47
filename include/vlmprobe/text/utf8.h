// UTF-8 for text that may be hostile: nothing here throws, and time and memory are linear in the input.
//
//   decode(text, at)      the scalar value at byte `at` and its length; ill-formed bytes give U+FFFD, one for each
//                         maximal subpart, as the Unicode Standard 15, section 3.9 recommends and Python does
//   is_space(value)       white space (Unicode's White_Space) or a control character (C0, DEL, C1)
//   clean(raw, max_bytes) well-formed, trimmed, each run of is_space one blank; gives up soon after max_bytes, so
//                         that its result is longer than max_bytes exactly when the whole text would be
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

namespace vlmprobe::text {

inline constexpr char32_t kReplacement = 0xFFFD;

struct Scalar {
  char32_t value;
  std::size_t bytes;  // at least 1
};

// `at` must be below text.size().
inline Scalar decode(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(at);
  if (lead < 0x80) return {lead, 1};
  if (lead < 0xC2 || lead > 0xF4) return {kReplacement, 1};

  const std::size_t length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  // The second byte's range excludes overlong forms, surrogates and values above U+10FFFF (table 3-7).
  unsigned char low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  unsigned char high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  char32_t value = lead & (0xFF >> (length + 1));
  for (std::size_t i = 1; i < length; ++i, low = 0x80, high = 0xBF) {
    if (at + i >= text.size() || byte(at + i) < low || byte(at + i) > high) return {kReplacement, i};
    value = (value << 6) | (byte(at + i) & 0x3F);
  }
  return {value, length};
}

inline void append(std::string& out, char32_t value) {
  const auto put = [&](char32_t bits) { out.push_back(static_cast<char>(bits)); };
  if (value < 0x80) {
    put(value);
  } else if (value < 0x800) {
    put(0xC0 | (value >> 6)), put(0x80 | (value & 0x3F));
  } else if (value < 0x10000) {
    put(0xE0 | (value >> 12)), put(0x80 | ((value >> 6) & 0x3F)), put(0x80 | (value & 0x3F));
  } else {
    put(0xF0 | (value >> 18)), put(0x80 | ((value >> 12) & 0x3F));
    put(0x80 | ((value >> 6) & 0x3F)), put(0x80 | (value & 0x3F));
  }
}

inline constexpr bool is_space(char32_t value) {
  return value <= 0x20 || (value >= 0x7F && value <= 0xA0) || value == 0x1680 || (value >= 0x2000 && value <= 0x200A) ||
         value == 0x2028 || value == 0x2029 || value == 0x202F || value == 0x205F || value == 0x3000;
}

namespace detail {

inline constexpr bool is_plain(char character) {  // ASCII that `clean` keeps as it is
  return character > 0x20 && character < 0x7F;
}

// Replaces `out` by the clean text.
inline void clean_into(std::string& out, std::string_view raw, std::size_t max_bytes) {
  out.clear();
  bool blank = false;
  for (std::size_t at = 0; at < raw.size() && out.size() <= max_bytes;) {
    const std::size_t used = out.size() + blank, left = max_bytes > used ? max_bytes - used : 0;
    const std::size_t most = left < raw.size() - at ? at + left + 1 : raw.size();
    std::size_t end = at;
    while (end < most && is_plain(raw[end])) ++end;
    const Scalar scalar = end > at ? Scalar{0, end - at} : decode(raw, at);
    if (end == at && is_space(scalar.value)) {
      blank = !out.empty();
    } else {
      if (blank) out.push_back(' ');
      blank = false;
      end > at ? void(out.append(raw.substr(at, end - at))) : append(out, scalar.value);
    }
    at += scalar.bytes;
  }
}

}  // namespace detail

inline std::string clean(std::string_view raw, std::size_t max_bytes = std::string::npos) {
  std::string out;
  detail::clean_into(out, raw, max_bytes);
  return out;
}

}  // namespace vlmprobe::text
