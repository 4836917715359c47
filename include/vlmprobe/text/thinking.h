// Where a model's thinking ends and what it says begins. Only what stands behind the thinking is said: of a questioner
// that drafts first, of an answerer and of a verifier.
//
//   thinking(text)        end   the byte behind the last closing mark of the list; 0 without one
//                         open  the byte at which thinking begins that has no end; npos when there is none
//   thinking_end(text)    the first of them
//   opens_thinking(text)  whether there is the second: the text was cut while the model thought, and says nothing
//   said(text)            what stands behind the thinking; nullopt when that has no end
//
// Marks come in pairs, in any case of ASCII letters. The opening one may be missing, for chat templates write it into
// the prompt: a closing mark without one ends whatever is open. A mark inside the thinking of another pair ends that
// one only: `<think>..<reasoning>..</reasoning>..` is still open. Hand over the whole text, not what follows `end`.
// A mark that somebody else's words spell ends the thinking too, so that quoted text goes through text/delimiters.h.
//
// One pass over the text, which may hold any bytes. Nothing is thrown or allocated.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "vlmprobe/text/detail/ascii.h"

namespace vlmprobe::text {

struct Thinking {
  std::size_t end = 0;
  std::size_t open = std::string_view::npos;
};

namespace detail {

struct ThinkingMarks {
  std::string_view opening, closing;
};

// Closed: a pair that is not here is text. Begin with '<', '[' or U+25C1.
inline constexpr auto kThinkingMarks = std::to_array<ThinkingMarks>({
    {"<think>", "</think>"},                                              // DeepSeek, Qwen, GLM, InternVL, Nemotron
    {"<thinking>", "</thinking>"},                                        // Reflection, prompts
    {"<thought>", "</thought>"},                                          // EXAONE Deep, Gemini
    {"<reasoning>", "</reasoning>"},                                      // LLaVA-CoT, prompts
    {"<scratchpad>", "</scratchpad>"},                                    // prompts
    {"<seed:think>", "</seed:think>"},                                    // Seed-OSS
    {"[THINK]", "[/THINK]"},                                              // Magistral
    {"\xE2\x97\x81think\xE2\x96\xB7", "\xE2\x97\x81/think\xE2\x96\xB7"},  // Kimi-VL
    {"<|begin_of_thought|>", "<|end_of_thought|>"},                       // OpenThinker
    {"<|START_THINKING|>", "<|END_THINKING|>"},                           // Command A
    {"<|inner_prefix|>", "<|inner_suffix|>"},                             // Apertus
    {"<|channel>thought", "<channel|>"},                                  // Gemma
    {"<unused94>thought", "<unused95>"},                                  // MedGemma
    {"<|channel|>analysis", "<|channel|>final<|message|>"},               // gpt-oss
});

inline bool begins_with(std::string_view text, std::size_t at, std::string_view mark) {
  return same_letters(text.substr(at, mark.size()), mark);
}

// The first four bytes of a mark, or of the text where one may stand, with bit 5 of each set: where two marks or texts
// are the same letters, so are these, and most of what begins with '<' is told from every mark by them. No mark is
// shorter; where fewer bytes are left there is none, and 0 equals no key.
constexpr std::uint32_t first_letters(std::string_view text, std::size_t at = 0) {
  std::uint32_t key = 0;
  if (text.size() - at < 4) return key;
  for (std::size_t i = at; i < at + 4; ++i) key = key << 8 | static_cast<unsigned char>(text[i]) | 0x20;
  return key;
}

static_assert(std::all_of(kThinkingMarks.begin(), kThinkingMarks.end(), [](const ThinkingMarks& pair) {
  return pair.opening.size() >= 4 && pair.closing.size() >= 4;
}));

inline constexpr auto kFirstLetters = [] {
  std::array<std::array<std::uint32_t, 2>, kThinkingMarks.size()> keys{};
  for (std::size_t i = 0; i < keys.size(); ++i) {
    keys[i] = {first_letters(kThinkingMarks[i].opening), first_letters(kThinkingMarks[i].closing)};
  }
  return keys;
}();

// Where a mark may begin, one after the other.
class MarkPlaces {
 public:
  explicit MarkPlaces(std::string_view text) : text_(text) {
    for (std::size_t i = 0; i < kLeads.size(); ++i) next_[i] = text.find(kLeads[i]);
  }

  // npos behind the last.
  std::size_t next() {
    const auto nearest = std::min_element(next_.begin(), next_.end());
    const std::size_t at = *nearest;
    if (at != text_.npos) *nearest = text_.find(kLeads[static_cast<std::size_t>(nearest - next_.begin())], at + 1);
    return at;
  }

 private:
  static constexpr std::string_view kLeads = "<[\xE2";
  std::string_view text_;
  std::array<std::size_t, kLeads.size()> next_{};
};

}  // namespace detail

inline Thinking thinking(std::string_view text) {
  Thinking found;
  std::array<std::size_t, detail::kThinkingMarks.size()> opened;  // where each pair was, npos: it is not open
  opened.fill(text.npos);
  detail::MarkPlaces places(text);
  for (std::size_t at = places.next(); at != text.npos; at = places.next()) {
    const std::uint32_t letters = detail::first_letters(text, at);
    for (std::size_t i = 0; i < opened.size(); ++i) {
      const auto& [first_of_opening, first_of_closing] = detail::kFirstLetters[i];
      if (letters != first_of_opening && letters != first_of_closing) continue;
      const auto& [opening, closing] = detail::kThinkingMarks[i];
      if (detail::begins_with(text, at, closing)) {
        found.end = at + closing.size();
        const std::size_t since = opened[i] == text.npos ? 0 : opened[i];
        std::replace_if(opened.begin(), opened.end(), [&](std::size_t place) { return place >= since; }, text.npos);
      } else if (opened[i] == text.npos && detail::begins_with(text, at, opening)) {
        opened[i] = at;
      }
    }
  }
  found.open = *std::min_element(opened.begin(), opened.end());
  return found;
}

inline std::size_t thinking_end(std::string_view text) {
  return thinking(text).end;
}

inline bool opens_thinking(std::string_view text) {
  return thinking(text).open != text.npos;
}

inline std::optional<std::string_view> said(std::string_view text) {
  const Thinking found = thinking(text);
  return found.open == text.npos ? std::optional(text.substr(found.end)) : std::nullopt;
}

}  // namespace vlmprobe::text
