// HTTP posts in flight at one time, all on the thread that calls. libcurl is known here and nowhere else; in a build
// without it the constructor throws InvalidState.
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
  enum class End : std::uint8_t { answered, unreachable, timed_out, oversized, broken };
  End end = End::answered;
  long http = 0;           // status; 0 without one
  double retry_after = 0;  // seconds that the server asks for; 0: none
  std::string body;
  std::string error;  // unless answered
};

class Transfers {
 public:
  // `connections`: kept open at most. `proxy`: empty for none, whatever the environment says.
  Transfers(std::string proxy, std::int64_t connections);
  ~Transfers();  // ends what is in flight
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

}  // namespace vlmprobe::models
