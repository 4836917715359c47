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
    for (std::size_t i = 0; i < opened.size(); ++i) {
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
