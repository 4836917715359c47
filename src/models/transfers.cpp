#include "transfers.h"

#ifdef VLMPROBE_WITH_CURL
#include "connections.h"
#endif

#include <algorithm>
#include <cctype>
#include <cmath>
#include <ctime>
#include <list>
#include <map>
#include <string_view>
#include <utility>

#include "retry.h"
#include "vlmprobe/core/error.h"

namespace vlmprobe::models {

#ifndef VLMPROBE_WITH_CURL

bool has_transfers() {
  return false;
}
struct Transfers::Curl {};
std::string trouble_with_url(const std::string&) {
  return {};
}
Transfers::Transfers(std::string) {
  expect_state(
      false, "models::ChatClient",
      "this build has no libcurl: install it (Debian, Ubuntu: apt-get install libcurl4-openssl-dev) and build again");
}
Transfers::~Transfers() = default;
std::uint64_t Transfers::start(Post) {
  return 0;
}
std::vector<std::pair<std::uint64_t, Posted>> Transfers::perform() {
  return {};
}
void Transfers::wait(double) {}
void Transfers::wake() {}

#else

namespace {

struct Transfer {
  std::uint64_t number = 0;
  Post post;
  Posted posted = {};
  CURL* easy = nullptr;
  std::unique_ptr<Connection> connection = {};
  int heads = 0;       // status lines so far, those of 1xx included
  bool ready = false;  // connected: the request is being sent
  bool oversized = false;
  const char* fault = nullptr;  // of the server, for which the transfer is ended
  bool stale = false;           // and which may be about an earlier request on the connection
  std::list<std::unique_ptr<Transfer>>::iterator place = {};
  char error[CURL_ERROR_SIZE] = {};

  // libcurl may have replaced a connection that was closed meanwhile.
  bool used() const {
    long made = 0;
    curl_easy_getinfo(easy, CURLINFO_NUM_CONNECTS, &made);
    return connection->used() && made == 0;
  }
  bool sent() const {
    curl_off_t bytes = 0;
    curl_easy_getinfo(easy, CURLINFO_SIZE_UPLOAD_T, &bytes);
    return static_cast<std::size_t>(bytes) >= post.body.size() && (!used() || connection->delivered());
  }
};

std::size_t on_body(char* bytes, std::size_t, std::size_t count, void* transfer) {
  auto& self = *static_cast<Transfer*>(transfer);
  self.oversized = static_cast<std::int64_t>(self.posted.body.size() + count) > self.post.most_bytes;
  if (self.oversized) return 0;
  self.posted.body.append(bytes, count);
  return count;
}

// The last moment before the request is sent. A second time: a connection that had served before was closed, and
// libcurl would send on another one what the server may have had already.
int on_ready(void* transfer, char*, char*, int, int) {
  auto& self = *static_cast<Transfer*>(transfer);
  if (std::exchange(self.ready, true)) self.fault = "the connection was closed before a reply";
  if (self.used() && !self.connection->silent()) self.fault = "the server sent what nobody had asked for";
  self.stale = self.fault != nullptr;
  return self.stale ? CURL_PREREQFUNC_ABORT : CURL_PREREQFUNC_OK;
}

bool starts_with(std::string_view line, std::string_view lower) {
  const auto same = [](char known, char c) { return std::tolower(static_cast<unsigned char>(c)) == known; };
  return line.size() >= lower.size() && std::equal(lower.begin(), lower.end(), line.begin(), same);
}

// A line of the head. 0 ends the transfer.
std::size_t on_header(char* bytes, std::size_t, std::size_t count, void* transfer) {
  constexpr std::string_view kRetryAfter = "retry-after:";
  auto& self = *static_cast<Transfer*>(transfer);
  const std::string_view line(bytes, count);
  if (line.starts_with("HTTP/")) {
    ++self.heads, self.posted.retry_after = 0;
    const std::size_t blank = std::min(line.find(' '), line.size() - 1);
    self.stale = self.used() && !self.sent();
    if (self.stale || (line[blank + 1] == '2' && !self.sent()))
      return self.fault = "the server answered before it had the request", 0;
  } else if (starts_with(line, kRetryAfter)) {
    const std::string value(line.substr(kRetryAfter.size()));
    const std::time_t date = curl_getdate(value.c_str(), nullptr);
    self.posted.retry_after = retry_after_s(value, date < 0 ? 0 : std::difftime(date, std::time(nullptr)));
  }
  return count;
}

Posted::End end_of(const Transfer& transfer, CURLcode code) {
  using End = Posted::End;
  if (transfer.fault != nullptr) return transfer.stale ? End::stale : End::broken;
  if (transfer.oversized) return End::oversized;
  switch (code) {
    case CURLE_OK:
      return End::answered;
    case CURLE_BAD_CONTENT_ENCODING:  // the status says enough where it is an error's
      return transfer.posted.http >= 300 ? End::answered : End::encoded;
    case CURLE_COULDNT_CONNECT:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
      return End::unreachable;
    case CURLE_OPERATION_TIMEDOUT:
      return transfer.ready ? End::timed_out : End::unreachable;
    default:
      return End::broken;
  }
}

std::string error_of(const Transfer& transfer, CURLcode code) {
  if (transfer.fault != nullptr) return transfer.fault;
  if (transfer.oversized) return "the body has more than " + std::to_string(transfer.post.most_bytes) + " bytes";
  if (code == CURLE_OK) return {};
  return transfer.error[0] != 0 ? transfer.error : curl_easy_strerror(code);
}

}  // namespace

bool has_transfers() {
  return true;
}

std::string trouble_with_url(const std::string& url) {
  const std::unique_ptr<CURLU, decltype(&curl_url_cleanup)> parsed(curl_url(), &curl_url_cleanup);
  const CURLUcode code = curl_url_set(parsed.get(), CURLUPART_URL, url.c_str(), 0);
  if (code != CURLUE_OK) return curl_url_strerror(code);
  char* port = nullptr;
  curl_url_get(parsed.get(), CURLUPART_PORT, &port, CURLU_DEFAULT_PORT);
  const std::unique_ptr<char, decltype(&curl_free)> held(port, &curl_free);
  return port != nullptr && std::string_view(port) == "0" ? "Port number 0" : "";
}

struct Transfers::Curl {
  std::string proxy;
  CURLM* multi = nullptr;
  Connections connections;
  std::vector<CURL*> idle;                                  // handles that can be used again
  std::map<std::string, curl_slist*, std::less<>> headers;  // by key
  std::list<std::unique_ptr<Transfer>> transfers;
  std::uint64_t started = 0;

  CURL* handle() {
    if (idle.empty()) {
      CURL* const made = curl_easy_init();
      expect_state(made != nullptr, "models::ChatClient", "libcurl has no more memory");
      return made;
    }
    CURL* const easy = idle.back();
    idle.pop_back();
    curl_easy_reset(easy);
    return easy;
  }
  // `well`: whatever the server says next on its connection, it belongs to no request so far.
  void end(Transfer& transfer, bool well) {
    const bool kept = well && transfer.connection->rest(transfer.easy);
    curl_multi_remove_handle(multi, transfer.easy);
    curl_easy_setopt(transfer.easy, CURLOPT_SHARE, nullptr);
    idle.push_back(transfer.easy);
    if (kept) connections.keep(transfer.post.url, std::move(transfer.connection));
  }
  curl_slist* headers_for(const std::string& key) {
    curl_slist*& list = headers[key];
    if (list == nullptr) {
      list = curl_slist_append(list, "Content-Type: application/json");
      list = curl_slist_append(list, "Accept-Encoding: identity");  // what comes encoded all the same is decoded
      list = curl_slist_append(list, "Expect:");
      if (!key.empty()) list = curl_slist_append(list, ("Authorization: Bearer " + key).c_str());
    }
    return list;
  }
};

Transfers::Transfers(std::string proxy) : curl_(std::make_unique<Curl>()) {
  static const CURLcode kReady = curl_global_init(CURL_GLOBAL_DEFAULT);
  curl_->proxy = std::move(proxy);
  curl_->multi = kReady == CURLE_OK ? curl_multi_init() : nullptr;
  expect_state(curl_->multi != nullptr, "models::ChatClient", "libcurl cannot be started");
  curl_multi_setopt(curl_->multi, CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
}

Transfers::~Transfers() {
  for (const auto& transfer : curl_->transfers) curl_->end(*transfer, false);
  curl_->transfers.clear();
  for (CURL* easy : curl_->idle) curl_easy_cleanup(easy);
  for (const auto& [key, list] : curl_->headers) curl_slist_free_all(list);
  curl_multi_cleanup(curl_->multi);
}

std::uint64_t Transfers::start(Post post) {
  auto transfer = std::make_unique<Transfer>();
  transfer->number = curl_->started++;
  transfer->post = std::move(post);
  CURL* const easy = transfer->easy = curl_->handle();
  const Post& sent = transfer->post;
  transfer->connection = curl_->connections.take(sent.url, transfer->posted.unasked);
  curl_easy_setopt(easy, CURLOPT_SHARE, transfer->connection->pool());
  curl_easy_setopt(easy, CURLOPT_URL, sent.url.c_str());
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, curl_->headers_for(sent.key));
  curl_easy_setopt(easy, CURLOPT_POSTFIELDS, sent.body.data());
  curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(sent.body.size()));
  curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(easy, CURLOPT_PROXY, curl_->proxy.c_str());
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, static_cast<long>(std::ceil(sent.timeout_s * 1000)));
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, 10000L);
  curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, 131072L);
  curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "");  // all that this libcurl can decode
  curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, &on_ready);
  curl_easy_setopt(easy, CURLOPT_PREREQDATA, transfer.get());
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &on_body);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer.get());
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, &on_header);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer.get());
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->error);
  curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer.get());
  curl_multi_add_handle(curl_->multi, easy);
  const std::uint64_t number = transfer->number;
  curl_->transfers.push_front(std::move(transfer));
  curl_->transfers.front()->place = curl_->transfers.begin();
  return number;
}

std::vector<std::pair<std::uint64_t, Posted>> Transfers::perform() {
  std::vector<std::pair<std::uint64_t, Posted>> ended;
  int count = 0;
  curl_multi_perform(curl_->multi, &count);
  while (const CURLMsg* message = curl_multi_info_read(curl_->multi, &count)) {
    if (message->msg != CURLMSG_DONE) continue;
    const CURLcode code = message->data.result;
    Transfer* transfer = nullptr;
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer);
    curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &transfer->posted.http);
    const char* location = nullptr;
    curl_easy_getinfo(transfer->easy, CURLINFO_REDIRECT_URL, &location);
    if (location != nullptr) transfer->posted.location = location;
    transfer->posted.end = end_of(*transfer, code);
    transfer->posted.error = error_of(*transfer, code);
    ended.emplace_back(transfer->number, std::move(transfer->posted));
    curl_->end(*transfer, code == CURLE_OK && ended.back().second.http == 200 && transfer->heads == 1);
    curl_->transfers.erase(transfer->place);
  }
  return ended;
}

void Transfers::wait(double seconds) {
  curl_multi_poll(curl_->multi, nullptr, 0, static_cast<int>(std::ceil(seconds * 1000)), nullptr);
}

void Transfers::wake() {
  curl_multi_wakeup(curl_->multi);
}

#endif

}  // namespace vlmprobe::models
