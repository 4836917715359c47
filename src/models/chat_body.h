// The protocol: a request as the body of `POST <url>/chat/completions`, and a body that came back as a reply.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "vlmprobe/models/chat_client.h"

namespace vlmprobe::models {

// Throws InvalidArgument for roles, numbers, schemas or images that the protocol has no place for; `place` is the
// request's in its batch.
void check_request(const Request& request, std::size_t place);

using ImageText = std::function<std::string_view(const EncodedImage&)>;

// `image` gives the base64 of an image.
std::string body_of(const Request& request, const ChatOptions& options, const ImageText& image);

// What makes two requests the same: the body with hashes in place of images, and the vote.
std::string key_of(const Request& request, const ChatOptions& options);

// Any bytes. An answer (`ok`) is what is known to be one: a choice that ended by itself (finish.h) in a message of the
// assistant, of text alone, without an error inside or beside it. Status `transport` with an error when the bytes are
// no reply, or one of which it is not known what is missing; `usage` is what the body says then as well, and the other
// fields are the caller's. A count that cannot be (not a whole number, or fewer than one token for 32 bytes) is 0.
Reply read_reply(std::string_view body);

// What a server says in a body that is no reply: the error's message or detail, or the body's beginning.
std::string complaint(std::string_view body);

// Whether the answer to 429 is that an account has no credit left, which no pause brings back. A server's limit per
// minute may use the same words, so that only its codes count.
bool credit_is_spent(std::string_view body);

}  // namespace vlmprobe::models
