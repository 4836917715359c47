#ifdef VLMPROBE_WITH_CURL

#include "connections.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#ifdef __linux__
#include <linux/sockios.h>
#endif

#include "vlmprobe/core/error.h"

namespace vlmprobe::models {
namespace {

constexpr double kRestS = 0.25, kOldS = 60;
constexpr std::size_t kMostResting = 128;  // of a server

}  // namespace

Connection::Connection() : pool_(curl_share_init()) {
  expect_state(pool_ != nullptr, "models::ChatClient", "libcurl has no more memory");
  curl_share_setopt(pool_, CURLSHOPT_SHARE, CURL_LOCK_DATA_CONNECT);
}

Connection::~Connection() {
  curl_share_cleanup(pool_);
}

bool Connection::rest(CURL* easy) {
  curl_easy_getinfo(easy, CURLINFO_ACTIVESOCKET, &socket_);
  curl_easy_getinfo(easy, CURLINFO_TOTAL_TIME, &took_s_);
  resting_since_ = std::chrono::steady_clock::now();
  return used();
}

double Connection::rested_s() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - resting_since_).count();
}

bool Connection::rested() const {
  return rested_s() >= kRestS + took_s_;
}

bool Connection::silent() const {
  pollfd looked_at{socket_, POLLIN, 0};
  return poll(&looked_at, 1, 0) == 0;
}

bool Connection::has_bytes() const {
  char byte = 0;
  return recv(socket_, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

bool Connection::delivered() const {
#ifdef SIOCOUTQ
  int left = 0;
  return ioctl(socket_, SIOCOUTQ, &left) != 0 || left == 0;
#else
  return true;
#endif
}

std::unique_ptr<Connection> Connections::take(const std::string& url, bool& unasked) {
  auto& resting = resting_[url];
  while (!resting.empty() && resting.front()->rested()) {
    std::unique_ptr<Connection> found = std::move(resting.front());
    resting.pop_front();
    if (found->silent() && found->rested_s() < kOldS) return found;
    if (url.starts_with("http:") && found->has_bytes()) unasked = unruly_.insert(url).second || unasked;
  }
  if (unruly_.contains(url)) resting.clear();
  return std::make_unique<Connection>();
}

void Connections::keep(const std::string& url, std::unique_ptr<Connection> connection) {
  auto& resting = resting_[url];
  if (resting.size() < kMostResting && !unruly_.contains(url)) resting.push_back(std::move(connection));
}

}  // namespace vlmprobe::models

#endif
