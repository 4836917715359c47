#include "worker.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "chat_body.h"
#include "reply_body.h"
#include "retry.h"
#include "vlmprobe/core/error.h"

namespace vlmprobe::models {
namespace {

constexpr auto kPatience = std::chrono::milliseconds(50);
constexpr std::size_t kMostEvents = 100000;

bool is_throttled(const Posted& posted) {
  if (posted.end != Posted::End::answered) return false;
  return posted.http == 429 ? !credit_is_spent(posted.body) : posted.http == 503 && posted.retry_after > 0;
}

// What becomes of the request: of a server that did not answer, another attempt.
Outcome outcome_for(const Posted& posted) {
  if (posted.end != Posted::End::answered) return Outcome::again;
  const Outcome outcome = outcome_of(posted.http);
  return outcome == Outcome::throttled && !is_throttled(posted) ? Outcome::rejected : outcome;
}

Reply failure(Status status, std::string error, std::int64_t attempts) {
  Reply reply;
  reply.status = status, reply.error = std::move(error), reply.attempts = attempts;
  return reply;
}

}  // namespace

bool has_chat_client() {
  return has_transfers();
}

ChatClient::Worker::Worker(std::vector<Endpoint> endpoints, ChatOptions options)
    : options_(std::move(options)),
      lengths_(lengths_of(options_.extra)),
      secrets_(endpoints, options_.proxy),
      servers_(std::move(endpoints), options_),
      transfers_(options_.proxy),
      images_(options_.max_image_bytes),
      budget_(options_),
      process_(getpid()) {
  thread_ = std::thread([this] { run(); });
}

ChatClient::Worker::~Worker() {
  stop_ = true;
  transfers_.wake();
  thread_.join();
}

bool ChatClient::Worker::is_here() const {
  return process_ == getpid();
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
        job->came = now();
        job->expires = options_.batch_deadline_s > 0 ? job->came + options_.batch_deadline_s : kNever;
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
  auto ended = transfers_.perform();
  for (auto& [number, posted] : ended) {
    const auto attempt = attempts_.extract(number);
    finished(attempt.mapped(), posted);
  }
  if (!ended.empty()) return;  // what they held may let others go
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
  for (const JobPtr& job : jobs)
    deliver(job, failure(Status::transport, "the client's thread has ended: " + error, job->attempts));
}

void ChatClient::Worker::take_incoming() {
  const std::lock_guard lock(mutex_);
  fresh_.insert(fresh_.end(), incoming_.begin(), incoming_.end());
  incoming_.clear();
}

// When something may be done that no transfer announces.
double ChatClient::Worker::next_due() {
  const auto due_of = [&](const Job& job) {
    return std::min(expiry(job), held_back_ ? kNever : servers_.room(now(), job.pauses));
  };
  double due = fresh_.empty() ? kNever : due_of(*fresh_.front());
  for (const JobPtr& job : delayed_) due = std::min(due, due_of(*job));
  return due;
}

// A job that no server has had yet is not on the clock while it queues, but it is while no server takes anything.
double ChatClient::Worker::expiry(const Job& job) {
  if (job.started) return job.expires;
  return std::min(job.expires, std::max(job.came, servers_.stalled_since(now())) + options_.deadline_s);
}

// Whether a job that waits for an attempt gets none: it would come too late, or nobody waits for it any more.
bool ChatClient::Worker::ends(const JobPtr& job) {
  const double time = now(), expires = expiry(*job);
  const auto in_time = [&](const Server& server) { return job->pauses.of(server) < expires; };
  if (is_refused(*job)) {
    deliver(job, failure(Status::rejected, job->refusal, job->attempts));
    return true;
  }
  const bool lost = servers_.lost(options_.unreachable_s, job->came, time);
  if (lost || expires <= time || std::none_of(servers_.begin(), servers_.end(), in_time)) {
    const std::string& last = job->last_error.empty() ? last_error_ : job->last_error;
    const std::string error = (lost ? "no endpoint can be reached; last: " : "no reply before the deadline; last: ") +
                              (last.empty() ? "not sent" : last);
    deliver(job, failure(lost ? Status::transport : job->ends_as, error, job->attempts));
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

// Those that had an attempt come first.
void ChatClient::Worker::start_what_fits() {
  held_back_ = false;
  for (auto at = delayed_.begin(); at != delayed_.end() && !held_back_;)
    at = start_or_drop(*at) ? delayed_.erase(at) : std::next(at);
  while (!held_back_ && !fresh_.empty() && start_or_drop(fresh_.front())) fresh_.pop_front();
}

// False when there is no room for it now: no server takes it, or what is in flight may spend the budget.
bool ChatClient::Worker::start_or_drop(const JobPtr& job) {
  Server* const server = servers_.best(now(), job->pauses);
  if (server == nullptr) return false;
  bool allowed = false, hopeless = false;
  {
    const std::lock_guard lock(mutex_);
    allowed = budget_.allows(budget_.needed(job->request, lengths_.of(job->request.sampling.max_tokens)));
    hopeless = !allowed && budget_.idle();
  }
  if (allowed) {
    start(job, *server);
  } else if (hopeless) {
    deliver(job, failure(Status::budget, "the budget is spent", job->attempts));
  }
  held_back_ = !allowed && !hopeless;
  return !held_back_;
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
  --attempt.server->in_flight;
  const Outcome outcome = outcome_for(posted);
  const std::string words = outcome == Outcome::reply ? "" : said(posted);
  note_health(attempt, posted, words);

  if (is_throttled(posted)) return again(attempt, {words, Status::timeout, 0, /*counts=*/false, Served::no});
  if (posted.end == End::unreachable)
    return again(attempt, {words, Status::transport, 0, /*counts=*/false, Served::no});
  if (posted.end == End::stale) return again(attempt, {words, Status::transport, 0, /*counts=*/false});
  if (posted.end == End::timed_out) return again(attempt, {words, Status::timeout});
  if (outcome == Outcome::reply) return answered(attempt, posted);
  if (outcome != Outcome::rejected && posted.end != End::encoded)
    return again(attempt,
                 {words, Status::transport, posted.retry_after, /*counts=*/true,
                  posted.end != End::answered || may_have_worked(posted.http) ? Served::worked : Served::failed});
  if (posted.end == End::answered && !is_own_fault(posted.http) && another_takes(attempt, words)) return;
  over(attempt, failure(Status::rejected, words, 0), posted.end == End::encoded ? Served::worked : Served::no);
}

// A refused job goes to the servers that have not refused it; false when there is none.
bool ChatClient::Worker::another_takes(const Attempt& attempt, const std::string& words) {
  Job& job = *attempt.job;
  job.pauses.set(*attempt.server, kNever);
  job.refusal = words;
  if (is_refused(job)) return false;
  release(attempt, Served::no, {});
  --job.attempts;
  delayed_.push_back(attempt.job);
  return true;
}

// Refused by all servers but those that fail, which may never come back.
bool ChatClient::Worker::is_refused(const Job& job) const {
  const auto may = [&](const Server& server) { return job.pauses.of(server) < kNever && !server.failing(); };
  return !job.refusal.empty() && std::none_of(servers_.begin(), servers_.end(), may);
}

// What the attempt has shown of its server.
void ChatClient::Worker::note_health(const Attempt& attempt, const Posted& posted, const std::string& said) {
  Server& server = *attempt.server;
  const double time = now();
  if (posted.unasked) event(server, "unasked", "it sent what nobody had asked for: a connection for each request");
  if (!said.empty()) last_error_ = said;
  if (is_throttled(posted)) {
    if (server.limit.throttled(time, posted.retry_after)) event(server, "throttled", said);
    server.paused_until = std::max(server.paused_until, time + posted.retry_after);
  }
  const Outcome outcome = outcome_for(posted);
  const bool refuses =
      outcome == Outcome::rejected && !is_own_fault(posted.http) && servers_.end() - servers_.begin() > 1;
  if ((outcome != Outcome::again && !refuses) || is_throttled(posted)) {
    if (servers_.worked(server)) event(server, "healthy", "");
  } else if (servers_.failed(server, time, posted.end == Posted::End::unreachable)) {
    event(server, "failing", said);
  }
}

// A body came with 2xx.
void ChatClient::Worker::answered(const Attempt& attempt, Posted& posted) {
  const JsonBody body = json_of(secrets_.cut_body(text_of(std::move(posted.body)), /*answer=*/true));
  Reply reply;
  if (body.error.empty()) {
    reply = read_reply(secrets_.cut_body(body.json, /*answer=*/true));
  } else {
    reply.status = body.refused ? Status::rejected : Status::transport;
    reply.error = body.error;
  }
  if (reply.status == Status::transport)
    return again(attempt, {reply.error, Status::transport, 0, /*counts=*/true, Served::worked, reply.usage});
  if (attempt.server->limit.succeeded(now())) event(*attempt.server, "grew", "");
  over(attempt, std::move(reply), Served::worked);
}

// What went wrong, in the server's words where it has any.
std::string ChatClient::Worker::said(const Posted& posted) const {
  if (posted.end == Posted::End::encoded)
    return "HTTP " + std::to_string(posted.http) + ": the reply is encoded in a way that cannot be read here (" +
           posted.error + "); set the server to send it plain";
  if (posted.end != Posted::End::answered) return posted.error;
  std::string words = words_in(secrets_.cut_body(text_of(posted.body), /*answer=*/false));
  if (!posted.location.empty())
    words = "a redirect to " + secrets_.cut(posted.location).substr(0, 200) + ", which is not followed";
  return "HTTP " + std::to_string(posted.http) + (words.empty() ? "" : ": ") + words;
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
  Charge& charged = attempt.job->charged;
  charged.calls += charge.calls;
  charged.prompt_tokens += charge.prompt_tokens, charged.completion_tokens += charge.completion_tokens;
}

// The job gets another attempt after a pause, or, when it had them all, a failure.
void ChatClient::Worker::again(const Attempt& attempt, const Setback& setback) {
  Job& job = *attempt.job;
  job.last_error = setback.error, job.ends_as = setback.status;
  if (!setback.counts) --job.attempts;
  if (job.attempts >= options_.max_attempts) {
    Reply reply;
    reply.status = setback.status, reply.error = job.last_error, reply.usage = setback.usage;
    return over(attempt, std::move(reply), setback.served);
  }
  release(attempt, setback.served, setback.usage);
  const double pause = pause_after(++job.setbacks, options_.first_pause_s, job.number);
  job.pauses.set(*attempt.server, now() + std::max(setback.pause, pause));
  delayed_.push_back(attempt.job);
}

void ChatClient::Worker::deliver(const JobPtr& job, Reply reply) {
  secrets_.cut(reply);
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
  ClientEvent made{now(), server.endpoint.url, kind, server.limit.limit(), server.in_flight, secrets_.cut(detail)};
  const std::lock_guard lock(mutex_);
  if (events_.size() < kMostEvents) events_.push_back(std::move(made));
}

}  // namespace vlmprobe::models
