// The thread behind a ChatClient: takes jobs in, keeps transfers going, hands replies out.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "budget.h"
#include "extra.h"
#include "image_texts.h"
#include "secrets.h"
#include "servers.h"
#include "transfers.h"
#include "vlmprobe/models/chat_client.h"

namespace vlmprobe::models {

// A batch that somebody waits for.
struct Batch {
  std::vector<Reply> replies;
  // Guarded by the worker's mutex.
  std::size_t left = 0;
  std::vector<std::size_t> arrived = {};  // places that whoever waits has not been told of
  bool abandoned = false;                 // nobody waits any more
};

// A request on its way, and everybody who asked for it.
struct Job {
  Request request;
  std::string key;
  std::vector<std::pair<std::shared_ptr<Batch>, std::size_t>> askers;  // guarded by the worker's mutex
  std::uint64_t number = 0;
  std::int64_t attempts = 0;  // that counted
  std::int64_t setbacks = 0;  // whether they counted or not
  double came = 0;
  double expires = 0;  // from the first attempt on; before that, of the batch
  Pauses pauses = {};
  std::string last_error = {};
  std::string refusal = {};  // of a server that another one may not share
  Charge charged = {};       // for all attempts so far
  bool started = false;
  Status ends_as = Status::timeout;  // where the deadline comes now
};
using JobPtr = std::shared_ptr<Job>;

// In flight.
struct Attempt {
  JobPtr job;
  Server* server = nullptr;
  Budget::Held held = {};
  double began = 0;
};

// Why an attempt brought no reply.
struct Setback {
  std::string error;
  Status status = Status::transport;  // if it was the last
  double pause = 0;                   // that the server asks for
  bool counts = true;                 // against max_attempts
  Served served = Served::worked;
  Usage usage = {};  // as far as the server says
};

class ChatClient::Worker {
 public:
  Worker(std::vector<Endpoint> endpoints, ChatOptions options);
  ~Worker();

  bool is_here() const;  // in the process that made it
  const ChatOptions& options() const { return options_; }
  std::vector<Reply> reply(std::span<const Request> requests, const Waiting& waiting);
  Spent spent() const;
  std::vector<ClientEvent> take_events();

 private:
  void wait_for(Batch& batch, const Waiting& waiting);
  void run();
  void turn();
  double now() const;
  void take_incoming();
  void start_what_fits();
  bool start_or_drop(const JobPtr& job);
  void start(JobPtr job, Server& server);
  void finished(const Attempt& attempt, Posted& posted);
  bool another_takes(const Attempt& attempt, const std::string& words);
  bool is_refused(const Job& job) const;
  void note_health(const Attempt& attempt, const Posted& posted, const std::string& said);
  void answered(const Attempt& attempt, Posted& posted);
  std::string said(const Posted& posted) const;
  void over(const Attempt& attempt, Reply reply, Served served);
  void release(const Attempt& attempt, Served served, const Usage& usage);
  void again(const Attempt& attempt, const Setback& setback);
  void deliver(const JobPtr& job, Reply reply);
  double expiry(const Job& job);
  bool ends(const JobPtr& job);
  void fail_all(const std::string& error);
  void expire();
  void event(const Server& server, const char* kind, const std::string& detail);
  double next_due();

  const ChatOptions options_;
  const Lengths lengths_;
  const Secrets secrets_;
  Servers servers_;
  Transfers transfers_;
  ImageTexts images_;

  mutable std::mutex mutex_;
  std::condition_variable delivered_;
  std::deque<JobPtr> incoming_;                        // guarded
  std::unordered_map<std::string, JobPtr> in_flight_;  // guarded: jobs that still want a reply, by key
  Budget budget_;                                      // guarded
  std::vector<ClientEvent> events_;                    // guarded
  std::uint64_t jobs_ = 0;                             // guarded
  std::string broken_;                                 // guarded: why the thread has ended

  // Of the worker's thread alone.
  std::deque<JobPtr> fresh_;                             // not attempted yet, in the order in which they came
  std::list<JobPtr> delayed_;                            // between two attempts
  std::unordered_map<std::uint64_t, Attempt> attempts_;  // by the transfer's number
  std::string last_error_;                               // of any attempt
  bool held_back_ = false;                               // by the budget, until an attempt has ended

  std::atomic<bool> stop_ = false;
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  const int process_;
  std::thread thread_;
};

}  // namespace vlmprobe::models
