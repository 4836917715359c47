// A JSON object as models write them: its fields and those inside them, in order. For verdicts (text/verdict.h), so
// that the headers need no JSON library and hostile text costs little.
//
//   read_object(text, fields)   bytes of the object that begins at text[0]; 0 when none begins there or it is malformed
//
// Keys are strings in double quotes. A value is a string, a word without quotes (`true`, `True`, `1.5`, `null`), or an
// array or object. Forgiven: a comma before the closing brace, raw controls and line breaks in strings, a backslash
// before what needs none (`\$5`, `\(x^2\)`, `C:\users`), which stays. Malformed: single quotes, comments, nesting
// deeper than 8; text/loose_object.h reads what can be read of these. One pass, never throws on the text's account;
// `fields` holds what the text does, decoded, any bytes.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "vlmprobe/text/detail/utf8.h"

namespace vlmprobe::text {

enum class FieldKind : std::int8_t { string, word, nested };

struct Field {
  std::string key, value;  // escapes decoded; a nested value is left out
  FieldKind kind = FieldKind::word;
  int depth = 0;  // 0: the object's own; they follow the field in which they stand
};

namespace detail {

class ObjectReader {
 public:
  explicit ObjectReader(std::string_view text) : text_(text) {}

  std::size_t read(std::vector<Field>& fields) { return begins('{') && object(fields, 0) ? at_ : 0; }

 private:
  static constexpr int kDeepest = 8;

  bool begins(char character) const { return at_ < text_.size() && text_[at_] == character; }

  void skip_blanks() {
    while (at_ < text_.size() && static_cast<unsigned char>(text_[at_]) <= 0x20) ++at_;
  }

  bool take(char character) {
    skip_blanks();
    const bool found = begins(character);
    at_ += found;
    return found;
  }

  bool object(std::vector<Field>& fields, int depth) {
    if (depth > kDeepest || !take('{')) return false;
    do {
      if (take('}')) return true;
      Field field;
      field.depth = depth;
      if (!string(field.key) || !take(':') || !simple(field)) return false;
      const bool nested = field.kind == FieldKind::nested;
      fields.push_back(std::move(field));
      if (nested && !inside(fields, depth + 1)) return false;
    } while (take(','));
    return take('}');
  }

  bool array(std::vector<Field>& fields, int depth) {
    if (depth > kDeepest || !take('[')) return false;
    do {
      if (take(']')) return true;
      Field item;
      if (!simple(item) || (item.kind == FieldKind::nested && !inside(fields, depth + 1))) return false;
    } while (take(','));
    return take(']');
  }

  bool inside(std::vector<Field>& fields, int depth) {
    return begins('{') ? object(fields, depth) : array(fields, depth);
  }

  // A string or a word; where an array or object begins, nothing is taken.
  bool simple(Field& field) {
    skip_blanks();
    field.kind = begins('"') ? FieldKind::string : begins('{') || begins('[') ? FieldKind::nested : FieldKind::word;
    return field.kind == FieldKind::nested ||
           (field.kind == FieldKind::string ? string(field.value) : word(field.value));
  }

  bool word(std::string& out) {
    const std::size_t begin = at_;
    const auto inside = [](char c) {
      return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '+' || c == '-' ||
             c == '.' || c == '_';
    };
    while (at_ < text_.size() && inside(text_[at_])) ++at_;
    out.assign(text_.substr(begin, at_ - begin));
    return !out.empty();
  }

  bool string(std::string& out) {
    if (!take('"')) return false;
    while (at_ < text_.size()) {
      const std::size_t stop = std::min(text_.find_first_of("\"\\", at_), text_.size());
      out.append(text_.substr(at_, stop - at_));
      at_ = stop + 1;
      if (stop == text_.size()) return false;
      if (text_[stop] == '"') return true;
      escape(out);
    }
    return false;
  }

  // What follows a backslash; one before anything else stays as it is.
  void escape(std::string& out) {
    constexpr std::string_view kLetters = "\"\\/bfnrt", kMeant = "\"\\/\b\f\n\r\t";
    const std::size_t place = at_ < text_.size() ? kLetters.find(text_[at_]) : kLetters.npos;
    if (place != kLetters.npos) {
      out.push_back(kMeant[place]);
      ++at_;
      return;
    }
    char32_t unit = 0, low = 0;
    const std::size_t letter = at_;
    if (!begins('u') || (++at_, !four_digits(unit))) {
      at_ = letter;
      out.push_back('\\');
      return;
    }
    if (unit < 0xD800 || unit > 0xDFFF) return append(out, unit);
    const std::size_t after = at_;
    const bool paired = unit < 0xDC00 && text_.substr(at_, 2) == "\\u" && (at_ += 2, four_digits(low)) &&
                        low >= 0xDC00 && low <= 0xDFFF;
    if (!paired) at_ = after;
    append(out, paired ? 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00) : kReplacement);
  }

  bool four_digits(char32_t& unit) {
    if (text_.size() - at_ < 4) return false;
    for (const std::size_t end = at_ + 4; at_ < end; ++at_) {
      const char c = text_[at_];
      const bool digit = c >= '0' && c <= '9', upper = c >= 'A' && c <= 'F', lower = c >= 'a' && c <= 'f';
      if (!digit && !upper && !lower) return false;
      unit = unit * 16 + static_cast<char32_t>(digit ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    return true;
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

}  // namespace detail

inline std::size_t read_object(std::string_view text, std::vector<Field>& fields) {
  fields.clear();
  return detail::ObjectReader(text).read(fields);
}

}  // namespace vlmprobe::text
