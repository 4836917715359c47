// Errors: one type for bad input, one for calls in the wrong order, one wording for both.
//
//   [op] name: expected X, got Y
//
// `op` is the public function that was called, without the leading `vlmprobe::`. The core never prints, aborts or
// substitutes a default for bad input.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

#include "vlmprobe/core/detail/format.h"

namespace vlmprobe {

// Bad input. A ValueError in Python.
class [[gnu::visibility("default")]] InvalidArgument : public std::invalid_argument {
 public:
  using std::invalid_argument::invalid_argument;
};

// A call that the object's state does not allow (a commit after the memory was closed, say). A RuntimeError in Python.
class [[gnu::visibility("default")]] InvalidState : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Throws InvalidArgument("[op] <message>") unless `ok`. The arguments are formatted only on failure.
//   expect(k >= 1, "text::parse_responses", "k: expected at least 1, got {}", k);
template <class... Args>
void expect(bool ok, std::string_view op, Pattern<std::type_identity_t<Args>...> message, const Args&... args) {
  if (!ok) [[unlikely]] {
    throw InvalidArgument(formatted("[{}] {}", op, formatted<Args...>(message, args...)));
  }
}

// The same for InvalidState.
template <class... Args>
void expect_state(bool ok, std::string_view op, Pattern<std::type_identity_t<Args>...> message, const Args&... args) {
  if (!ok) [[unlikely]] {
    throw InvalidState(formatted("[{}] {}", op, formatted<Args...>(message, args...)));
  }
}

}  // namespace vlmprobe
