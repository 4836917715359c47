// The fields that a user adds to each body, and how long replies may become with them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>

#include "vlmprobe/models/chat_client.h"

namespace vlmprobe::models {

inline constexpr std::int64_t kMostTokens = 1'000'000'000'000;  // any count beyond it is this one

// Completion tokens that the merged body allows: the greatest length in it, with the thinking that is counted apart,
// times the completions that it asks for.
struct Lengths {
  bool own = true;            // the request's max_tokens is in the body
  bool endless = false;       // nothing limits a reply
  std::int64_t greatest = 0;  // of the lengths in `extra`, inner objects included
  std::int64_t thinking = 0;
  double completions = 1;

  std::int64_t of(std::int64_t max_tokens) const {
    const std::int64_t length = own || greatest == 0 ? std::max(std::min(max_tokens, kMostTokens), greatest) : greatest;
    return static_cast<std::int64_t>(
        std::min(static_cast<double>(length + thinking) * completions, static_cast<double>(kMostTokens)));
  }
};

// Throw InvalidArgument for what is no JSON object, holds messages, model or stream, or has a field of the protocol
// with a value of another type; `check_extra` also for a budget of tokens or cost where nothing limits a reply.
Lengths lengths_of(const std::string& extra);
void check_extra(const ChatOptions& options);

}  // namespace vlmprobe::models
