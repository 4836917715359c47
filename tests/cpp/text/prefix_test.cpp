#include "vlmprobe/text/prefix.h"

#include <algorithm>
#include <cctype>
#include <string>
#include <utility>
#include <vector>

#include "support.h"
#include "vlmprobe/core/random.h"
#include "vlmprobe/text/detail/utf8.h"

using namespace vlmprobe;

TEST_CASE("a prefix is the first words, folded") {
  CHECK(text::prefix("How many red circles are there?") == "how many");
  CHECK(text::prefix(" \t\"How\" - , MANY?!", 2) == "how many");
  CHECK(text::prefix("What's the left-most", 3) == "whats the leftmost");
  CHECK(text::prefix("h.o.w many", 2) == "how many");
  CHECK(text::prefix("Why?", 5) == "why");
  CHECK(text::prefix("?! ... ", 2).empty());
  CHECK(text::prefix("").empty());
  CHECK(text::prefix("\u00C9t\u00E9 \u65E5 x", 2) == "\u00E9t\u00E9 \u65E5");
  CHECK(thrown([] { text::prefix("a", 0); }) == "[text::prefix] length: expected at least 1, got 0");
}

// By the definition, for ASCII: pieces between white space and controls, each without its punctuation, in lower case.
static std::string by_definition(std::string_view question, std::int64_t length) {
  std::vector<std::string> words(1);
  for (const char character : question) {
    const auto byte = static_cast<unsigned char>(character);
    if (byte <= 0x20 || byte == 0x7F) {
      words.emplace_back();
    } else if (std::isalnum(byte)) {
      words.back().push_back(static_cast<char>(std::tolower(byte)));
    }
  }
  std::erase(words, "");
  std::string joined;
  for (std::size_t i = 0; i < words.size() && static_cast<std::int64_t>(i) < length; ++i)
    joined += (i > 0 ? " " : "") + words[i];
  return joined;
}

TEST_CASE("a prefix of ASCII is what its definition says, of whatever bytes") {
  random::Sequence draw(5, random::Stream::kFault, 0);
  text::PrefixCutter cutters[] = {text::PrefixCutter(1), text::PrefixCutter(2), text::PrefixCutter(5)};
  const std::int64_t lengths[] = {1, 2, 5};
  for (int round = 0; round < 30000; ++round) {
    std::string question;
    const int size = draw.below(40), kind = draw.below(3);
    for (int i = 0; i < size; ++i) {
      const std::string_view usual = "aZm9 e ' ";
      question.push_back(kind == 0 ? static_cast<char>(draw.below(128))
                                   : usual[static_cast<std::size_t>(draw.below(kind == 1 ? 7 : 9))]);
    }
    for (int i = 0; i < 3; ++i)
      if (cutters[i](question) != by_definition(question, lengths[i])) FAIL("question '" << question << "'");
  }
}

TEST_CASE("where words have no blanks, each character with its signs is a word") {
  const std::pair<const char*, const char*> cases[] = {
      {"\u56FE\u7247\u4E2D\u6709", "\u56FE \u7247"},                                      // Chinese
      {"\u56FE\u3001\u7247", "\u56FE \u7247"},                                            // with a comma between
      {"\u30B3\u30FC\u30D2", "\u30B3 \u30FC"},                                            // Japanese
      {"\uFF83\uFF9E\uFF7D", "\u30C7 \u30B9"},                                            // in half width, voiced
      {"\u304B\u3099\u306F\u309A", "\u304C \u3071"},                                      // voiced by marks
      {"3\u500B\u306E", "3 \u500B"},                                                      // a number before a counter
      {"\uFF13\uFF12\u500B", "32 \u500B"},                                                // the same in full width
      {"\u0E43\u0E19\u0E20\u0E32\u0E1E", "\u0E43\u0E19 \u0E20\u0E32"},                    // Thai: nai pha-p
      {"\u0E17\u0E35\u0E48\u0E19\u0E35\u0E48", "\u0E17\u0E35\u0E48 \u0E19\u0E35\u0E48"},  // thi ni, with tones
      {"\u0EC1\u0EA1\u0EA7", "\u0EC1\u0EA1 \u0EA7"},                                      // Lao
      {"\u1780\u17D2\u179A\u17BB\u1798", "\u1780\u17D2\u179A\u17BB \u1798"},              // Khmer, stacked
      {"\u1019\u103C\u1014\u103A\u1019", "\u1019\u103C \u1014\u103A"},                    // Burmese
      {"\U00020000\U0002A6DF\u4E00", "\U00020000 \U0002A6DF"},                            // beyond the basic plane
      {"\u4E2D how", "\u4E2D how"},                                                       // scripts mixed
      {"how\u4E2Dmany", "how \u4E2D"},
      {"\uC5BC\uB9C8\uB098 \uB9CE\uC774 x", "\uC5BC\uB9C8\uB098 \uB9CE\uC774"},  // Korean has blanks
      {"\u0F56\u0F7C\u0F51\u0F0B\u0F61\u0F72\u0F42\u0F0B\u0F42", "\u0F56\u0F7C\u0F51 \u0F61\u0F72\u0F42"},  // Tibetan
  };
  for (const auto& [question, expected] : cases) {
    CAPTURE(question);
    CHECK(text::prefix(question) == expected);
  }
}

TEST_CASE("case, width, accents and marks of other scripts make no new prefix") {
  const std::pair<const char*, const char*> same[] = {
      {"\u00C7a a", "c\u0327a a"},            // a cedilla in one piece and in two
      {"Vi\u1EC7t n", "vie\u0323\u0302t n"},  // two marks
      {"\u0421\u043A\u043E\u043B\u044C\u043A\u043E x", "\u0441\u043A\u043E\u043B\u044C\u043A\u043E x"},  // Cyrillic
      {"\u0401\u0436 x", "\u0435\u0308\u0436 x"},
      {"\u03A0\u038C\u03A3\u0391 x", "\u03C0\u03BF\u0301\u03C3\u03B1 x"},  // Greek
      {"\u03C3\u03BF\u03C2 x", "\u03A3\u039F\u03A3 x"},                    // a final sigma
      {"\u0130ki x", "i\u0307ki x"},
      {"\u0643\u0640\u0645 x", "\u0643\u064E\u0645\u0652 x"},              // Arabic, stretched and with vowel signs
      {"\u05DB\u05DE\u05D4 x", "\u05DB\u05B7\u05BC\u05DE\u05B8\u05D4 x"},  // Hebrew, with points
      {"\uD55C\uAE00 x", "\u1112\u1161\u11AB\u1100\u1173\u11AF x"},        // Hangul in parts
      {"\uFF28\uFF4F\uFF57\u3000\uFF4D\uFF41\uFF4E\uFF59", "how many"},
      {"\u00BFHow\u00A0many", "how\u2003\u201Cmany\u201D"},
      {"\u00AB\u00A0How\u00BB\u202Fmany\u2026", "how\u2014\u2028many"},
      {"\U0001F408 How many \u2460", "how \u20ACmany"},
      {"q\u0335\u0336how many", "qhow many"},  // marks that make no letter
  };
  for (const auto& [one, other] : same) {
    CAPTURE(one);
    CHECK(text::prefix(one) == text::prefix(other));
    CHECK(text::prefix(one) != "");
  }
  CHECK(text::prefix("\u00E9t\u00E9") != text::prefix("ete"));
  CHECK(text::prefix("\U0001F408\U0001F408 \u3002").empty());
  CHECK(text::prefix("a\xFF\xE2\x82z \uFFFDb") == "az b");  // ill-formed bytes, as they are and as they are stored
}

// Well-formed text of all kinds.
static std::string drawn(random::Sequence& draw, std::string_view between) {
  const std::vector<std::string_view> pieces = {"a",       "Ho",     "w's",    " ",      "  ",     "\u00C9",
                                                "e\u0301", "\u56FE", "\u7247", "\u0E43", "\u0E19", "\u0E35",
                                                "\u304B",  "\u3099", "\u1112", "\u1161", "?",      "\u3000",
                                                "7",       "\uFF17", "\u2014", "\u0627", "\u064E"};
  std::string text;
  for (int n = draw.below(12); n >= 0; --n) {
    text += pieces[static_cast<std::size_t>(draw.below(static_cast<int>(pieces.size())))];
    text += between;
  }
  return text;
}

TEST_CASE("what nobody sees is in no prefix, wherever it stands") {
  for (const text::ScalarRange& range : text::kInvisible) {
    std::string unseen;
    text::append(unseen, range.first), text::append(unseen, range.last);
    for (int round = 0; round < 200; ++round) {
      random::Sequence draw(7, random::Stream::kFault, static_cast<std::uint64_t>(round)), again = draw;
      const std::string plain = drawn(draw, ""), marked = drawn(again, unseen);
      if (text::prefix(plain) != text::prefix(marked)) FAIL("question '" << plain << "'");
    }
  }
}

TEST_CASE("a prefix is well-formed, its own prefix, and no longer than asked for, of whatever bytes") {
  random::Sequence draw(8, random::Stream::kFault, 0);
  for (int round = 0; round < 20000; ++round) {
    std::string question = drawn(draw, "");
    for (int n = draw.below(6); n > 0; --n)
      question.insert(static_cast<std::size_t>(draw.below(static_cast<int>(question.size()) + 1)), 1,
                      static_cast<char>(draw.below(256)));
    const std::string cut = text::prefix(question, 3);
    if (text::well_formed(cut) != cut || text::prefix(cut, 3) != cut) FAIL("question '" << question << "': " << cut);
    if (std::count(cut.begin(), cut.end(), ' ') > 2) FAIL("words of '" << question << "': " << cut);
  }
}

TEST_CASE("every scalar value survives encoding and decoding, and nothing else decodes") {
  for (char32_t value = 1; value <= 0x10FFFF; ++value) {
    if (value >= 0xD800 && value <= 0xDFFF) continue;
    std::string bytes;
    text::append(bytes, value);
    const auto scalar = text::decode(bytes, 0);
    if (scalar.value != value || scalar.bytes != bytes.size()) FAIL("value " << static_cast<unsigned>(value));
  }
  for (const std::string_view bad :
       {"\x80", "\xC0\x80", "\xE0\x80\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xF5", "\xE2"})
    CHECK(text::decode(bad, 0).value == text::kReplacement);
}
