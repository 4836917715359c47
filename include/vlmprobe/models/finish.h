// What a server's `finish_reason` says of the text that came with it. Closed lists: only a name on the first is an
// answer.
//
//   whole     the model ended by itself      stop (OpenAI, vLLM, SGLang, llama.cpp, Ollama), eos_token and
//   stop_sequence
//                                            (TGI), eos (Together), end_turn (gateways before Anthropic)
//   cut       a length ended it              length; max_tokens, max_output_tokens, max_length and
//                                            model_context_window_exceeded (gateways, z.ai), model_length (Mistral),
//                                            repetition (vLLM)
//   filtered  somebody would not have it     content_filter, content_filtered, refusal, sensitive (z.ai),
//                                            guardrail_intervened (Bedrock), and Gemini's names
//   tool      a call of a tool instead       tool_calls, tool_call, tool_use, function_call
//   broken    everything else                error, abort, network_error, insufficient_system_resource, unknown names,
//                                            none at all: how much of the reply is missing is not known
//
// In any case of letters, with `-` for `_`; a filter's name may go on behind a colon ("content_filter: SAFETY").
// Header-only, no torch.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>

#include "vlmprobe/text/detail/ascii.h"

namespace vlmprobe::models {

enum class Finish : std::uint8_t { whole, cut, filtered, tool, broken };

namespace detail {

struct FinishName {
  std::string_view name;
  Finish finish;
};

inline constexpr auto kFinishNames = std::to_array<FinishName>({
    {"stop", Finish::whole},
    {"eos", Finish::whole},
    {"eos_token", Finish::whole},
    {"stop_sequence", Finish::whole},
    {"end_turn", Finish::whole},
    {"length", Finish::cut},
    {"max_tokens", Finish::cut},
    {"max_output_tokens", Finish::cut},
    {"max_length", Finish::cut},
    {"model_length", Finish::cut},
    {"model_context_window_exceeded", Finish::cut},
    {"repetition", Finish::cut},
    {"content_filter", Finish::filtered},
    {"content_filtered", Finish::filtered},
    {"refusal", Finish::filtered},
    {"sensitive", Finish::filtered},
    {"guardrail_intervened", Finish::filtered},
    {"safety", Finish::filtered},
    {"image_safety", Finish::filtered},
    {"image_prohibited_content", Finish::filtered},
    {"image_recitation", Finish::filtered},
    {"model_armor", Finish::filtered},
    {"recitation", Finish::filtered},
    {"blocklist", Finish::filtered},
    {"prohibited_content", Finish::filtered},
    {"spii", Finish::filtered},
    {"tool_calls", Finish::tool},
    {"tool_call", Finish::tool},
    {"tool_use", Finish::tool},
    {"function_call", Finish::tool},
});

}  // namespace detail

inline Finish finish_of(std::string_view reason) {
  const auto same = [](char given, char known) { return text::lower(given == '-' ? '_' : given) == known; };
  const std::string_view head = reason.substr(0, reason.find(':'));
  for (const auto& [name, finish] : detail::kFinishNames)
    if (std::equal(head.begin(), head.end(), name.begin(), name.end(), same) &&
        (head.size() == reason.size() || finish == Finish::filtered))
      return finish;
  return Finish::broken;
}

}  // namespace vlmprobe::models
