// UTF-8 for text that may be hostile: nothing here throws, and time and memory are linear in the input.
//
//   decode(text, at)      the scalar value at byte `at` and its length; ill-formed bytes give U+FFFD, one for each
//                         maximal subpart, as the Unicode Standard 15, section 3.9 recommends and Python does
//   is_space(value)       white space (Unicode's White_Space) or a control character (C0, DEL, C1)
//   well_formed(raw)      the same scalar values, those of ill-formed bytes as U+FFFD
//   clean(raw, max_bytes) well-formed, trimmed, each run of is_space one blank; gives up soon after max_bytes, so
//                         that its result is longer than max_bytes exactly when the whole text would be
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
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

using Stride [[gnu::vector_size(16)]] = unsigned char;
inline constexpr std::size_t kStride = sizeof(Stride);

// Whether kStride bytes are printable ASCII with no blank before another; reads the byte after them.
inline bool stride_is_clean(const char* bytes) {
  Stride here, next;
  std::memcpy(&here, bytes, kStride);
  std::memcpy(&next, bytes + 1, kStride);
  const auto bad = (here < 0x20) | (here > 0x7E) | ((here == ' ') & (next == ' '));
  std::uint64_t halves[2];
  std::memcpy(halves, &bad, kStride);
  return (halves[0] | halves[1]) == 0;
}

// Bytes at the start of the text that `clean` keeps as they are: printable ASCII with single blanks, none at the ends.
inline std::size_t clean_stretch(std::string_view text) {
  if (text.empty() || !is_plain(text[0])) return 0;
  std::size_t end = 0;
  while (end + kStride < text.size() && stride_is_clean(text.data() + end)) end += kStride;
  const bool cut = end + kStride < text.size();  // a stride that is not clean
  if (!cut && text.size() > kStride && stride_is_clean(text.data() + text.size() - kStride - 1)) end = text.size() - 1;
  while (end < text.size() &&
         (is_plain(text[end]) || (text[end] == ' ' && end + 1 < text.size() && is_plain(text[end + 1]))))
    ++end;
  while (text[end - 1] == ' ') --end;
  return end;
}

// Appends the clean text to `out`; returns its bytes.
inline std::size_t append_clean(std::string& out, std::string_view raw, std::size_t max_bytes) {
  const std::size_t before = out.size();
  bool blank = false;
  for (std::size_t at = 0; at < raw.size() && out.size() - before <= max_bytes;) {
    const std::size_t used = out.size() - before + blank, left = max_bytes > used ? max_bytes - used : 0;
    const std::size_t stretch = clean_stretch(raw.substr(at, left < raw.size() - at ? left + 1 : raw.npos));
    const Scalar scalar = stretch > 0 ? Scalar{0, stretch} : decode(raw, at);
    if (stretch == 0 && is_space(scalar.value)) {
      blank = out.size() > before;
    } else {
      if (blank) out.push_back(' ');
      blank = false;
      stretch > 0 ? void(out.append(raw.data() + at, stretch)) : append(out, scalar.value);
    }
    at += scalar.bytes;
  }
  return out.size() - before;
}

}  // namespace detail

inline std::string well_formed(std::string_view raw) {
  std::string out;
  out.reserve(raw.size());
  for (std::size_t at = 0; at < raw.size();) {
    const Scalar scalar = decode(raw, at);
    append(out, scalar.value);
    at += scalar.bytes;
  }
  return out;
}

inline std::string clean(std::string_view raw, std::size_t max_bytes = std::string::npos) {
  std::string out;
  detail::append_clean(out, raw, max_bytes);
  return out;
}

}  // namespace vlmprobe::text
