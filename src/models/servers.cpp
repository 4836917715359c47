#include "servers.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace vlmprobe::models {
namespace {

// When the server has room; kNever: not before an attempt has ended. `others`: there are servers that take requests.
double room_of(const Server& server, bool others) {
  const bool to_find_out = others && server.failing();
  if (server.in_flight >= (to_find_out ? 1 : server.limit.limit())) return kNever;
  return to_find_out ? std::max(server.paused_until, server.failing_until) : server.paused_until;
}

}  // namespace

Servers::Servers(std::vector<Endpoint> endpoints, const ChatOptions& options) {
  for (Endpoint& endpoint : endpoints)
    servers_.push_back({std::move(endpoint), {options.first_limit, options.max_limit}, servers_.size()});
}

bool Servers::any_takes(double time) const {
  return std::any_of(begin(), end(), [&](const Server& server) { return server.takes(time); });
}

Server* Servers::best(double time, const Pauses& pauses) {
  const auto badness = [&](const Server& server) {
    return std::pair(server.failing_until > time,
                     static_cast<double>(server.in_flight) / static_cast<double>(server.limit.limit()));
  };
  const bool others = any_takes(time);
  Server* best = nullptr;
  for (Server& server : servers_)
    if (std::max(room_of(server, others), pauses.of(server)) <= time &&
        (best == nullptr || badness(server) < badness(*best)))
      best = &server;
  return best;
}

double Servers::room(double time, const Pauses& pauses) const {
  const bool others = any_takes(time);
  double earliest = kNever;
  for (const Server& server : servers_)
    earliest = std::min(earliest, std::max(room_of(server, others), pauses.of(server)));
  return earliest;
}

bool Servers::failed(Server& server, double time, bool unreachable) {
  if (unreachable) {
    server.unreachable_at = time;
    lost_since_ = std::min(lost_since_, time);
  } else {
    reached_ = true;
  }
  server.limit.failed(time);
  ++server.failures;
  if (server.failing()) server.failing_until = time + std::min(30.0, std::exp2(server.failures - 3));
  return server.failures == 3;
}

bool Servers::worked(Server& server) {
  reached_ = true;
  server.failing_until = 0;
  return std::exchange(server.failures, 0) >= 3;
}

double Servers::stalled_since(double time) {
  stalled_since_ = any_takes(time) ? kNever : std::min(stalled_since_, time);
  return stalled_since_;
}

bool Servers::lost(double seconds, double since, double time) const {
  const auto in_vain = [&](const Server& server) { return server.unreachable_at >= since; };
  return !reached_ && lost_since_ + seconds <= time && std::all_of(begin(), end(), in_vain);
}

}  // namespace vlmprobe::models
