// The endpoints of one model: which of them takes the next request, and what is known of the health of each. Times are
// seconds of one steady clock.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include <algorithm>
#include "concurrency.h"
#include "vlmprobe/models/chat_client.h"

namespace vlmprobe::models {

inline constexpr double kNever = std::numeric_limits<double>::infinity();

struct Server {
  Endpoint endpoint;
  ConcurrencyLimit limit;
  std::size_t place = 0;
  std::int64_t in_flight = 0;
  double paused_until = 0;
  int failures = 0;  // one after the other
  double failing_until = 0;
  double unreachable_at = -1;  // the last time

  bool failing() const { return failures >= 3; }
  bool takes(double time) const { return paused_until <= time && !failing(); }
};

// Until when a request is kept from a server that it had trouble with; other servers may have it at once.
class Pauses {
 public:
  double of(const Server& server) const { return server.place < until_.size() ? until_[server.place] : 0; }
  void set(const Server& server, double until) {
    until_.resize(std::max(until_.size(), server.place + 1));
    until_[server.place] = until;
  }

 private:
  std::vector<double> until_;  // by the server's place
};

class Servers {
 public:
  Servers(std::vector<Endpoint> endpoints, const ChatOptions& options);
  auto begin() const { return servers_.begin(); }
  auto end() const { return servers_.end(); }

  // The least loaded for its limit among those that take requests. A failing one gets none while there are such, but
  // one at a time to find out whether it still fails. Null when none has room.
  Server* best(double time, const Pauses& pauses);
  // When, at the earliest, one has room; kNever: not before an attempt has ended.
  double room(double time, const Pauses& pauses) const;

  // What an attempt has shown; each returns whether that changed the server's health.
  bool failed(Server& server, double time, bool unreachable);
  bool worked(Server& server);

  // Since when no server takes requests; kNever when one does.
  double stalled_since(double time);
  // Whether none was ever reached, for `seconds` or longer, and each was tried in vain after `since`.
  bool lost(double seconds, double since, double time) const;

 private:
  bool any_takes(double time) const;

  std::vector<Server> servers_;
  bool reached_ = false;  // ever, any of them
  double lost_since_ = kNever, stalled_since_ = kNever;
};

}  // namespace vlmprobe::models
