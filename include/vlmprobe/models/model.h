// A model that is asked by message: a batch of requests in, a batch of replies out, in the same order. ChatClient (a
// server), ScriptedModel (a table) and any Python object with `identity` and `reply` are models.
//
//   Request   messages with images, how to sample, an optional JSON schema of the reply
//   Reply     status, text after the thinking, the thinking, usage, latency, attempts
//
// What fails is a reply with a status, never an exception and never an empty text that could pass for an answer: only
// `ok` says anything about the model. Exceptions mean that the whole batch could not be served. A model may be called
// from several threads unless its own header says otherwise. Header-only, no torch.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "vlmprobe/core/error.h"
#include "vlmprobe/core/sha256.h"

namespace vlmprobe::models {

// An image as it is sent. Shared: the requests about one image hold it once. What it is cannot be changed or claimed:
// the hash is computed from the bytes, and two images are the same when their bytes are.
struct EncodedImage {
  explicit EncodedImage(std::string bytes, std::string type = "image/png")
      : data(std::move(bytes)), media_type(std::move(type)), sha256(vlmprobe::sha256(data)) {}

  const std::string data;        // PNG or JPEG
  const std::string media_type;  // as in a data: URL
  const std::string sha256;      // of the data, 64 hexadecimal digits
};

struct Message {
  std::string role;                                              // system, user or assistant
  std::string text;                                              // UTF-8; ill-formed bytes are sent as U+FFFD
  std::vector<std::shared_ptr<const EncodedImage>> images = {};  // shown before the text
};

struct Sampling {
  double temperature = 0;         // at least 0; 0 is greedy
  double top_p = 1;               // (0, 1]
  std::int64_t max_tokens = 512;  // at least 1; of the reply, thinking included
  std::optional<std::int64_t> seed = {};
};

struct Request {
  std::vector<Message> messages;
  Sampling sampling = {};
  std::string schema = {};  // JSON schema of the reply's text, for servers that support one; empty: free text
  std::string id = {};      // a name in logs; changes nothing else
  std::int64_t vote = 0;    // equal requests with different votes are asked apart
};

enum class Status : std::uint8_t {
  ok,
  timeout,    // no whole reply before the deadline
  transport,  // connection, 408, 409, 429, 5xx, or a body that is no whole reply, after all attempts
  rejected,   // 400, 401, 403, 404, 413, 422 and the like, or no credit: the same request would fail again
  refusal,    // the model declined, or a filter did
  empty,      // a reply without text: nothing, thinking alone, or a call of a tool
  truncated,  // a length ended it first: of the reply, or of the model's context
  budget,     // not sent: a budget of calls, tokens or cost is spent
};
inline constexpr std::array<std::string_view, 8> kStatusNames = {"ok",      "timeout", "transport", "rejected",
                                                                 "refusal", "empty",   "truncated", "budget"};
inline std::string_view name(Status status) {
  return kStatusNames[static_cast<std::size_t>(status)];
}

// Throws InvalidArgument for a name that is none.
inline Status status_of(std::string_view wanted) {
  for (std::size_t i = 0; i < kStatusNames.size(); ++i)
    if (kStatusNames[i] == wanted) return static_cast<Status>(i);
  expect(false, "models::Status",
         "status: expected ok, timeout, transport, rejected, refusal, empty, truncated or budget, got '{}'", wanted);
  return {};
}

struct Usage {
  // As the server counts them; 0 where it does not say, or says what cannot be.
  std::int64_t prompt_tokens = 0, completion_tokens = 0;
};

// What budgets were charged for a request, all its attempts together: usage as the server counts it, or what was held
// back for the attempt where it does not say.
struct Charge {
  std::int64_t calls = 0, prompt_tokens = 0, completion_tokens = 0;
};

struct Reply {
  Status status = Status::transport;
  std::string text = {};           // the answer; empty unless the status is ok or truncated
  std::string reasoning = {};      // the thinking, where the model shows it
  std::string finish_reason = {};  // as the server says it: stop, length, ...
  Usage usage = {};
  double latency_s = 0;  // of the attempt that succeeded, or of the last one
  std::int64_t attempts = 0;
  std::string endpoint = {};  // where it came from
  std::string error = {};     // what went wrong, without secrets; of a refusal "HTTP <status>: <the server's words>"
  Charge charged = {};
};

// Throws InvalidArgument when a model gave another number of replies than it had requests.
inline void check_replies(std::size_t requests, std::size_t replies) {
  expect(replies == requests, "models::reply", "replies: expected {}, one for each request, got {}", requests, replies);
}

class Model {
 public:
  virtual ~Model() = default;
  virtual std::string identity() const = 0;  // model and revision, the same text in every run
  virtual std::vector<Reply> reply(std::span<const Request> requests) = 0;
};

}  // namespace vlmprobe::models
