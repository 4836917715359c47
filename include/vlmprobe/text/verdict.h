// A verifier's words to a verdict: for each key true, false, or unknown with a cause.
//
//   text     what the verifier said; any bytes at all, hostile or not
//   keys     [K] what is judged, such as "grammatical"; at least one
//   asked    how the verdict was asked for: in tags (the prompt says so), or as an object (the server holds the text to
//            a schema as well)
//   returns  Verdict: reading (what the whole is), truths [K], causes [K], reason
//
// 1. Only what follows the thinking counts (text/thinking.h); thinking without an end: truncated. Blank: empty.
// 2. The verdict is what stands in `<verdict> ... </verdict>`, in any case of letters, and nothing else is. The last
//    one ends the text: at most 1000 bytes may follow, with no brace and no word of a verdict (a key, true, false,
//    wrong, not, ...) among them. Every other one that can be read, closed or not, must not give a key another value,
//    and one that begins an object must be readable. Without its closing tag only an object without fault is read;
//    else truncated.
//    Asked for an object: a text that is one, fenced or not, is the verdict before that, whatever its strings hold.
// 3. Inside, without fence, emphasis and special tokens around it (text/detail/wrapping.h), is
//    a. an object (text/detail/flat_object.h), in tags also as `{{ ... }}` or a list of one; fields inside its fields
//       only contradict;
//    b. an object with faults, as far as it is plain (text/detail/loose_object.h);
//    c. lines `key: value` (also `=`; commas and semicolons separate too). A reason takes the rest of its line and the
//       lines that follow it, up to the next line of keys, with which the text then ends. Any other line: unparsable;
//    d. for a single key, the value alone.
//    None of these, or none of the keys in it, or longer than 64 KiB: unparsable.
// 4. Keys and values in any case of letters. A value is true, yes, 1, or the key itself; false, no, 0, or the key
//    behind in-, un-, non- or not; U+662F and U+5426 (yes and no in Chinese); or unknown. 1 and 0 only where no key has
//    another number. A value without letter and digit (`...`) is none.
//
//   cause of a key   none           true or false
//                    said_unknown   the verifier says that it does not know
//                    missing        the key is not there
//                    off_menu       another value
//                    contradictory  there with different values
//
// Reason: the object's or the lines' `reason`, or else what precedes the verdict; cleaned (detail/utf8.h), at most 2000
// bytes: the first of a reason, the last of what precedes. Without a reading, what precedes is all of the text.
//
// Quoted text cannot be a verdict, as long as it went through text/delimiters.h: it holds no tag then. Inside the tags,
// quoted in a reason, it stands between quotes or behind `reason:`, where it gives no value; where a verifier leaves it
// unclear what it quotes, the key is unknown. Asked for an object, a verifier whose server does not hold it to the
// schema and whose whole text is somebody else's object is believed.
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
#include "vlmprobe/text/detail/ascii.h"
#include "vlmprobe/text/detail/flat_object.h"
#include "vlmprobe/text/detail/loose_object.h"
#include "vlmprobe/text/detail/utf8.h"
#include "vlmprobe/text/detail/verdict_lines.h"
#include "vlmprobe/text/detail/wrapping.h"
#include "vlmprobe/text/findings.h"
#include "vlmprobe/text/thinking.h"

namespace vlmprobe::text {

enum class Asked : std::int8_t { tags, object };

namespace detail {

inline constexpr std::size_t kLongestVerdict = 64 << 10;  // bytes
inline constexpr std::size_t kMostTrailing = 1000;        // bytes after it
inline constexpr std::size_t kMostReason = 2000;          // bytes
inline constexpr std::string_view kOpen = "<verdict>", kClose = "</verdict>";

using Keys = std::span<const std::string_view>;

inline std::size_t find_tag(std::string_view text, std::string_view tag, std::size_t from) {
  for (std::size_t at = text.find('<', from); at != text.npos; at = text.find('<', at + 1))
    if (same_letters(text.substr(at, tag.size()), tag)) return at;
  return text.npos;
}

// Where the tag last occurs; npos without.
inline std::size_t last_tag(std::string_view text, std::string_view tag) {
  for (std::size_t at = text.rfind('<'); at != text.npos; at = at == 0 ? text.npos : text.rfind('<', at - 1))
    if (same_letters(text.substr(at, tag.size()), tag)) return at;
  return text.npos;
}

// Whether a remark after a verdict takes nothing back.
inline bool may_follow(std::string_view trailing, Keys keys) {
  constexpr std::array<std::string_view, 11> kOfVerdicts = {
      "true", "false", "incorrect", "wrong", "actually", "wait", "mistake", "no", "correction", "not", "however"};
  trailing = trimmed(trailing);
  if (trailing.size() > kMostTrailing || trailing.find_first_of("{}") != trailing.npos) return false;
  for (std::size_t begin = 0; begin < trailing.size();) {
    std::size_t end = begin;
    while (end < trailing.size() && lower(trailing[end]) >= 'a' && lower(trailing[end]) <= 'z') ++end;
    const auto said = [&](std::string_view word) { return same_letters(trailing.substr(begin, end - begin), word); };
    if (std::ranges::any_of(kOfVerdicts, said) || std::ranges::any_of(keys, said)) return false;
    begin = end + 1;
  }
  return true;
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

inline bool is_object(std::string_view text, std::vector<Field>& fields) {
  return text.starts_with('{') && read_object(text, fields) == text.size();
}

// An object without fault that takes all of the text.
inline bool read_strictly(std::string_view text, Findings& found) {
  std::vector<Field> fields;
  if (!is_object(text, fields)) return false;
  const auto value = [](const Field& field) { return field.kind == FieldKind::nested ? "nested" : field.value; };
  for (const Field& field : fields)
    if (field.depth == 0) found.add(field.key, value(field));
  for (const Field& field : fields)
    if (field.depth > 0) found.doubt(field.key, value(field));
  return found.any();
}

enum class Extent : std::int8_t { open, closed, whole };  // tags without their end; with it; all of the text

// What is inside `{{ ... }}`, as templates write it, and a list of one.
inline std::string_view without_brackets(std::string_view text) {
  const bool doubled = text.starts_with("{{") && text.ends_with("}}");
  const bool listed = text.starts_with('[') && text.ends_with(']') && trimmed(text.substr(1)).starts_with('{');
  return doubled || listed ? trimmed(text.substr(1, text.size() - 2)) : text;
}

// Only a faultless object shows where it ends, and only tags may hold lines.
inline bool read_content(std::string_view content, Extent extent, Keys keys, Findings& found) {
  content = unwrapped(content);
  if (content.size() > kLongestVerdict) return false;
  if (read_strictly(content, found)) return true;
  found = Findings(keys);
  if (extent == Extent::open) return false;
  const std::string readable = plain(content);
  const std::string_view inside = unwrapped(readable);
  if (inside.starts_with('{')) {
    read_loosely(inside, keys, found);
  } else if (extent == Extent::closed) {
    read_lines(inside, keys, found);
  }
  return found.any();
}

// One verdict in tags: what is behind the opening one, up to the next.
struct Tagged {
  Tagged(std::string_view behind, bool last, Keys keys) : found(keys) {
    const std::size_t close = last_tag(behind, kClose);
    closed = close != behind.npos;
    content = behind.substr(0, close);
    trailing = closed ? behind.substr(close + kClose.size()) : std::string_view();
    read = read_content(without_brackets(unwrapped(content)), closed || !last ? Extent::closed : Extent::open, keys,
                        found);
  }

  // Begins an object that has faults: what follows may be inside it.
  bool garbled() const {
    std::vector<Field> fields;
    const std::string_view inside = unwrapped(content);
    return !read && inside.starts_with('{') && (inside.size() > kLongestVerdict || !is_object(inside, fields));
  }

  std::string_view content, trailing;
  Findings found;
  bool closed = false, read = false;
};

// The last verdict in tags, compared with those before it; `begin` gets its place, npos without one.
inline Reading read_tagged(std::string_view said, Keys keys, Findings& found, std::size_t& begin) {
  Findings earlier(keys);
  bool garbled = false;
  begin = find_tag(said, kOpen, 0);
  if (begin == said.npos) return Reading::unparsable;
  for (;;) {
    const std::size_t from = begin + kOpen.size(), next = find_tag(said, kOpen, from);
    const Tagged here(said.substr(from, std::min(next, said.size()) - from), next == said.npos, keys);
    if (next == said.npos) {
      found = here.found;
      found.compare(earlier);
      if (!here.closed && !here.read) return Reading::truncated;
      return here.read && !garbled && may_follow(here.trailing, keys) ? Reading::ok : Reading::unparsable;
    }
    if (here.read) earlier.join(here.found);
    garbled |= here.garbled();
    begin = next;
  }
}

}  // namespace detail

inline Verdict read_verdict(std::string_view text, std::span<const std::string_view> keys, Asked asked = Asked::tags) {
  expect(!keys.empty(), "text::read_verdict", "keys: expected at least one, got none");
  const Thinking thought = thinking(text);
  const std::string_view said = trimmed(text.substr(thought.end));

  detail::Findings found(keys);
  Reading reading = Reading::ok;
  std::size_t begin = 0;
  const bool object = asked == Asked::object;
  if (!object || !detail::read_content(text, detail::Extent::open, keys, found)) {
    if (thought.open != text.npos) {
      reading = Reading::truncated;
    } else if (said.empty()) {
      reading = Reading::empty;
    } else if (!object || !detail::read_content(said, detail::Extent::whole, keys, found)) {
      reading = detail::read_tagged(said, keys, found, begin);
    }
  }

  const bool read = reading == Reading::ok;
  if (!read) found = detail::Findings(keys);
  found.settle();
  found.verdict.reading = reading;
  found.verdict.reason =
      !found.reason.empty() ? detail::first_of(found.reason) : detail::last_of(read ? said.substr(0, begin) : said);
  return std::move(found.verdict);
}

}  // namespace vlmprobe::text
