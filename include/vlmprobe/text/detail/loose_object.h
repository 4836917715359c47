// What an object says of some keys that is plain to a reader but no JSON: `"reason": "The sign says "NO"."`, Python's
// or no quotes, comments, a brace too many or too few. Only where it cannot be somebody else's words that it repeats.
//
//   read_loosely(text, keys, found)   adds values and reason; `text` is plain and unwrapped (text/wrapping.h), begins
//                                   with '{'
//
// A mention is a key with ':' or '=' and a value behind it, wherever it stands. It gives a value only where it is a
// field of the object's own: directly behind a brace, comma, semicolon or line break; not inside further braces; its
// value between two quotes of one kind, or none, and before a comma, brace, line break, comment or the end; and
//   a. at the end: nothing follows but other such mentions, short fields (`"sure": 0.9`), commas, braces, comments, or
//   b. at the beginning: nothing but such mentions and short fields is before it, and the reason right after them, and
//      the text ends with its brace.
// So nothing inside the quotes of a reason gives a value, as the reason's own closing quote comes after it. Whatever
// else is mentioned, in a string, a comment or as part of a word (`incorrect`, `is_correct`), gives none, but makes the
// key contradictory if it differs. More than 64 mentions: nothing is read.
//
// Linear; memory bounded by the mentions. Never throws.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "vlmprobe/text/detail/ascii.h"
#include "vlmprobe/text/findings.h"

namespace vlmprobe::text::detail {

struct Mention {
  std::size_t begin = 0, end = 0;  // with its quotes; the reason's ends before its value
  std::string_view key, value;
  bool own = false;  // a field of the object's own
};

class LooseObject {
 public:
  LooseObject(std::string_view text, std::span<const std::string_view> keys) : text_(text) {
    for (const std::string_view key : keys) find(key);
    find(kReasonKey);
    std::ranges::sort(mentions_, {}, &Mention::begin);
  }

  void read(Findings& found) const {
    const std::size_t all = mentions_.size();
    if (all > kMostMentions || !short_key(skip_comment(skip(1)))) return;
    const std::size_t head = head_block(), tail = std::max(head, tail_block());
    for (std::size_t i = 0; i < all; ++i)
      if (i < head || i >= tail) found.add(mentions_[i].key, mentions_[i].value);
    for (std::size_t i = head; i < tail; ++i) found.doubt(mentions_[i].key, mentions_[i].value);
    const auto reason = std::ranges::find_if(mentions_, [](const Mention& each) { return is_reason(each.key); });
    if (reason == mentions_.end()) return;
    const std::size_t end = tail < all ? std::max(mentions_[tail].begin, reason->end) : text_.size();
    found.reason = trimmed(text_.substr(reason->end, end - reason->end), "\"'*`,;}");
  }

 private:
  static constexpr std::size_t kMostMentions = 64;
  static constexpr std::string_view kDress = "\"'*`";

  char at(std::size_t i) const { return i < text_.size() ? text_[i] : '\0'; }
  bool any_of(std::size_t i, std::string_view set) const { return i < text_.size() && set.find(text_[i]) != set.npos; }

  bool in_word(std::size_t i) const {
    const char c = at(i);
    return any_of(i, "_-0123456789") || (lower(c) >= 'a' && lower(c) <= 'z') || static_cast<unsigned char>(c) >= 0x80;
  }

  // Behind blanks and the characters of the set.
  std::size_t skip(std::size_t i, std::string_view set = "") const {
    while (any_of(i, set) || (i < text_.size() && static_cast<unsigned char>(text_[i]) <= 0x20)) ++i;
    return i;
  }

  // Behind a comment in which nothing can be hidden; `i` where there is none.
  std::size_t skip_comment(std::size_t i) const {
    const bool block = text_.substr(i, 2) == "/*", line = text_.substr(i, 2) == "//" || at(i) == '#';
    const std::size_t end = block ? text_.find("*/", i + 2) : std::min(text_.find('\n', i), text_.size());
    if ((!block && !line) || end == text_.npos) return i;
    return text_.substr(i, end - i).find_first_of("\"{}:=") == text_.npos ? end + (block ? 2 : 0) : i;
  }

  // Whether a value that ended before `i` is followed by what may follow one.
  bool ends_at(std::size_t i) const {
    const std::size_t next = skip(i, "*`");
    return next >= text_.size() || any_of(next, ",;}") || skip_comment(next) != next ||
           text_.substr(i, next - i).find('\n') != text_.npos;
  }

  bool begins_a_field(std::size_t i) const {
    bool line = false;
    for (; i > 0 && static_cast<unsigned char>(text_[i - 1]) <= 0x20; --i) line |= text_[i - 1] == '\n';
    return line || (i > 0 && any_of(i - 1, "{,;")) || (i > 1 && text_.substr(i - 2, 2) == "*/");
  }

  bool inside_one_brace(std::size_t i) const {
    const std::string_view before = text_.substr(0, i);
    return std::ranges::count(before, '{') == std::ranges::count(before, '}') + 1;
  }

  void find(std::string_view key) {
    for (std::size_t i = 0; i + key.size() <= text_.size() && mentions_.size() <= kMostMentions; ++i) {
      if (!same_letters(text_.substr(i, key.size()), key)) continue;
      const std::size_t after = i + key.size();
      const bool word = !in_word(after) && (i == 0 || !in_word(i - 1));
      std::size_t end = after;
      while (in_word(end)) ++end;  // `correctness`
      mention(i, end, key, word);
      i = end - 1;
    }
  }

  void mention(std::size_t place, std::size_t end, std::string_view key, bool word) {
    const std::size_t colon = skip(end, kDress);
    if (!any_of(colon, ":=")) return;
    std::size_t begin = place;
    while (begin > 0 && any_of(begin - 1, kDress)) --begin;
    Mention found{begin, skip(colon + 1, "=>*`"), key, {}, word && begins_a_field(begin) && inside_one_brace(begin)};
    if (!is_reason(key)) found.own &= read_value(found);
    if (found.own || !is_reason(key)) mentions_.push_back(found);
  }

  // Takes the value at the mention's end; whether it stands between two quotes of one kind, or none, and then ends.
  bool read_value(Mention& found) const {
    const char quote = any_of(found.end, "\"'") ? text_[found.end++] : '\0';
    const std::size_t stop = std::min(text_.find_first_of(",;{}[]\"'`\n#/", found.end), text_.size());
    found.value = trimmed(text_.substr(found.end, stop - found.end));
    const bool closed = quote == '\0' || at(stop) == quote;
    found.end = stop + (quote != '\0' && closed);
    return closed && ends_at(found.end);
  }

  // Bytes of a key and its colon; 0 without.
  std::size_t short_key(std::size_t i) const {
    const std::size_t begin = skip(i), quoted = any_of(begin, kDress);
    std::size_t end = begin;
    while (any_of(end, kDress)) ++end;
    const std::size_t word = end;
    while (in_word(end) || at(end) == ' ') ++end;
    const bool named = end > word && (!quoted || any_of(end, kDress));
    const std::size_t colon = skip(end, kDress);
    return named && any_of(colon, ":=") ? colon + 1 - i : 0;
  }

  // Behind a field whose value is a word or a string without anything in it that could end it; `i` where there is none.
  std::size_t skip_short_field(std::size_t i) const {
    const std::size_t key = short_key(i);
    Mention field;
    field.end = skip(i + key);
    return key > 0 && read_value(field) && !field.value.empty() ? field.end : i;
  }

  // Behind everything that says nothing: at a mention, at the end, or at what is not understood.
  std::size_t walk(std::size_t i, std::string_view separators) const {
    for (std::size_t before = text_.npos; before != i;) {
      before = i;
      i = skip_comment(skip(i, separators));
      if (std::ranges::find(mentions_, i, &Mention::begin) != mentions_.end()) return i;
      i = skip_short_field(i);
    }
    return i;
  }

  bool gives(std::size_t i) const { return mentions_[i].own && !is_reason(mentions_[i].key); }

  // How many mentions the beginning gives.
  std::size_t head_block() const {
    std::size_t count = 0, i = walk(1, ",;");
    for (; count < mentions_.size() && gives(count) && mentions_[count].begin == i; ++count)
      i = walk(mentions_[count].end, ",;");
    const bool reason = count < mentions_.size() && is_reason(mentions_[count].key) && mentions_[count].begin == i;
    return reason && text_.ends_with('}') ? count : 0;
  }

  // The first of the mentions that the end gives.
  std::size_t tail_block() const {
    std::size_t first = mentions_.size(), next = text_.size();
    while (first > 0 && gives(first - 1) && walk(mentions_[first - 1].end, ",;}") == next)
      next = mentions_[--first].begin;
    return first;
  }

  std::string_view text_;
  std::vector<Mention> mentions_;
};

inline void read_loosely(std::string_view text, std::span<const std::string_view> keys, Findings& found) {
  LooseObject(text, keys).read(found);
}

}  // namespace vlmprobe::text::detail
