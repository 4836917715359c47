#include "vlmprobe/models/chat_client.h"

#include <cmath>

#include "chat_body.h"
#include "extra.h"
#include "vlmprobe/core/error.h"
#include "worker.h"

namespace vlmprobe::models {
namespace {

constexpr auto kOp = "models::ChatClient";

void check_endpoint(const Endpoint& endpoint) {
  const std::string& url = endpoint.url;
  expect(url.starts_with("http://") || url.starts_with("https://"), kOp, "url: expected http:// or https://, got '{}'",
         url);
  expect(url.find('@') == url.npos && url.find_first_of(" \r\n?#") == url.npos, kOp,
         "url: expected no password, query or blank in it; keys have a field of their own");
  expect(endpoint.key.find_first_of("\r\n") == endpoint.key.npos, kOp, "key: expected one line");
}

void check(const std::vector<Endpoint>& endpoints, const ChatOptions& options) {
  expect(!endpoints.empty(), kOp, "endpoints: expected at least one, got none");
  for (const Endpoint& endpoint : endpoints) check_endpoint(endpoint);
  expect(!options.model.empty(), kOp, "model: expected the name that the server knows, got none");
  const auto positive = [](const char* name, double value) {
    expect(std::isfinite(value) && value > 0, kOp, "{}: expected more than 0, got {}", name, value);
  };
  positive("attempt_timeout_s", options.attempt_timeout_s), positive("deadline_s", options.deadline_s);
  positive("first_pause_s", options.first_pause_s);
  const auto at_least = [](const char* name, double value, double least) {
    expect(std::isfinite(value) && value >= least, kOp, "{}: expected at least {}, got {}", name, least, value);
  };
  at_least("batch_deadline_s", options.batch_deadline_s, 0);
  at_least("max_attempts", static_cast<double>(options.max_attempts), 1);
  at_least("first_limit", static_cast<double>(options.first_limit), 1);
  at_least("max_limit", static_cast<double>(options.max_limit), static_cast<double>(options.first_limit));
  at_least("max_response_bytes", static_cast<double>(options.max_response_bytes), 1);
  at_least("max_image_bytes", static_cast<double>(options.max_image_bytes), 0);
  at_least("max_calls", static_cast<double>(options.max_calls), 0);
  at_least("max_tokens", static_cast<double>(options.max_tokens), 0);
  at_least("max_cost", options.max_cost, 0);
  at_least("prompt_price", options.prompt_price, 0), at_least("completion_price", options.completion_price, 0);
  expect(options.max_cost == 0 || options.prompt_price + options.completion_price > 0, kOp,
         "max_cost: expected prices with it, got none");
  check_extra(options);
}

}  // namespace

ChatClient::ChatClient(std::vector<Endpoint> endpoints, ChatOptions options) {
  check(endpoints, options);
  worker_ = std::make_unique<Worker>(std::move(endpoints), std::move(options));
}

ChatClient::~ChatClient() = default;

std::string ChatClient::identity() const {
  const ChatOptions& options = worker_->options();
  return options.revision.empty() ? options.model : options.model + "@" + options.revision;
}

std::vector<Reply> ChatClient::reply(std::span<const Request> requests) {
  return reply(requests, Waiting{});
}

std::vector<Reply> ChatClient::reply(std::span<const Request> requests, const Waiting& waiting) {
  for (std::size_t i = 0; i < requests.size(); ++i) check_request(requests[i], i);
  return worker_->reply(requests, waiting);
}

Spent ChatClient::spent() const {
  return worker_->spent();
}

std::vector<ClientEvent> ChatClient::take_events() {
  return worker_->take_events();
}

}  // namespace vlmprobe::models
