// HTTP posts in flight at one time, all on the thread that calls. libcurl is known here and in connections.h; in a
// build without it the constructor throws InvalidState.
//
// A reply belongs to its request: a connection is used again only after a 200 that was read to its end, and as
// connections.h says. A reply that begins before the server has the whole request is not taken for its reply, except a
// failure on a connection that has served no other request.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace vlmprobe::models {

// What is sent.
struct Post {
  std::string url;
  std::string key;  // bearer key; empty: none
  std::string body;
  double timeout_s = 0;         // > 0
  std::int64_t most_bytes = 0;  // of the answer's body; a longer one is not read to its end
};

// What became of it.
struct Posted {
  enum class End : std::uint8_t {
    answered,
    unreachable,  // nothing was sent
    timed_out,
    oversized,
    encoded,  // in a way that cannot be read here
    stale,    // the connection had served before: what came of it may not be about this request
    broken,
  };
  End end = End::answered;
  long http = 0;              // status; 0 without one
  std::string location = {};  // of a redirect
  double retry_after = 0;     // seconds that the server asks for, at most a minute; 0: none
  std::string body;           // without its content encoding
  std::string error;          // unless answered
  bool unasked = false;       // the server was found to send what nobody had asked for
};

class Transfers {
 public:
  explicit Transfers(std::string proxy);  // empty: none, whatever the environment says
  ~Transfers();                           // ends what is in flight
  Transfers(const Transfers&) = delete;
  Transfers& operator=(const Transfers&) = delete;

  // The number under which `perform` gives its end.
  std::uint64_t start(Post post);
  // Moves everything on, without waiting; what has ended since.
  std::vector<std::pair<std::uint64_t, Posted>> perform();
  // Returns when something can be moved on, after `seconds`, or after `wake`.
  void wait(double seconds);
  void wake();  // from any thread

 private:
  struct Curl;
  std::unique_ptr<Curl> curl_;
};

bool has_transfers();  // whether this build has libcurl

// What is wrong with a URL, without repeating any of it; empty when it is well-formed, or in a build without libcurl.
std::string trouble_with_url(const std::string& url);

}  // namespace vlmprobe::models
