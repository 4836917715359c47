// Completions to questions: finds `<response_i> ... </response_i>`, i = 1..k, in each completion.
//
//   completions  [B]  bytes from the questioner; any bytes at all, hostile or not
//   k            slots per completion, at least 1
//   token_ends   [B] or empty: per completion, the exclusive byte offset at which each token ends in its text;
//                non-decreasing (a token without text repeats the offset before it), the last one is the text's length
//   returns      Questions, k rows per completion, ordered by (sequence, slot)
//
// Only what stands behind the thinking is read (text/thinking.h): a questioner may draft there, tags included. Thinking
// that has no end is all there is: its slots are missing. A mark that ends thinking is no part of a question, so one
// inside a block leaves the slot without its opening tag.
//
// A tag is exactly `<response_N>` or `</response_N>`, N decimal digits, case-sensitive. An N that is not written as one
// of 1..k makes a foreign tag: it belongs to no slot. A slot's block runs from its first opening tag to the first
// closing tag of the same number after it. The first line that holds is the slot's status:
//
//   missing       no opening tag of its number
//   duplicated    its opening tag or its closing tag occurs more than once in the completion
//   unclosed      no closing tag after its opening tag
//   nested        another tag, foreign ones too, lies in its block, or its block begins inside another slot's block
//   out_of_order  a slot with a higher number was opened before it
//   empty         no character but white space, controls, and what nobody sees (text/invisible.h)
//   too_long      more than max_bytes bytes of text, after cleaning
//   ok            the only status with a text: valid UTF-8 (U+FFFD for ill-formed bytes), control characters and
//                 white space collapsed to single blanks, trimmed (text/detail/utf8.h)
//
// Token span: the tokens that overlap the block, tags included; an unclosed slot's ends where the next tag begins, or
// with the text. Spans of one sequence never overlap in bytes (a token that straddles two blocks is in both spans): a
// slot that begins inside another's block has no span. Missing slots have none, and nobody has without token_ends.
//
// Each question's prefix (text/prefix.h) is cut on the way: what counts prefixes, or records them, cuts none again.
//
// Linear in the input plus k log k per completion. Never throws on the text's account; throws InvalidArgument for
// k < 1, max_bytes < 1, prefix_length < 1 and token_ends that do not match the completions.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <limits>
#include <numeric>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "vlmprobe/core/error.h"
#include "vlmprobe/core/tables.h"
#include "vlmprobe/text/detail/utf8.h"
#include "vlmprobe/text/invisible.h"
#include "vlmprobe/text/prefix.h"
#include "vlmprobe/text/thinking.h"

namespace vlmprobe::text {

struct ResponseOptions {
  std::int64_t max_bytes = 1000;               // longest question, in bytes of cleaned UTF-8
  std::int64_t prefix_length = kPrefixLength;  // words of a question's prefix
};

namespace detail {

struct Tag {
  std::size_t begin = 0, end = 0;  // bytes
  std::int64_t number = 0;         // 0: foreign
  bool closing = false;
};

// The first tag at or after `from`; false when there is none.
inline bool next_tag(std::string_view text, std::size_t from, std::int64_t k, Tag& tag) {
  constexpr std::string_view kName = "response_";
  for (std::size_t at = text.find('<', from); at != text.npos; at = text.find('<', at + 1)) {
    std::size_t cursor = at + 1;
    const bool closing = cursor < text.size() && text[cursor] == '/';
    cursor += closing;
    if (text.size() - cursor < kName.size() || std::memcmp(text.data() + cursor, kName.data(), kName.size()) != 0)
      continue;
    const std::size_t digits = cursor += kName.size();
    std::int64_t number = 0;
    for (; cursor < text.size() && text[cursor] >= '0' && text[cursor] <= '9'; ++cursor)
      number = number > k ? number : number * 10 + (text[cursor] - '0');  // k + 1 and more are all foreign
    if (cursor == digits || cursor == text.size() || text[cursor] != '>') continue;
    tag = {at, cursor + 1, number > k || text[digits] == '0' ? 0 : number, closing};
    return true;
  }
  return false;
}

// What a completion holds of one slot: byte offsets, and ordinals among all of its tags.
struct Block {
  std::int64_t opens = 0, closes = 0;
  std::size_t begin = 0, body = 0, body_end = 0, end = 0;
  std::int64_t open_tag = -1, close_tag = -1;
  bool out_of_order = false, inside = false;
};

// What is found of one completion; kept from one to the next, so that nothing is allocated again.
struct Scratch {
  std::vector<Block> slots;        // [k]
  std::vector<std::size_t> order;  // [k]
};

inline void find_blocks(std::string_view text, std::int64_t k, Scratch& scratch) {
  std::vector<Block>& slots = scratch.slots;
  slots.assign(static_cast<std::size_t>(k), Block{});
  const Thinking thought = thinking(text);
  if (thought.open != text.npos) return;
  Block* opened = nullptr;  // the slot whose first opening tag was the previous tag: it reaches at least to this one
  std::int64_t highest = 0, ordinal = 0;
  Tag tag;
  for (std::size_t from = thought.end; next_tag(text, from, k, tag); from = tag.end, ++ordinal) {
    if (opened) opened->end = tag.begin;
    opened = nullptr;
    if (tag.number == 0) continue;
    Block& slot = slots[static_cast<std::size_t>(tag.number - 1)];
    if (tag.closing) {
      ++slot.closes;
      if (slot.opens > 0 && slot.close_tag < 0) slot.body_end = tag.begin, slot.end = tag.end, slot.close_tag = ordinal;
    } else if (++slot.opens == 1) {
      slot.begin = tag.begin, slot.body = tag.end, slot.end = text.size(), slot.open_tag = ordinal;
      slot.out_of_order = highest > tag.number;
      highest = std::max(highest, tag.number);
      opened = &slot;
    }
  }

  const auto holds_a_tag = [](const Block& slot) { return slot.close_tag > slot.open_tag + 1; };
  if (std::none_of(slots.begin(), slots.end(), holds_a_tag)) return;
  std::vector<std::size_t>& order = scratch.order;
  order.resize(slots.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](auto a, auto b) { return slots[a].open_tag < slots[b].open_tag; });
  std::int64_t reach = -1;
  for (const std::size_t i : order) {
    slots[i].inside = slots[i].open_tag >= 0 && slots[i].open_tag < reach;
    reach = std::max(reach, slots[i].close_tag);
  }
}

inline SlotStatus structure(const Block& slot) {
  if (slot.opens == 0) return SlotStatus::missing;
  if (slot.opens > 1 || slot.closes > 1) return SlotStatus::duplicated;
  if (slot.close_tag < 0) return SlotStatus::unclosed;
  if (slot.inside || slot.close_tag != slot.open_tag + 1) return SlotStatus::nested;
  return slot.out_of_order ? SlotStatus::out_of_order : SlotStatus::ok;
}

// The slot's status; its clean text, when that is ok, becomes the next text of the column.
inline SlotStatus read_slot(std::string_view text, const Block& slot, std::size_t max_bytes, TextColumn& texts) {
  SlotStatus status = structure(slot);
  texts.append_with([&](std::string& out) {
    if (status != SlotStatus::ok) return false;
    const std::size_t bytes = append_clean(out, text.substr(slot.body, slot.body_end - slot.body), max_bytes);
    const bool seen = has_visible(std::string_view(out).substr(out.size() - bytes));
    status = bytes > max_bytes ? SlotStatus::too_long : seen ? SlotStatus::ok : SlotStatus::empty;
    return status == SlotStatus::ok;
  });
  return status;
}

// [first, last) token of the slot's span; -1 without one.
inline std::pair<std::int64_t, std::int64_t> span_of(const Block& slot, const std::vector<std::int64_t>& ends) {
  if (slot.opens == 0 || slot.inside) return {-1, -1};
  const auto first = std::upper_bound(ends.begin(), ends.end(), static_cast<std::int64_t>(slot.begin));
  const auto last = std::lower_bound(first, ends.end(), static_cast<std::int64_t>(slot.end));
  return {first - ends.begin(), last - ends.begin() + 1};
}

// The rows of the completions, as missing slots without a span; the texts are still to come.
inline Questions blank_rows(std::span<const std::string_view> completions, std::int64_t k) {
  const std::size_t rows = completions.size() * static_cast<std::size_t>(k);
  Questions questions;
  questions.k = k;
  questions.sequence.resize(rows), questions.slot.resize(rows);
  for (std::size_t q = 0, b = 0; b < completions.size(); ++b)
    for (std::int64_t s = 0; s < k; ++s, ++q)
      questions.sequence[q] = static_cast<std::int64_t>(b), questions.slot[q] = s;
  questions.status.resize(rows, SlotStatus::missing);
  questions.token_begin.resize(rows, -1), questions.token_end.resize(rows, -1);
  std::size_t bytes = 0;
  for (const std::string_view completion : completions) bytes += completion.size();
  questions.text.reserve(rows, bytes);
  questions.prefix.reserve(rows, 16 * rows);
  questions.prefix_hash.resize(rows);
  return questions;
}

inline void require_token_ends(std::span<const std::string_view> completions,
                               std::span<const std::vector<std::int64_t>> token_ends) {
  constexpr auto kOp = "text::parse_responses";
  expect(token_ends.size() == completions.size(), kOp, "token_ends: expected one row per completion ({}), got {}",
         completions.size(), token_ends.size());
  for (std::size_t b = 0; b < token_ends.size(); ++b) {
    const auto& ends = token_ends[b];
    const std::int64_t first = ends.empty() ? 0 : ends.front(), last = ends.empty() ? 0 : ends.back();
    expect(first >= 0 && std::is_sorted(ends.begin(), ends.end()), kOp,
           "token_ends: row {}: expected non-decreasing byte offsets from 0 on", b);
    expect(static_cast<std::size_t>(last) == completions[b].size(), kOp,
           "token_ends: row {}: expected the last token to end at byte {}, where the text ends, got {}", b,
           completions[b].size(), last);
  }
}

}  // namespace detail

inline Questions parse_responses(std::span<const std::string_view> completions, std::int64_t k,
                                 std::span<const std::vector<std::int64_t>> token_ends = {},
                                 const ResponseOptions& options = {}) {
  constexpr auto kOp = "text::parse_responses";
  constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max();
  expect(k >= 1 && k <= kMost, kOp, "k: expected at least 1 and at most {}, got {}", kMost, k);
  expect(options.max_bytes >= 1, kOp, "max_bytes: expected at least 1, got {}", options.max_bytes);
  if (!token_ends.empty()) detail::require_token_ends(completions, token_ends);

  PrefixCutter cut(options.prefix_length);
  Questions questions = detail::blank_rows(completions, k);
  questions.prefix_length = options.prefix_length;
  const auto max_bytes = static_cast<std::size_t>(options.max_bytes);
  detail::Scratch scratch;
  for (std::size_t q = 0, b = 0; b < completions.size(); ++b) {
    detail::find_blocks(completions[b], k, scratch);
    for (const detail::Block& slot : scratch.slots) {
      questions.status[q] = detail::read_slot(completions[b], slot, max_bytes, questions.text);
      questions.prefix.push_back(cut(questions.text[q]));
      questions.prefix_hash[q] = prefix_hash(questions.prefix[q]);
      if (!token_ends.empty())
        std::tie(questions.token_begin[q], questions.token_end[q]) = detail::span_of(slot, token_ends[b]);
      ++q;
    }
  }
  return questions;
}

// Questions that were parsed before (a ledger's, another process's) as the table that `parse_responses` made of them:
// the columns are taken as they are, prefixes are cut again.
//
//   columns  all but text, prefix and prefix_hash filled, each with Q rows
//   texts    [Q] empty where the status is not ok
//
// Throws InvalidArgument for columns of unequal length and for prefix_length < 1.
inline Questions question_table(Questions columns, std::span<const std::string_view> texts) {
  constexpr auto kOp = "text::question_table";
  const std::size_t rows = columns.size();
  const auto require_rows = [&](const char* name, std::size_t got) {
    expect(got == rows, kOp, "{}: expected {} rows as in sequence, got {}", name, rows, got);
  };
  require_rows("slot", columns.slot.size());
  require_rows("status", columns.status.size());
  require_rows("text", texts.size());
  require_rows("token_begin", columns.token_begin.size());
  require_rows("token_end", columns.token_end.size());
  PrefixCutter cut(columns.prefix_length);
  columns.text = {}, columns.prefix = {};
  columns.prefix_hash.clear();
  for (const std::string_view text : texts) {
    columns.text.push_back(text);
    columns.prefix.push_back(cut(text));
    columns.prefix_hash.push_back(prefix_hash(columns.prefix[columns.prefix.size() - 1]));
  }
  return columns;
}

}  // namespace vlmprobe::text
