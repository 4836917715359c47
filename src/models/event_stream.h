// A reply that comes as server-sent events, though no stream was asked for.
#pragma once

#include <string>
#include <string_view>

namespace vlmprobe::models {

// Whether the text can only be a stream of events: no JSON begins so.
bool is_event_stream(std::string_view text);

// The events put together to the body of one reply, its first choice alone. Of a stream that tells of an error the
// error. Otherwise `json` is empty and `error` says what is missing.
struct Assembled {
  std::string json, error;
};
Assembled assembled(std::string_view stream);

}  // namespace vlmprobe::models
