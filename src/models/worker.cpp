#include "worker.h"

#ifdef VLMPROBE_WITH_CURL
#include <curl/curl.h>
#endif

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <limits>

#include "chat_body.h"
#include "retry.h"
#include "vlmprobe/core/error.h"

namespace vlmprobe::models {

#ifndef VLMPROBE_WITH_CURL

bool has_chat_client() {
  return false;
}
struct Transfer {};
struct ChatClient::Worker::Setback {};
struct ChatClient::Worker::Curl {};
ChatClient::Worker::Worker(std::vector<Endpoint>, ChatOptions options)
    : options_(std::move(options)), images_(0), budget_(options_) {
  expect_state(
      false, "models::ChatClient",
      "this build has no libcurl: install it (Debian, Ubuntu: apt-get install libcurl4-openssl-dev) and build again");
}
ChatClient::Worker::~Worker() = default;
std::vector<Reply> ChatClient::Worker::reply(std::span<const Request>, const std::function<void()>&) {
  return {};
}
Spent ChatClient::Worker::spent() const {
  return {};
}
std::vector<ClientEvent> ChatClient::Worker::take_events() {
  return {};
}

#else

namespace {

constexpr std::size_t kMostEvents = 100000;
constexpr double kForever = std::numeric_limits<double>::infinity();

}  // namespace

bool has_chat_client() {
  return true;
}

struct Transfer {
  CURL* easy = nullptr;
  JobPtr job;
  Server* server = nullptr;
  std::string body;  // sent
  std::string received;
  bool oversized = false;
  std::int64_t most = 0;
  double retry_after = 0;
  Budget::Held held;
  double began = 0;
  std::list<std::unique_ptr<Transfer> >::iterator place;
  char error[CURL_ERROR_SIZE] = {};

  static std::size_t on_body(char* bytes, std::size_t, std::size_t count, void* transfer) {
    auto& self = *static_cast<Transfer*>(transfer);
    self.oversized = static_cast<std::int64_t>(self.received.size() + count) > self.most;
    if (self.oversized) return 0;
    self.received.append(bytes, count);
    return count;
  }
  static std::size_t on_header(char* bytes, std::size_t, std::size_t count, void* transfer) {
    constexpr std::string_view kName = "retry-after:";
    const std::string_view line(bytes, count);
    const auto same = [](char a, char b) { return std::tolower(static_cast<unsigned char>(a)) == b; };
    if (line.size() > kName.size() &&
        std::equal(kName.begin(), kName.end(), line.begin(), [&](char b, char a) { return same(a, b); })) {
      const std::string value(line.substr(kName.size()));
      char* end = nullptr;
      const double seconds = std::strtod(value.c_str(), &end);
      const std::time_t date = end == value.c_str() ? curl_getdate(value.c_str(), nullptr) : -1;
      const double wait = date >= 0 ? static_cast<double>(date - std::time(nullptr)) : seconds;
      static_cast<Transfer*>(transfer)->retry_after = std::isfinite(wait) ? std::max(0.0, wait) : 0;
    }
    return count;
  }
};

// Why an attempt brought no reply.
struct ChatClient::Worker::Setback {
  std::string error;
  Status status = Status::transport;  // if it was the last
  double pause = 0;                   // that the server asks for
  bool counts = true;                 // against max_attempts
  bool charged = true;                // the server may have worked on it
};

struct ChatClient::Worker::Curl {
  CURLM* multi = nullptr;
  std::vector<CURL*> idle;  // handles that can be used again; connections are the multi handle's
  std::unordered_map<const Server*, curl_slist*> headers;

  explicit Curl(std::int64_t connections) {
    static const CURLcode kReady = curl_global_init(CURL_GLOBAL_DEFAULT);
    multi = kReady == CURLE_OK ? curl_multi_init() : nullptr;
    expect_state(multi != nullptr, "models::ChatClient", "libcurl cannot be started");
    curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, static_cast<long>(connections));
    curl_multi_setopt(multi, CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
  }
  ~Curl() {
    for (CURL* easy : idle) curl_easy_cleanup(easy);
    for (const auto& [server, list] : headers) curl_slist_free_all(list);
    curl_multi_cleanup(multi);
  }
  CURL* handle() {
    if (idle.empty()) return curl_easy_init();
    CURL* easy = idle.back();
    idle.pop_back();
    curl_easy_reset(easy);
    return easy;
  }
  curl_slist* headers_of(const Server& server) {
    curl_slist*& list = headers[&server];
    if (list == nullptr) {
      list = curl_slist_append(list, "Content-Type: application/json");
      list = curl_slist_append(list, "Expect:");
      if (!server.endpoint.key.empty())
        list = curl_slist_append(list, ("Authorization: Bearer " + server.endpoint.key).c_str());
    }
    return list;
  }
};

ChatClient::Worker::Worker(std::vector<Endpoint> endpoints, ChatOptions options)
    : options_(std::move(options)), images_(options_.max_image_bytes), budget_(options_) {
  for (Endpoint& endpoint : endpoints)
    servers_.push_back({std::move(endpoint), {options_.first_limit, options_.max_limit}});
  curl_ = std::make_unique<Curl>(options_.max_limit * static_cast<std::int64_t>(servers_.size()));
  thread_ = std::thread([this] { run(); });
}

ChatClient::Worker::~Worker() {
  stop_ = true;
  curl_multi_wakeup(curl_->multi);
  thread_.join();
  for (const auto& transfer : transfers_) {
    curl_multi_remove_handle(curl_->multi, transfer->easy);
    curl_easy_cleanup(transfer->easy);
  }
}

double ChatClient::Worker::now() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
}

std::vector<Reply> ChatClient::Worker::reply(std::span<const Request> requests,
                                             const std::function<void()>& meanwhile) {
  const auto batch = std::make_shared<Batch>();
  batch->replies.resize(requests.size());
  batch->left = requests.size();
  std::vector<std::string> keys;
  for (const Request& request : requests) keys.push_back(key_of(request, options_));
  {
    const std::lock_guard lock(mutex_);
    expect_state(broken_.empty(), "models::ChatClient", "its thread has ended: {}", broken_);
    for (std::size_t i = 0; i < requests.size(); ++i) {
      JobPtr& job = in_flight_[keys[i]];
      if (!job) {
        job = std::make_shared<Job>();
        job->request = requests[i], job->key = keys[i], job->number = jobs_++;
        job->expires = options_.batch_deadline_s > 0 ? now() + options_.batch_deadline_s : kForever;
        incoming_.push_back(job);
      }
      job->askers.emplace_back(batch, i);
    }
  }
  curl_multi_wakeup(curl_->multi);

  std::unique_lock lock(mutex_);
  try {
    while (!delivered_.wait_for(lock, std::chrono::milliseconds(50), [&] { return batch->left == 0; })) {
      lock.unlock();
      meanwhile();
      lock.lock();
    }
  } catch (...) {
    if (!lock.owns_lock()) lock.lock();
    batch->abandoned = true;
    throw;
  }
  return std::move(batch->replies);
}

Spent ChatClient::Worker::spent() const {
  const std::lock_guard lock(mutex_);
  return budget_.spent();
}

std::vector<ClientEvent> ChatClient::Worker::take_events() {
  const std::lock_guard lock(mutex_);
  return std::exchange(events_, {});
}

void ChatClient::Worker::run() {
  try {
    while (!stop_) turn();
  } catch (const std::exception& error) {  // out of memory, say: nobody may wait for ever
    fail_all(error.what());
  }
}

void ChatClient::Worker::turn() {
  take_incoming();
  expire();
  start_what_fits();
  int running = 0;
  curl_multi_perform(curl_->multi, &running);
  collect();
  {
    const std::lock_guard lock(mutex_);
    if (!incoming_.empty()) return;
  }
  const double wait = std::clamp(next_due() - now(), 0.0, 1.0);
  curl_multi_poll(curl_->multi, nullptr, 0, static_cast<int>(std::ceil(wait * 1000)), nullptr);
}

void ChatClient::Worker::fail_all(const std::string& error) {
  std::vector<JobPtr> jobs;
  {
    const std::lock_guard lock(mutex_);
    broken_ = error;
    for (const auto& [key, job] : in_flight_) jobs.push_back(job);
  }
  for (const JobPtr& job : jobs) {
    Reply reply;
    reply.error = "the client's thread has ended: " + error;
    deliver(job, std::move(reply));
  }
}

void ChatClient::Worker::take_incoming() {
  const std::lock_guard lock(mutex_);
  fresh_.insert(fresh_.end(), incoming_.begin(), incoming_.end());
  incoming_.clear();
}

// When something may be done that no transfer announces.
double ChatClient::Worker::next_due() const {
  double room = kForever;
  for (const Server& server : servers_)
    if (server.in_flight < server.limit.limit()) room = std::min(room, server.paused_until);
  double due = fresh_.empty() ? kForever : std::min(room, fresh_.front()->expires);
  for (const JobPtr& job : delayed_) due = std::min({due, job->expires, std::max(job->not_before, room)});
  return due;
}

// Whether a job that waits for an attempt gets none: it would come too late, or nobody waits for it any more.
bool ChatClient::Worker::ends(const JobPtr& job) {
  if (job->expires <= now() || job->not_before >= job->expires) {
    Reply reply;
    reply.status = job->ends_as, reply.attempts = job->attempts;
    reply.error = "no reply before the deadline; last: " + (job->last_error.empty() ? "not sent" : job->last_error);
    deliver(job, std::move(reply));
    return true;
  }
  const std::lock_guard lock(mutex_);
  const auto waits = [](const auto& asker) { return !asker.first->abandoned; };
  if (std::any_of(job->askers.begin(), job->askers.end(), waits)) return false;
  in_flight_.erase(job->key);
  return true;
}

void ChatClient::Worker::expire() {
  while (!fresh_.empty() && ends(fresh_.front())) fresh_.pop_front();  // the first one expires first
  delayed_.remove_if([&](const JobPtr& job) { return ends(job); });
}

// A healthy one before a failing one, then the least loaded for its limit; null when none has room.
Server* ChatClient::Worker::best_server() {
  const double time = now();
  const auto badness = [&](const Server& server) {
    return std::pair(server.failing_until > time,
                     static_cast<double>(server.in_flight) / static_cast<double>(server.limit.limit()));
  };
  Server* best = nullptr;
  for (Server& server : servers_) {
    if (server.in_flight >= server.limit.limit() || server.paused_until > time) continue;
    if (best == nullptr || badness(server) < badness(*best)) best = &server;
  }
  return best;
}

// Those that had an attempt come first.
void ChatClient::Worker::start_what_fits() {
  for (auto at = delayed_.begin(); at != delayed_.end();) {
    if ((*at)->not_before > now()) {
      ++at;
    } else if (start_or_drop(*at)) {
      at = delayed_.erase(at);
    } else {
      return;
    }
  }
  while (!fresh_.empty() && start_or_drop(fresh_.front())) fresh_.pop_front();
}

// False when there is no room for it now: no server takes more, or what is in flight may spend the budget.
bool ChatClient::Worker::start_or_drop(const JobPtr& job) {
  Server* const server = best_server();
  if (server == nullptr) return false;
  bool allowed = false, hopeless = false;
  {
    const std::lock_guard lock(mutex_);
    allowed = budget_.allows(budget_.needed(job->request));
    hopeless = !allowed && budget_.idle();
  }
  if (allowed) {
    start(job, *server);
  } else if (hopeless) {
    Reply reply;
    reply.status = Status::budget, reply.attempts = job->attempts, reply.error = "the budget is spent";
    deliver(job, std::move(reply));
  }
  return allowed || hopeless;
}

void ChatClient::Worker::start(JobPtr job, Server& server) {
  const double time = now();
  if (!job->started) job->expires = std::min(job->expires, time + options_.deadline_s);
  job->started = true;
  ++job->attempts;
  auto transfer = std::make_unique<Transfer>();
  transfer->job = std::move(job), transfer->server = &server;
  transfer->most = options_.max_response_bytes, transfer->began = time;
  const Request& request = transfer->job->request;
  transfer->body = body_of(request, options_, [&](const EncodedImage& image) { return images_.of(image); });
  {
    const std::lock_guard lock(mutex_);
    transfer->held = budget_.needed(request);
    budget_.hold(transfer->held);
  }
  ++server.in_flight;

  CURL* easy = transfer->easy = curl_->handle();
  const double most = std::max(0.001, std::min(options_.attempt_timeout_s, transfer->job->expires - time));
  const std::string url = server.endpoint.url + (server.endpoint.url.ends_with('/') ? "" : "/") + "chat/completions";
  curl_easy_setopt(easy, CURLOPT_URL, url.c_str());
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, curl_->headers_of(server));
  curl_easy_setopt(easy, CURLOPT_POSTFIELDS, transfer->body.data());
  curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(transfer->body.size()));
  curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(easy, CURLOPT_PROXY, options_.proxy.c_str());
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, static_cast<long>(std::ceil(most * 1000)));
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, 10000L);
  curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, 131072L);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &Transfer::on_body);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer.get());
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, &Transfer::on_header);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer.get());
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->error);
  curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer.get());
  curl_multi_add_handle(curl_->multi, easy);
  transfers_.push_front(std::move(transfer));
  transfers_.front()->place = transfers_.begin();
}

void ChatClient::Worker::collect() {
  int left = 0;
  while (const CURLMsg* message = curl_multi_info_read(curl_->multi, &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    CURL* const easy = message->easy_handle;
    const CURLcode code = message->data.result;
    Transfer* transfer = nullptr;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &transfer);
    curl_multi_remove_handle(curl_->multi, easy);
    finished(*transfer, code);
    curl_->idle.push_back(easy);
    transfers_.erase(transfer->place);
  }
}

void ChatClient::Worker::finished(Transfer& transfer, int code) {
  Server& server = *transfer.server;
  const double time = now();
  --server.in_flight;
  long http = 0;
  curl_easy_getinfo(transfer.easy, CURLINFO_RESPONSE_CODE, &http);
  const bool throttled = http == 429 || (http == 503 && transfer.retry_after > 0);

  if (!throttled && (code != CURLE_OK || outcome_of(http) == Outcome::again)) {
    server.limit.failed(time);
    if (++server.failures == 3) event(server, "failing", transfer.error);
    if (server.failures >= 3) server.failing_until = time + std::min(30.0, std::exp2(server.failures - 3));
  } else if (server.failures > 0) {
    if (server.failures >= 3) event(server, "healthy", "");
    server.failures = 0, server.failing_until = 0;
  }

  const std::string answer = "HTTP " + std::to_string(http);
  if (transfer.oversized)
    return again(transfer, {"the body has more than " + std::to_string(transfer.most) + " bytes"});
  if (throttled) {
    const double pause = std::min(transfer.retry_after, options_.deadline_s);
    if (server.limit.throttled(time, pause)) event(server, "throttled", answer);
    server.paused_until = std::max(server.paused_until, time + pause);
    return again(transfer, {answer, Status::timeout, transfer.retry_after, /*counts=*/false, /*charged=*/false});
  }
  if (code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST || code == CURLE_COULDNT_RESOLVE_PROXY)
    return again(transfer, {transfer.error, Status::transport, 0, /*counts=*/false, /*charged=*/false});
  if (code != CURLE_OK) {
    const std::string error = transfer.error[0] != 0 ? transfer.error : curl_easy_strerror(static_cast<CURLcode>(code));
    return again(transfer, {error, code == CURLE_OPERATION_TIMEDOUT ? Status::timeout : Status::transport});
  }
  if (outcome_of(http) == Outcome::again) return again(transfer, {answer, Status::transport, transfer.retry_after});

  Reply reply = read_reply(transfer.received);
  if (outcome_of(http) == Outcome::rejected) {
    reply = {};
    reply.status = Status::rejected;
    reply.error = answer + ": " + complaint(transfer.received);
    return over(transfer, std::move(reply), false);
  }
  if (reply.status == Status::transport) return again(transfer, {reply.error});
  if (server.limit.succeeded(time)) event(server, "grew", "");
  over(transfer, std::move(reply), true);
}

// The job has its reply.
void ChatClient::Worker::over(Transfer& transfer, Reply reply, bool charged) {
  {
    const std::lock_guard lock(mutex_);
    budget_.release(transfer.held, charged, reply.usage);
  }
  reply.latency_s = now() - transfer.began;
  reply.attempts = transfer.job->attempts;
  reply.endpoint = transfer.server->endpoint.url;
  deliver(transfer.job, std::move(reply));
}

// The job gets another attempt after a pause, or, when it had them all, a failure.
void ChatClient::Worker::again(Transfer& transfer, const Setback& setback) {
  Job& job = *transfer.job;
  job.last_error = redacted(setback.error), job.ends_as = setback.status;
  if (!setback.counts) --job.attempts;
  if (job.attempts >= options_.max_attempts) {
    Reply reply;
    reply.status = setback.status, reply.error = job.last_error;
    return over(transfer, std::move(reply), setback.charged);
  }
  {
    const std::lock_guard lock(mutex_);
    budget_.release(transfer.held, setback.charged, {});
  }
  job.not_before = now() + std::max(setback.pause, pause_after(++job.pauses, options_.first_pause_s, job.number));
  delayed_.push_back(transfer.job);
}

void ChatClient::Worker::deliver(const JobPtr& job, Reply reply) {
  reply.error = redacted(std::move(reply.error));
  const std::lock_guard lock(mutex_);
  for (const auto& [batch, place] : job->askers) {
    batch->replies[place] = reply;
    --batch->left;
  }
  in_flight_.erase(job->key);
  delivered_.notify_all();
}

void ChatClient::Worker::event(const Server& server, const char* kind, const std::string& detail) {
  ClientEvent made{now(), server.endpoint.url, kind, server.limit.limit(), server.in_flight, redacted(detail)};
  const std::lock_guard lock(mutex_);
  if (events_.size() < kMostEvents) events_.push_back(std::move(made));
}

std::string ChatClient::Worker::redacted(std::string text) const {
  for (const Server& server : servers_) {
    const std::string& key = server.endpoint.key;
    for (std::size_t at = 0; !key.empty() && (at = text.find(key, at)) != text.npos;)
      text.replace(at, key.size(), "[key]");
  }
  return text;
}

#endif

}  // namespace vlmprobe::models
