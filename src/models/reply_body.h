// Bodies as servers send them, made into the JSON that was asked for, or into words.
//
// Read: a byte order mark, UTF-16, and a stream of events though none was asked for, put together to one reply when it
// is whole, that is, has a finish_reason and ends with [DONE]. A page of HTML and a stream that ends early are errors;
// what is compressed without a word is refused, because it would be again.
#pragma once

#include <string>
#include <string_view>

namespace vlmprobe::models {

// UTF-8 without a byte order mark; what is neither that nor UTF-16 stays as it is.
std::string text_of(std::string body);

// Of the text of a body that came with 200.
struct JsonBody {
  std::string json = {};  // not checked; where there is an error, none
  std::string error = {};
  bool refused = false;  // the same request would bring the same
};
JsonBody json_of(std::string text);

// What a server says in a text that is no reply: the error's message or detail, a page's title, or the body's
// beginning; at most 300 bytes.
std::string words_in(std::string_view text);

}  // namespace vlmprobe::models
