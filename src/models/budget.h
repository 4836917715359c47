// Budgets that are never exceeded by what is sent: what is in flight is counted in advance.
#pragma once

#include <algorithm>
#include <cstdint>

#include "vlmprobe/models/chat_client.h"

namespace vlmprobe::models {

class Budget {
 public:
  struct Held {  // of one attempt in flight
    std::int64_t prompt_tokens = 0, completion_tokens = 0;
  };

  explicit Budget(const ChatOptions& options) : options_(options) {}

  // What an attempt may use: its whole max_tokens, and of the prompt the most that was seen so far, or a guess on the
  // safe side from its bytes (a token has at least one) and images.
  Held needed(const Request& request) const {
    std::int64_t guess = 0;
    for (const Message& message : request.messages)
      guess += static_cast<std::int64_t>(message.text.size() + 1000 * message.images.size());
    return {std::max(guess, greatest_prompt_), request.sampling.max_tokens};
  }
  bool allows(const Held& held) const {
    const std::int64_t prompt = spent_.prompt_tokens + held_.prompt_tokens + held.prompt_tokens;
    const std::int64_t completion = spent_.completion_tokens + held_.completion_tokens + held.completion_tokens;
    return (options_.max_calls == 0 || spent_.calls + calls_held_ < options_.max_calls) &&
           (options_.max_tokens == 0 || prompt + completion <= options_.max_tokens) &&
           (options_.max_cost == 0 || cost(prompt, completion) <= options_.max_cost);
  }
  bool idle() const { return calls_held_ == 0; }

  void hold(const Held& held) { add(held, 1); }
  // The attempt is over. `charged`: the server may have worked on it.
  void release(const Held& held, bool charged, const Usage& usage) {
    add(held, -1);
    spent_.calls += charged;
    spent_.prompt_tokens += usage.prompt_tokens, spent_.completion_tokens += usage.completion_tokens;
    spent_.cost = cost(spent_.prompt_tokens, spent_.completion_tokens);
    greatest_prompt_ = std::max(greatest_prompt_, usage.prompt_tokens);
  }
  const Spent& spent() const { return spent_; }

 private:
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
  Held held_;
  std::int64_t calls_held_ = 0, greatest_prompt_ = 0;
};

}  // namespace vlmprobe::models
