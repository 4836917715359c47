#include "vlmprobe/models/scripted_model.h"

#include <sstream>
#include <utility>

namespace vlmprobe::models {
namespace {

std::int64_t words(const std::string& text) {
  std::istringstream stream(text);
  std::string word;
  std::int64_t count = 0;
  while (stream >> word) ++count;
  return count;
}

}  // namespace

ScriptedModel::ScriptedModel(std::map<std::string, std::string, std::less<>> replies, std::string identity)
    : replies_(std::move(replies)), identity_(std::move(identity)) {}

std::vector<Reply> ScriptedModel::reply(std::span<const Request> requests) {
  std::vector<Reply> replies;
  for (const Request& request : requests) {
    Reply& out = replies.emplace_back();
    out.attempts = 1;
    for (const Message& message : request.messages) out.usage.prompt_tokens += words(message.text);
    const auto found = request.messages.empty() ? replies_.end() : replies_.find(request.messages.back().text);
    if (found == replies_.end()) {
      out.status = Status::rejected, out.error = "not in the script";
      continue;
    }
    out.usage.completion_tokens = words(found->second), out.finish_reason = "stop";
    if (out.usage.completion_tokens == 0) {
      out.status = Status::empty;
      continue;
    }
    out.status = Status::ok, out.text = found->second;
  }
  return replies;
}

}  // namespace vlmprobe::models
