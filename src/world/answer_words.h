// An answer's words, lower case, with where each stands.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "vlmprobe/text/detail/ascii.h"
#include "vlmprobe/text/detail/utf8.h"
#include "vlmprobe/text/detail/wrapping.h"

namespace vlmprobe::world {

struct AnswerWord {
  std::string text;
  int sentence = 0;     // ended by . ! ? ; or a line's end
  int clause = 0;       // ended by a colon or parenthesis as well
  int phrase = 0;       // ended by a comma or a dash as well
  bool number = false;  // digits, with what belongs to them: "4", "4.0", "3-5", "~4", "50%"
  bool joined = false;  // to the next by a hyphen
};

class AnswerWords {
 public:
  explicit AnswerWords(std::string_view answer) : text_(text::plain(answer)) {
    while (at_ < text_.size()) step();
    end_word();
  }

  // Without the sentences that are questions.
  std::vector<AnswerWord> take() {
    std::erase_if(words_,
                  [&](const AnswerWord& word) { return std::ranges::binary_search(questions_, word.sentence); });
    return std::move(words_);
  }

 private:
  static bool digit(char c) { return c >= '0' && c <= '9'; }
  char next(std::size_t ahead) const { return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0'; }

  static bool in_word(char32_t c) {
    if (c < 0x80)
      return digit(static_cast<char>(c)) ||
             (text::lower(static_cast<char>(c)) >= 'a' && text::lower(static_cast<char>(c)) <= 'z');
    return !text::is_space(c) && !(c >= 0x2000 && c <= 0x2BFF) && !(c >= 0x3000 && c <= 0x303F) && c < 0x1F000;
  }

  static bool compares(char32_t c) { return c == '<' || c == '>' || c == '~' || (c >= 0x2200 && c <= 0x22FF); }

  void step() {
    const text::Scalar here = text::decode(text_, at_);
    const char c = here.value < 0x80 ? static_cast<char>(here.value) : '\0';
    if (word_.empty() && digit(c)) return number(before_);
    if (!(text::is_space(here.value) && compares(before_))) before_ = here.value;  // "> 3"
    const bool joined = c == '\'' && !word_.empty() && in_word(static_cast<unsigned char>(next(1)));
    if (in_word(here.value) || joined) {
      for (std::size_t i = 0; i < here.bytes; ++i) word_ += text::lower(text_[at_ + i]);
    } else {
      end_word();
      mark(here.value);
    }
    at_ += here.bytes;
  }

  // Digits and what makes another number of them: a bound or sign before, a part, range or sum behind.
  void number(char32_t before) {
    const bool sign = compares(before) || before == '-' || before == '+' || before == '.' || before == '^' ||
                      before == '#' || before == 0xB1;
    if (sign) word_ += '?';
    while (digit(next(0)) ||
           (std::string_view(".,:/-+*x^").find(next(0)) != std::string_view::npos && digit(next(1)) && next(0) != '\0'))
      word_ += text_[at_++];
    while (next(0) == '%' || next(0) == '+') word_ += text_[at_++];
    before_ = '0';
    if (at_ < text_.size() && in_word(text::decode(text_, at_).value)) return;  // "4th"
    is_number_ = true;
    end_word();
  }

  void end_word() {
    if (!word_.empty()) words_.push_back({std::move(word_), sentence_, clause_, phrase_, is_number_});
    word_.clear();
    is_number_ = false;
  }

  void mark(char32_t value) {
    if (value == '<' && skip_tag()) return;
    if (value == '+') words_.push_back({"plus", sentence_, clause_, phrase_});
    if (value == '-' && !words_.empty()) words_.back().joined = in_word(static_cast<unsigned char>(next(1)));
    const bool ends = value == '.' || value == '!' || value == '?' || value == ';' || value == '\n';
    if (value == '?') questions_.push_back(sentence_);
    sentence_ += ends;
    clause_ += ends || value == ':' || value == '(' || value == ')';
    phrase_ += ends ||
               (value < 0x80 && std::string_view(",:()|/").find(static_cast<char>(value)) != std::string_view::npos) ||
               (value == '-' && !in_word(static_cast<unsigned char>(next(1))));
  }

  // `</answer>`, `<|im_end|>`: leaves the place at its last character.
  bool skip_tag() {
    const std::string_view near = std::string_view(text_).substr(at_, 40);
    const std::size_t end = near.find('>');
    const char first = next(1);
    if (end == near.npos || near.find_first_of(" \n") < end || digit(first) || first == '=') return false;
    at_ += end;
    before_ = ' ';
    return true;
  }

  std::string text_, word_;
  std::vector<AnswerWord> words_;
  std::vector<int> questions_;
  std::size_t at_ = 0;
  char32_t before_ = ' ';
  int sentence_ = 0, clause_ = 0, phrase_ = 0;
  bool is_number_ = false;
};

}  // namespace vlmprobe::world
