#include "transfers.h"

#ifdef VLMPROBE_WITH_CURL
#include <curl/curl.h>
#endif

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdlib>
#include <ctime>
#include <list>
#include <map>
#include <string_view>

#include "vlmprobe/core/error.h"

namespace vlmprobe::models {

#ifndef VLMPROBE_WITH_CURL

bool has_transfers() {
  return false;
}
struct Transfers::Curl {};
Transfers::Transfers(std::string, std::int64_t) {
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
  bool oversized = false;
  std::list<std::unique_ptr<Transfer>>::iterator place = {};
  char error[CURL_ERROR_SIZE] = {};
};

std::size_t on_body(char* bytes, std::size_t, std::size_t count, void* transfer) {
  auto& self = *static_cast<Transfer*>(transfer);
  self.oversized = static_cast<std::int64_t>(self.posted.body.size() + count) > self.post.most_bytes;
  if (self.oversized) return 0;
  self.posted.body.append(bytes, count);
  return count;
}

// Seconds, or a date.
double seconds_of_retry_after(const std::string& value) {
  char* end = nullptr;
  const double seconds = std::strtod(value.c_str(), &end);
  const std::time_t date = end == value.c_str() ? curl_getdate(value.c_str(), nullptr) : -1;
  const double wait = date >= 0 ? static_cast<double>(date - std::time(nullptr)) : seconds;
  return std::isfinite(wait) ? std::max(0.0, wait) : 0;
}

std::size_t on_header(char* bytes, std::size_t, std::size_t count, void* transfer) {
  constexpr std::string_view kName = "retry-after:";
  const std::string_view line(bytes, count);
  const auto same = [](char known, char c) { return std::tolower(static_cast<unsigned char>(c)) == known; };
  if (line.size() > kName.size() && std::equal(kName.begin(), kName.end(), line.begin(), same))
    static_cast<Transfer*>(transfer)->posted.retry_after =
        seconds_of_retry_after(std::string(line.substr(kName.size())));
  return count;
}

Posted::End end_of(CURLcode code, bool oversized) {
  using End = Posted::End;
  if (oversized) return End::oversized;
  if (code == CURLE_OK) return End::answered;
  if (code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST || code == CURLE_COULDNT_RESOLVE_PROXY)
    return End::unreachable;
  return code == CURLE_OPERATION_TIMEDOUT ? End::timed_out : End::broken;
}

std::string error_of(const Transfer& transfer, CURLcode code) {
  if (transfer.oversized) return "the body has more than " + std::to_string(transfer.post.most_bytes) + " bytes";
  if (code == CURLE_OK) return {};
  return transfer.error[0] != 0 ? transfer.error : curl_easy_strerror(code);
}

}  // namespace

bool has_transfers() {
  return true;
}

struct Transfers::Curl {
  std::string proxy;
  CURLM* multi = nullptr;
  std::vector<CURL*> idle;  // handles that can be used again; connections are the multi handle's
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
  curl_slist* headers_for(const std::string& key) {
    curl_slist*& list = headers[key];
    if (list == nullptr) {
      list = curl_slist_append(list, "Content-Type: application/json");
      list = curl_slist_append(list, "Expect:");
      if (!key.empty()) list = curl_slist_append(list, ("Authorization: Bearer " + key).c_str());
    }
    return list;
  }
};

Transfers::Transfers(std::string proxy, std::int64_t connections) : curl_(std::make_unique<Curl>()) {
  static const CURLcode kReady = curl_global_init(CURL_GLOBAL_DEFAULT);
  curl_->proxy = std::move(proxy);
  curl_->multi = kReady == CURLE_OK ? curl_multi_init() : nullptr;
  expect_state(curl_->multi != nullptr, "models::ChatClient", "libcurl cannot be started");
  curl_multi_setopt(curl_->multi, CURLMOPT_MAXCONNECTS, static_cast<long>(connections));
  curl_multi_setopt(curl_->multi, CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
}

Transfers::~Transfers() {
  for (const auto& transfer : curl_->transfers) {
    curl_multi_remove_handle(curl_->multi, transfer->easy);
    curl_easy_cleanup(transfer->easy);
  }
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
    CURL* const easy = message->easy_handle;
    const CURLcode code = message->data.result;
    Transfer* transfer = nullptr;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &transfer);
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &transfer->posted.http);
    transfer->posted.end = end_of(code, transfer->oversized);
    transfer->posted.error = error_of(*transfer, code);
    ended.emplace_back(transfer->number, std::move(transfer->posted));
    curl_multi_remove_handle(curl_->multi, easy);
    curl_->idle.push_back(easy);
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
