#include "worker.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <utility>

#include "chat_body.h"
#include "retry.h"
#include "vlmprobe/core/error.h"

namespace vlmprobe::models {
namespace {

constexpr auto kPatience = std::chrono::milliseconds(50);
constexpr std::size_t kMostEvents = 100000;
constexpr double kForever = std::numeric_limits<double>::infinity();

}  // namespace

bool has_chat_client() {
  return has_transfers();
}

ChatClient::Worker::Worker(std::vector<Endpoint> endpoints, ChatOptions options)
    : options_(std::move(options)),
      lengths_(lengths_of(options_.extra)),
      transfers_(options_.proxy, options_.max_limit * static_cast<std::int64_t>(endpoints.size())),
      images_(options_.max_image_bytes),
      budget_(options_) {
  for (Endpoint& endpoint : endpoints)
    servers_.push_back({std::move(endpoint), {options_.first_limit, options_.max_limit}});
  thread_ = std::thread([this] { run(); });
}

ChatClient::Worker::~Worker() {
  stop_ = true;
  transfers_.wake();
  thread_.join();
}

double ChatClient::Worker::now() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
}

std::vector<Reply> ChatClient::Worker::reply(std::span<const Request> requests, const Waiting& waiting) {
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
  transfers_.wake();
  wait_for(*batch, waiting);
  return std::move(batch->replies);
}

// What arrives is handed on while the rest is waited for; a reply's place is not written again after that.
void ChatClient::Worker::wait_for(Batch& batch, const Waiting& waiting) {
  std::unique_lock lock(mutex_);
  try {
    for (bool all = false; !all;) {
      all = delivered_.wait_for(lock, kPatience, [&] { return batch.left == 0; });
      const std::vector<std::size_t> places = std::exchange(batch.arrived, {});
      lock.unlock();
      if (waiting.arrived && !places.empty()) waiting.arrived(places, batch.replies);
      if (!all && waiting.meanwhile) waiting.meanwhile();
      lock.lock();
    }
  } catch (...) {
    if (!lock.owns_lock()) lock.lock();
    batch.abandoned = true;
    throw;
  }
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
  for (auto& [number, posted] : transfers_.perform()) {
    const auto attempt = attempts_.extract(number);
    finished(attempt.mapped(), posted);
  }
  {
    const std::lock_guard lock(mutex_);
    if (!incoming_.empty()) return;
  }
  transfers_.wait(std::clamp(next_due() - now(), 0.0, 1.0));
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
    if (!short_ && server.in_flight < server.limit.limit()) room = std::min(room, server.paused_until);
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
  short_ = false;
  if (server == nullptr) return false;
  bool allowed = false, hopeless = false;
  {
    const std::lock_guard lock(mutex_);
    allowed = budget_.allows(budget_.needed(job->request, lengths_.of(job->request.sampling.max_tokens)));
    hopeless = !allowed && budget_.idle();
  }
  short_ = !allowed && !hopeless;
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
  const Request& request = job->request;
  const std::string& url = server.endpoint.url;
  Post post{url + (url.ends_with('/') ? "" : "/") + "chat/completions", server.endpoint.key,
            body_of(request, options_, [&](const EncodedImage& image) { return images_.of(image); }),
            std::max(0.001, std::min(options_.attempt_timeout_s, job->expires - time)), options_.max_response_bytes};
  Budget::Held held;
  {
    const std::lock_guard lock(mutex_);
    held = budget_.needed(request, lengths_.of(request.sampling.max_tokens));
    budget_.hold(held);
  }
  ++server.in_flight;
  attempts_.emplace(transfers_.start(std::move(post)), Attempt{std::move(job), &server, held, time});
}

void ChatClient::Worker::finished(const Attempt& attempt, Posted& posted) {
  using End = Posted::End;
  Server& server = *attempt.server;
  const double time = now();
  --server.in_flight;
  const long http = posted.http;
  const bool spent = http == 429 && credit_is_spent(posted.body);
  const bool throttled = (http == 429 && !spent) || (http == 503 && posted.retry_after > 0);

  if (!throttled && (posted.end != End::answered || outcome_of(http) == Outcome::again)) {
    server.limit.failed(time);
    if (++server.failures == 3) event(server, "failing", posted.error);
    if (server.failures >= 3) server.failing_until = time + std::min(30.0, std::exp2(server.failures - 3));
  } else if (server.failures > 0) {
    if (server.failures >= 3) event(server, "healthy", "");
    server.failures = 0, server.failing_until = 0;
  }

  const std::string answer = "HTTP " + std::to_string(http);
  if (posted.end == End::oversized) return again(attempt, {posted.error});
  if (throttled) {
    const double pause = std::min(posted.retry_after, options_.deadline_s);
    if (server.limit.throttled(time, pause)) event(server, "throttled", answer);
    server.paused_until = std::max(server.paused_until, time + pause);
    return again(attempt, {answer, Status::timeout, posted.retry_after, /*counts=*/false, Served::no});
  }
  if (posted.end == End::unreachable)
    return again(attempt, {posted.error, Status::transport, 0, /*counts=*/false, Served::no});
  if (posted.end != End::answered)
    return again(attempt, {posted.error, posted.end == End::timed_out ? Status::timeout : Status::transport});
  if (outcome_of(http) == Outcome::again)
    return again(attempt, {answer, Status::transport, posted.retry_after, /*counts=*/true,
                           may_have_worked(http) ? Served::worked : Served::failed});

  Reply reply = read_reply(posted.body);
  if (spent || outcome_of(http) == Outcome::rejected) {
    reply = {};
    reply.status = Status::rejected;
    reply.error = answer + ": " + complaint(posted.body);
    return over(attempt, std::move(reply), Served::no);
  }
  if (reply.status == Status::transport)
    return again(attempt, {reply.error, Status::transport, 0, /*counts=*/true, Served::worked, reply.usage});
  if (server.limit.succeeded(time)) event(server, "grew", "");
  over(attempt, std::move(reply), Served::worked);
}

// The job has its reply.
void ChatClient::Worker::over(const Attempt& attempt, Reply reply, Served served) {
  release(attempt, served, reply.usage);
  reply.latency_s = now() - attempt.began;
  reply.attempts = attempt.job->attempts;
  reply.endpoint = attempt.server->endpoint.url;
  deliver(attempt.job, std::move(reply));
}

void ChatClient::Worker::release(const Attempt& attempt, Served served, const Usage& usage) {
  const std::lock_guard lock(mutex_);
  const Charge charge = budget_.release(attempt.held, served, usage);
  short_ = false;
  Charge& charged = attempt.job->charged;
  charged.calls += charge.calls;
  charged.prompt_tokens += charge.prompt_tokens, charged.completion_tokens += charge.completion_tokens;
}

// The job gets another attempt after a pause, or, when it had them all, a failure.
void ChatClient::Worker::again(const Attempt& attempt, const Setback& setback) {
  Job& job = *attempt.job;
  job.last_error = redacted(setback.error), job.ends_as = setback.status;
  if (!setback.counts) --job.attempts;
  if (job.attempts >= options_.max_attempts) {
    Reply reply;
    reply.status = setback.status, reply.error = job.last_error, reply.usage = setback.usage;
    return over(attempt, std::move(reply), setback.served);
  }
  release(attempt, setback.served, setback.usage);
  job.not_before = now() + std::max(setback.pause, pause_after(++job.pauses, options_.first_pause_s, job.number));
  delayed_.push_back(attempt.job);
}

void ChatClient::Worker::deliver(const JobPtr& job, Reply reply) {
  reply.error = redacted(std::move(reply.error));
  const std::lock_guard lock(mutex_);
  reply.charged = job->charged;
  for (const auto& [batch, place] : job->askers) {
    batch->replies[place] = reply;
    reply.charged = {};  // once, whoever else asked for the same
    batch->arrived.push_back(place);
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

}  // namespace vlmprobe::models
