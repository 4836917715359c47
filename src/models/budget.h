// Budgets that are never exceeded by what is sent: what is in flight is counted in advance, and what a server may have
// used without saying so is charged as it was counted.
#pragma once

#include <algorithm>
#include <cstdint>

#include "vlmprobe/models/chat_client.h"

namespace vlmprobe::models {

// What a server did for an attempt: nothing; an error of its own, a call without tokens; or it may have worked.
enum class Served : std::uint8_t { no, failed, worked };

class Budget {
 public:
  struct Held {  // of one attempt in flight
    std::int64_t prompt_tokens = 0, completion_tokens = 0;
    Usage guessed = {};           // of them: without what servers were seen to use beyond
    std::int64_t text_bytes = 0;  // of the prompt
  };

  explicit Budget(const ChatOptions& options) : options_(options) {}

  // What an attempt may use. Of the prompt a guess on the safe side, from its bytes (a token has at least one) and
  // images, and what a chat template may add; of the completion all that its body allows (`length`). Both grow by the
  // most that a server was seen to use beyond such a guess.
  Held needed(const Request& request, std::int64_t length) const {
    Held held;
    for (const Message& message : request.messages) {
      held.text_bytes += static_cast<std::int64_t>(message.text.size());
      held.guessed.prompt_tokens += 1000 * static_cast<std::int64_t>(message.images.size());
    }
    held.guessed.prompt_tokens += held.text_bytes, held.guessed.completion_tokens = length;
    held.prompt_tokens = held.guessed.prompt_tokens + std::max(template_, beyond_.prompt_tokens);
    held.completion_tokens = length + beyond_.completion_tokens;
    return held;
  }
  // The first attempt goes alone where tokens are counted: only its usage tells how a server counts.
  bool allows(const Held& held) const {
    const bool counts_tokens = options_.max_tokens > 0 || options_.max_cost > 0;
    if (counts_tokens && !heard_ && calls_held_ > 0) return false;
    const std::int64_t prompt = spent_.prompt_tokens + held_.prompt_tokens + held.prompt_tokens;
    const std::int64_t completion = spent_.completion_tokens + held_.completion_tokens + held.completion_tokens;
    return (options_.max_calls == 0 || spent_.calls + calls_held_ < options_.max_calls) &&
           (options_.max_tokens == 0 || prompt + completion <= options_.max_tokens) &&
           (options_.max_cost == 0 || cost(prompt, completion) <= options_.max_cost);
  }
  bool idle() const { return calls_held_ == 0; }

  void hold(const Held& held) { add(held, 1); }
  // The attempt is over; what it is charged. A count that the server does not give, or that cannot be, is charged as it
  // was held; one beyond that is charged as it is.
  Charge release(const Held& held, Served served, const Usage& said = {}) {
    add(held, -1);
    Charge charge{served == Served::no ? 0 : 1};
    if (served == Served::worked) {
      const bool counted = said.prompt_tokens * kMostBytesPerToken >= std::max<std::int64_t>(1, held.text_bytes);
      charge.prompt_tokens = counted ? said.prompt_tokens : held.prompt_tokens;
      charge.completion_tokens = said.completion_tokens > 0 ? said.completion_tokens : held.completion_tokens;
      if (counted) template_ = std::min(template_, said.prompt_tokens);
      const auto learn = [](std::int64_t& beyond, std::int64_t used, std::int64_t guessed) {
        beyond = std::max(beyond, used - guessed);
      };
      learn(beyond_.prompt_tokens, said.prompt_tokens, held.guessed.prompt_tokens);
      learn(beyond_.completion_tokens, said.completion_tokens, held.guessed.completion_tokens);
      heard_ = true;
    }
    spent_.calls += charge.calls;
    spent_.prompt_tokens += charge.prompt_tokens, spent_.completion_tokens += charge.completion_tokens;
    spent_.cost = cost(spent_.prompt_tokens, spent_.completion_tokens);
    return charge;
  }
  const Spent& spent() const { return spent_; }

 private:
  static constexpr std::int64_t kMostBytesPerToken = 32;

  void add(const Held& held, std::int64_t sign) {
    held_.prompt_tokens += sign * held.prompt_tokens, held_.completion_tokens += sign * held.completion_tokens;
    calls_held_ += sign;
  }
  double cost(std::int64_t prompt, std::int64_t completion) const {
    return (static_cast<double>(prompt) * options_.prompt_price +
            static_cast<double>(completion) * options_.completion_price) /
           1e6;
  }

  const ChatOptions& options_;
  Spent spent_;
  Usage held_, beyond_;
  std::int64_t calls_held_ = 0, template_ = 64;
  bool heard_ = false;  // of an attempt on which a server may have worked
};

}  // namespace vlmprobe::models
