#include "vlmprobe/models/chat_client.h"

#include <algorithm>
#include <cmath>

#include "chat_body.h"
#include "extra.h"
#include "transfers.h"
#include "vlmprobe/core/error.h"
#include "worker.h"

namespace vlmprobe::models {
namespace {

constexpr auto kOp = "models::ChatClient";

bool is_visible(char character) {
  return character > ' ' && character <= '~';
}

// The place of the first character that is not visible ASCII; npos: none.
std::size_t invisible(std::string_view text) {
  const auto found = std::find_if_not(text.begin(), text.end(), is_visible);
  return found == text.end() ? text.npos : static_cast<std::size_t>(found - text.begin());
}

// A scheme and a host may be shown, more of a URL may not.
std::string shown(const std::string& url) {
  const std::size_t scheme = url.find("://");
  const bool plain = scheme != url.npos && url.find_first_of("@?#%/", scheme + 3) == url.npos;
  return plain && invisible(url) == url.npos ? "'" + url + "'" : "another";
}

void check_proxy(const std::string& proxy) {
  const bool has_scheme = proxy.find("://") != proxy.npos;
  const std::string trouble = trouble_with_url((has_scheme ? "" : "http://") + proxy);
  expect(proxy.empty() || (invisible(proxy) == proxy.npos && trouble.empty()), kOp,
         "proxy: expected a URL such as http://host:port, got one that is none{}",
         trouble.empty() ? "" : ": " + trouble);
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
  at_least("unreachable_s", options.unreachable_s, 0);
  check_proxy(options.proxy);
  check_extra(options);
}

}  // namespace

// Nothing of the URL or the key is repeated: what should have been in the other may be in either.
void check_endpoint(const Endpoint& endpoint) {
  const std::string& url = endpoint.url;
  expect(url.starts_with("http://") || url.starts_with("https://"), kOp, "url: expected http:// or https://, got {}",
         shown(url));
  expect(url.find_first_of("@?#") == url.npos, kOp,
         "url: expected no password, query or fragment in it; keys have a field of their own");
  expect(invisible(url) == url.npos && url.find('\\') == url.npos, kOp,
         "url: expected visible ASCII without backslashes, got another character at place {}",
         std::min(invisible(url), url.find('\\')));
  expect(url.find('/', url.find("://") + 3) != url.find("://") + 3, kOp, "url: expected a host, got none");
  const std::string trouble = trouble_with_url(url);
  expect(trouble.empty(), kOp, "url: expected http://host:port/path, got one that is malformed: {}", trouble);
  expect(invisible(endpoint.key) == endpoint.key.npos, kOp,
         "key: expected visible ASCII, got another character at place {}", invisible(endpoint.key));
}

ChatClient::ChatClient(std::vector<Endpoint> endpoints, ChatOptions options) {
  check(endpoints, options);
  worker_ = std::make_unique<Worker>(std::move(endpoints), std::move(options));
}

// A forked child has neither the thread nor connections of its own: what the parent has there is left alone.
ChatClient::~ChatClient() {
  if (!worker_->is_here()) static_cast<void>(worker_.release());
}

ChatClient::Worker& ChatClient::here() const {
  expect_state(worker_->is_here(), kOp, "it was made in another process: a forked process makes a client of its own");
  return *worker_;
}

std::string ChatClient::identity() const {
  const ChatOptions& options = worker_->options();
  return options.revision.empty() ? options.model : options.model + "@" + options.revision;
}

std::vector<Reply> ChatClient::reply(std::span<const Request> requests) {
  return reply(requests, Waiting{});
}

std::vector<Reply> ChatClient::reply(std::span<const Request> requests, const Waiting& waiting) {
  for (std::size_t i = 0; i < requests.size(); ++i) check_request(requests[i], i);
  return here().reply(requests, waiting);
}

Spent ChatClient::spent() const {
  return here().spent();
}

std::vector<ClientEvent> ChatClient::take_events() {
  return here().take_events();
}

}  // namespace vlmprobe::models
