// Keys, cut out of what servers say before anything of it is shortened, kept or shown: each becomes `[key]`.
//
// A key is found as it is, in the escapes of JSON, URLs and HTML, in base64, and when at least its first half is there.
// A text of the model's own is kept from keys of 8 characters and more: shorter ones (EMPTY, none) are words, which an
// answer may hold; errors are kept from all.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "vlmprobe/models/chat_client.h"

namespace vlmprobe::models {

class Secrets {
 public:
  // The endpoints' keys, and the password in the proxy's URL.
  Secrets(const std::vector<Endpoint>& endpoints, std::string_view proxy);

  std::string cut(std::string_view error) const;
  void cut(Reply& reply) const;
  // A body before it is read. Of JSON only the strings are changed, and no names: it stays what it is. `answer`: it
  // holds a text of the model's own.
  std::string cut_body(std::string_view body, bool answer) const;

 private:
  std::size_t spelled(std::string_view text, std::size_t at, std::size_t shortest) const;
  std::string cut(std::string_view text, std::size_t shortest) const;

  std::vector<std::string> spellings_;
};

}  // namespace vlmprobe::models
