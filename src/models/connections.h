// Connections to servers that stay open between two requests. For transfers.cpp alone: it is made of libcurl.
//
// HTTP/1.1 binds a reply to its request by nothing but the order on the connection: a reply that nobody asked for is
// taken for the next request's, and shifts all that follow. So each connection has a pool of its own, and it is known
// which request gets which. One is used again only when it has been silent since its last reply for as long as that
// took and kRestS: a second reply to one request, of a gateway that asked twice, comes about so late. One with anything
// to read is closed, and where that were bytes in plain text the server's connections are not kept any more.
#pragma once

#include <curl/curl.h>

#include <chrono>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>

namespace vlmprobe::models {

class Connection {
 public:
  Connection();
  ~Connection();  // closes it
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  CURLSH* pool() const { return pool_; }
  // Called when a transfer has ended well: false when the connection is closed.
  bool rest(CURL* easy);

  bool used() const { return socket_ != CURL_SOCKET_BAD; }
  double rested_s() const;
  bool rested() const;
  bool silent() const;     // nothing to read, and not closed
  bool has_bytes() const;  // that the server sent unasked
  bool delivered() const;  // the other side has all that was sent; true where the system does not say

 private:
  CURLSH* pool_;
  curl_socket_t socket_ = CURL_SOCKET_BAD;
  double took_s_ = 0;
  std::chrono::steady_clock::time_point resting_since_ = {};
};

class Connections {
 public:
  // One that has rested, or a new one. `unasked` becomes true when one was found with bytes that nobody asked for.
  std::unique_ptr<Connection> take(const std::string& url, bool& unasked);
  void keep(const std::string& url, std::unique_ptr<Connection> connection);

 private:
  std::map<std::string, std::deque<std::unique_ptr<Connection>>, std::less<>> resting_;  // the longest first
  std::set<std::string, std::less<>> unruly_;                                            // URLs
};

}  // namespace vlmprobe::models
