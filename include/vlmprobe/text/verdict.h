// A verifier's words to a verdict: for each key true, false, or unknown with a cause.
//
//   text     what the verifier said; any bytes at all, hostile or not
//   keys     [K] what is judged, such as "grammatical"; at least one
//   returns  Verdict: reading (what the whole is), truths [K], causes [K], reason
//
// 0. A text that is one object (text/flat_object.h), fenced or not, is the verdict, whatever its strings hold.
// 1. Otherwise only what follows the last `</think>` counts; an opening `<think>` in it: truncated. Blank: empty.
// 2. The verdict is the last one, and ends the text: at most 200 bytes may follow it, without a brace among them.
//    a. `<verdict> ... </verdict>`, in any case of letters; where the tag occurs, nothing outside it is read. Inside is
//       an object, or lines `key: value` (also `=`; commas and semicolons separate too), or, for a single key, the
//       value alone. Without its closing tag only a whole object is read; else truncated.
//    b. otherwise an object. Before it on its line are no quote and no brace, and right before
//       it a blank, a colon or nothing. A text that begins with an object that is malformed has no verdict, nor has one
//       with a closing tag alone.
//    Neither, or none of the keys in it, or longer than 64 KiB: unparsable.
// 3. Keys and values in any case of letters. A value is true, yes, false, no or unknown, in quotes or not.
//
//   cause of a key   none           true or false
//                    said_unknown   the verifier says that it does not know
//                    missing        the key is not there
//                    off_menu       another value
//                    contradictory  twice there, with different values
//
// Reason: the object's or the lines' `reason`, or else what precedes the verdict; cleaned (text/utf8.h), at most 2000
// bytes: the first of a reason, the last of what precedes. Without a reading, what precedes is all of the text.
//
// Quoted text cannot be a verdict, as long as it went through text/delimiters.h and the prompt asks for (a) or the
// server for an object as the whole text: it holds no tag then, an object inside an object's string is no object, and
// what is repeated after the verdict makes the whole unparsable. (b) in free text is weaker: a verifier that ends with
// somebody else's object on a line of its own is believed.
//
// Linear in the text; memory bounded, whatever its length. Never throws on the text's account; throws InvalidArgument
// without keys.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "vlmprobe/core/error.h"
#include "vlmprobe/core/tables.h"
#include "vlmprobe/text/ascii.h"
#include "vlmprobe/text/findings.h"
#include "vlmprobe/text/flat_object.h"
#include "vlmprobe/text/utf8.h"

namespace vlmprobe::text {

namespace detail {

inline constexpr std::size_t kVerdictWindow = 64 << 10;  // bytes at the end of the text where a verdict is looked for
inline constexpr std::size_t kMostTrailing = 200;        // bytes after it
inline constexpr std::size_t kMostReason = 2000;         // bytes
inline constexpr std::size_t kMostStarts = 8;            // lines at which a bare object is tried
inline constexpr std::string_view kOpen = "<verdict>", kClose = "</verdict>";

// Without a Markdown fence before and after it.
inline std::string_view without_fence(std::string_view text) {
  text = trimmed(text);
  if (!text.starts_with("```")) return text;
  text.remove_prefix(3);
  while (!text.empty() && lower(text.front()) >= 'a' && lower(text.front()) <= 'z') text.remove_prefix(1);
  if (text.ends_with("```")) text.remove_suffix(3);
  return trimmed(text);
}

// Where the tag last occurs; npos without.
inline std::size_t last_tag(std::string_view text, std::string_view tag) {
  for (std::size_t at = text.rfind('<'); at != text.npos; at = at == 0 ? text.npos : text.rfind('<', at - 1))
    if (same_letters(text.substr(at, tag.size()), tag)) return at;
  return text.npos;
}

// The end of the text, where a verdict is looked for.
inline std::string_view window(std::string_view said) {
  return said.substr(said.size() - std::min(said.size(), kVerdictWindow));
}

inline std::size_t last_verdict_tag(std::string_view said) {
  const std::string_view tail = window(said);
  const std::size_t at = last_tag(tail, kOpen);
  return at == tail.npos ? said.npos : said.size() - tail.size() + at;
}

inline bool may_follow(std::string_view trailing) {
  return trimmed(trailing).size() <= kMostTrailing && trailing.find_first_of("{}") == trailing.npos;
}

inline std::string first_of(std::string_view raw) {
  std::string out = clean(raw, kMostReason);
  if (out.size() <= kMostReason) return out;
  std::size_t end = kMostReason;
  while (end > 0 && (out[end] & 0xC0) == 0x80) --end;
  out.resize(end);
  return out;
}

inline std::string last_of(std::string_view raw) {
  raw = trimmed(raw);
  std::size_t begin = raw.size() > kMostReason ? raw.size() - kMostReason : 0;
  while (begin > 0 && begin < raw.size() && (raw[begin] & 0xC0) == 0x80) ++begin;
  return first_of(raw.substr(begin));
}

// An object that takes all of the text.
inline bool read_whole_object(std::string_view text, Findings& found) {
  std::vector<Field> fields;
  if (text.size() > kVerdictWindow || !text.starts_with('{') || read_object(text, fields) != text.size()) return false;
  for (const Field& field : fields) found.add(field.key, field.kind == FieldKind::nested ? "[]" : field.value);
  return found.any();
}

// `key: value, key: value`; a reason takes the rest of the line.
inline void read_line(std::string_view line, Findings& found) {
  for (std::size_t begin = 0; begin < line.size();) {
    const std::string_view pair = line.substr(begin, line.find_first_of(",;", begin) - begin);
    if (const std::size_t at = pair.find_first_of(":="); at != pair.npos) {
      const std::string_view key = pair.substr(0, at);
      const bool rest = is_reason(key);
      found.add(key, rest ? line.substr(begin + at + 1) : pair.substr(at + 1));
      if (rest) return;
    }
    begin += pair.size() + 1;
  }
}

inline bool read_lines(std::string_view text, std::span<const std::string_view> keys, Findings& found) {
  if (keys.size() == 1 && text.find_first_of(":=\n<{") == text.npos) {
    found.add(keys[0], text);
    return !text.empty();
  }
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    read_line(text.substr(begin, end - begin), found);
    begin = end + 1;
  }
  return found.any();
}

// What is inside the last tag, which begins at `open`.
inline Reading read_tagged(std::string_view said, std::size_t open, std::span<const std::string_view> keys,
                           Findings& found) {
  std::string_view content = said.substr(open + kOpen.size());
  const std::size_t close = last_tag(content, kClose);
  const bool closed = close != content.npos;
  if (closed && !may_follow(content.substr(close + kClose.size()))) return Reading::unparsable;
  content = without_fence(content.substr(0, close));
  const bool object = content.starts_with('{');
  const bool read = object ? read_whole_object(content, found) : closed && read_lines(content, keys, found);
  return read ? Reading::ok : closed ? Reading::unparsable : Reading::truncated;
}

// Where a bare object may begin that ends with `body`, the latest first: on each line, before any other quote or brace.
inline std::size_t object_starts(std::string_view body, bool cut, std::array<std::size_t, kMostStarts>& starts) {
  std::size_t count = 0;
  for (std::size_t end = body.size(); count < kMostStarts;) {
    const std::size_t newline = end == 0 ? body.npos : body.rfind('\n', end - 1);
    const std::size_t begin = newline == body.npos ? 0 : newline + 1;
    if (newline == body.npos && cut) break;  // the line's own beginning is not in the window
    const std::size_t first = begin + std::min(body.substr(begin, end - begin).find_first_of("{}\""), end - begin);
    const bool apart = first == begin || static_cast<unsigned char>(body[first - 1]) <= 0x20 || body[first - 1] == ':';
    if (first < end && body[first] == '{' && apart) starts[count++] = first;
    if (newline == body.npos) break;
    end = newline;
  }
  return count;
}

// The last object of the text; `begin` gets its place.
inline Reading read_bare(std::string_view said, Findings& found, std::size_t& begin) {
  const std::string_view tail = window(said);
  const bool cut = tail.size() < said.size();
  const std::size_t last = tail.rfind('}');
  if (last == tail.npos || !may_follow(tail.substr(last + 1))) return Reading::unparsable;
  if (last_tag(tail, kClose) != tail.npos) return Reading::unparsable;  // the end of a verdict whose beginning is lost
  const std::string_view body = tail.substr(0, last + 1);
  std::vector<Field> fields;
  const std::string_view whole = without_fence(said);
  if (whole.starts_with('{') && (cut || read_object(whole, fields) == 0)) return Reading::unparsable;

  std::array<std::size_t, kMostStarts> starts{};
  for (std::size_t i = object_starts(body, cut, starts); i > 0; --i) {
    const std::string_view object = body.substr(starts[i - 1]);
    if (read_object(object, fields) != object.size()) continue;
    begin = said.size() - tail.size() + starts[i - 1];
    return read_whole_object(object, found) ? Reading::ok : Reading::unparsable;
  }
  return Reading::unparsable;
}

}  // namespace detail

inline Verdict read_verdict(std::string_view text, std::span<const std::string_view> keys) {
  expect(!keys.empty(), "text::read_verdict", "keys: expected at least one, got none");
  constexpr std::string_view kThinking = "<think>", kAnswer = "</think>";
  const std::size_t thought = text.rfind(kAnswer);
  const std::string_view said = trimmed(thought == text.npos ? text : text.substr(thought + kAnswer.size()));

  detail::Findings found(keys);
  Reading reading = Reading::empty;
  std::size_t begin = detail::last_verdict_tag(said);
  if (detail::read_whole_object(detail::without_fence(text), found)) {
    reading = Reading::ok, begin = 0;
  } else if (said.find(kThinking) != said.npos) {
    reading = Reading::truncated;
  } else if (begin != said.npos) {
    reading = detail::read_tagged(said, begin, keys, found);
  } else if (!said.empty()) {
    reading = detail::read_bare(said, found, begin);
  }

  const bool read = reading == Reading::ok;
  if (!read) found = detail::Findings(keys);
  found.verdict.reading = reading;
  found.verdict.reason =
      !found.reason.empty() ? detail::first_of(found.reason) : detail::last_of(read ? said.substr(0, begin) : said);
  return std::move(found.verdict);
}

}  // namespace vlmprobe::text
