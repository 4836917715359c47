// A client of the OpenAI chat-completions protocol (vLLM, SGLang, llama.cpp, Ollama, transformers serve, vendors).
//
// Every request ends in one reply: the right one, or a typed failure. Several batches may be in flight, from several
// threads; one thread of the client's own serves them all.
//
//   routing      among the endpoints of one model: healthy ones first, then the least loaded for its limit; one that
//                fails gets a request now and then to find out. What one server refuses another may have at once
//   concurrency  a limit per endpoint: starts at `first_limit`, doubles while every request of a window succeeds, times
//                0.8 once per episode of 429; 5xx and broken connections stop growth for a while
//   answers      only what is known to be one: 200 or 201, no error inside or beside the choices, a finish reason that
//                finish.h calls whole, a message of the assistant of text alone, thinking that has its end
//   connections  are kept, and used again after silence that follows a 200 which was read to its end: as long as that
//                took and a quarter of a second; after anything else, or with anything to be read, they are closed. A
//                reply that begins before the server has the whole request is not that request's. A server that is
//                caught sending what nobody asked for (`unasked`) gets a connection for each request from then on
//   attempts     connection errors, 408, 409, 425, 429, 499, 5xx, cut, oversized or unreadable bodies, errors inside a
//                body and endings that finish.h calls broken are tried again after a pause that doubles; 429 and a
//                server that cannot be reached cost no attempt, only time; 3xx and the other 4xx are not tried again,
//                nor is 429 without credit
//   pauses       Retry-After is honoured up to a minute: it pauses its server, not the requests that others can serve
//   deadlines    per attempt, and per request from its first attempt on, or while no server takes any; at the end the
//                status is `timeout`. Where no endpoint was ever reached for `unreachable_s`, requests end as
//                `transport` with the connection's words; one that was reached is waited for until the deadline
//   identical    requests that are equal in everything but `id` are sent once while one of them is in flight
//   images       are encoded as base64 once each, and held up to `max_image_bytes`
//   budgets      hard: what might exceed one is not sent. Calls count attempts that a server may have charged for.
//                Tokens and cost count usage. What an attempt may use is held back while it is in flight: its prompt's
//                bytes, 1000 for each image and 64 for a template, and all that its body allows, which is the greatest
//                length in it, `extra` included, times its completions. Without a count, or with one that cannot be,
//                what was held is charged; so it is for an attempt that had no reply but may have been worked on (a
//                time-out, a cut body, 502, 504, unknown statuses), while 4xx, 500, 501, 503 and 529 cost no tokens.
//                The first attempt goes alone where tokens are counted, and what a server uses beyond a guess is held
//                for the next: a budget is exceeded only by what a server uses for the first time beyond its limits
//   bodies       JSON is asked for. Also read: gzip, deflate and what else libcurl decodes (its size counts decoded),
//                a byte order mark, UTF-16, a stream of events that is whole. Another encoding is `rejected` at once
//
// Keys: sent to their endpoint only (no redirect is followed), and cut out of all that a server says before anything of
// it is shortened or kept; of texts and thinking those of 8 characters and more. The thinking is split from the answer:
// `reasoning` or `reasoning_content` of the message, its parts of that type, or what text/thinking.h finds. An HTTP
// error keeps the server's words.
// Throws InvalidArgument for options and requests outside what is said here; InvalidState in a build without libcurl,
// and in a process that was forked from the client's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "vlmprobe/models/model.h"

namespace vlmprobe::models {

struct Endpoint {
  std::string url;       // up to and with the version: http://127.0.0.1:8000/v1; no password, query or fragment
  std::string key = {};  // bearer key, visible ASCII; empty: none
};

// Throws InvalidArgument for a URL or a key that no request can be sent with, as the client itself does: nothing of
// either is in the message. In a build without libcurl a URL's parts are not looked at.
void check_endpoint(const Endpoint& endpoint);

struct ChatOptions {
  std::string model;               // as the server names it
  std::string revision = {};       // of the weights, for `identity`
  double attempt_timeout_s = 120;  // > 0
  double deadline_s = 600;         // > 0, of a request with all its attempts
  double unreachable_s = 10;       // at least 0; how long endpoints are tried of which none was ever reached
  double batch_deadline_s = 0;     // of a whole batch, from the call on; 0: none
  std::int64_t max_attempts = 6;   // at least 1
  double first_pause_s = 0.5;      // > 0; doubles up to 30 s
  std::int64_t first_limit = 20;   // at least 1; requests in flight per endpoint
  std::int64_t max_limit = 512;    // at least first_limit
  std::int64_t max_response_bytes = 8 << 20;
  std::int64_t max_image_bytes = 256 << 20;       // of encoded images that are kept
  std::int64_t max_calls = 0, max_tokens = 0;     // budgets; 0: none
  double max_cost = 0;                            // in the prices' unit; 0: none
  double prompt_price = 0, completion_price = 0;  // per million tokens
  bool schema = true;                             // send the requests' schemas as response_format
  // A JSON object merged into each body: neither messages, model nor stream; with a budget of tokens or cost, a length
  // where it takes the request's own away.
  std::string extra = {};
  std::string proxy = {};  // empty: none, whatever the environment says
};

struct Spent {  // what budgets were charged
  std::int64_t calls = 0, prompt_tokens = 0, completion_tokens = 0;
  double cost = 0;
};

// Something that changed an endpoint's concurrency or health.
struct ClientEvent {
  double time_s = 0;     // since the client was made
  std::string endpoint;  // its URL
  std::string kind;      // grew, throttled, failing, healthy, unasked (it sent what nobody had asked for)
  std::int64_t limit = 0, in_flight = 0;
  std::string detail;
};

// What whoever waits for a batch hears of; called on the waiting thread. What either throws cancels the batch.
struct Waiting {
  std::function<void()> meanwhile = {};  // every 50 ms
  // Places of the batch whose replies have come, each told once, at most 50 ms after it came.
  std::function<void(std::span<const std::size_t> places, std::span<const Reply> replies)> arrived = {};
};

bool has_chat_client();  // whether this build has libcurl

class ChatClient : public Model {
 public:
  ChatClient(std::vector<Endpoint> endpoints, ChatOptions options);
  ~ChatClient() override;  // ends what is in flight
  ChatClient(const ChatClient&) = delete;
  ChatClient& operator=(const ChatClient&) = delete;

  std::string identity() const override;
  std::vector<Reply> reply(std::span<const Request> requests) override;
  std::vector<Reply> reply(std::span<const Request> requests, const Waiting& waiting);

  Spent spent() const;
  std::vector<ClientEvent> take_events();  // those since the last call, in order; at most 100000 are held

 private:
  class Worker;
  Worker& here() const;
  std::unique_ptr<Worker> worker_;
};

}  // namespace vlmprobe::models
