#include "chat_body.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "vlmprobe/core/error.h"
#include "vlmprobe/text/utf8.h"

namespace vlmprobe::models {
namespace {

using Json = nlohmann::json;

constexpr auto kOp = "models::reply";
constexpr std::string_view kThinking = "<think>", kAnswer = "</think>";

Json parsed(std::string_view text) {
  return Json::parse(text, nullptr, /*allow_exceptions=*/false);
}

std::string quoted(const std::string& text) {
  return Json(text).dump(-1, ' ', false, Json::error_handler_t::replace);
}

// Everything but the messages.
Json fields_of(const Request& request, const ChatOptions& options) {
  Json fields = {{"model", options.model},
                 {"max_tokens", request.sampling.max_tokens},
                 {"temperature", request.sampling.temperature},
                 {"top_p", request.sampling.top_p}};
  if (request.sampling.seed) fields["seed"] = *request.sampling.seed;
  if (options.schema && !request.schema.empty())
    fields["response_format"] = {
        {"type", "json_schema"},
        {"json_schema", {{"name", "reply"}, {"strict", true}, {"schema", parsed(request.schema)}}}};
  if (!options.extra.empty()) fields.update(parsed(options.extra));
  return fields;
}

void append_message(std::string& out, const Message& message, const ImageText& image) {
  out += "{\"role\":" + quoted(message.role) + ",\"content\":";
  if (message.images.empty()) {
    out += quoted(message.text) + "}";
    return;
  }
  out += "[";
  for (const auto& each : message.images) {
    out += R"({"type":"image_url","image_url":{"url":"data:)" + each->media_type + ";base64,";
    out.append(image(*each));
    out += "\"}},";
  }
  out += R"({"type":"text","text":)" + quoted(message.text) + "}]}";
}

std::string text_at(const Json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

// A string, or the text parts of a list; anything else is no text.
std::string content_of(const Json& message) {
  const auto content = message.find("content");
  if (content == message.end() || !content->is_array()) return text_at(message, "content");
  std::string text;
  for (const Json& part : *content)
    if (part.is_object()) text += text_at(part, "text");
  return text;
}

std::int64_t count_at(const Json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end() || !found->is_number()) return 0;
  const double count = found->get<double>();
  return count >= 0 && count < 1e15 ? static_cast<std::int64_t>(count) : 0;
}

bool is_blank(std::string_view text) {
  return text.find_first_not_of(" \t\r\n\f\v") == text.npos;
}

// Moves the thinking out of `text`; false when it has no end.
bool split_thinking(Reply& reply) {
  if (const auto end = reply.text.rfind(kAnswer); end != std::string::npos) {
    const std::string thinking = reply.text.substr(0, end);
    const std::size_t begin = thinking.find(kThinking);
    reply.reasoning += begin == std::string::npos ? thinking : thinking.substr(begin + kThinking.size());
    reply.text.erase(0, end + kAnswer.size());
    reply.text.erase(0, std::min(reply.text.find_first_not_of(" \t\r\n"), reply.text.size()));
    return true;
  }
  const std::size_t begin = reply.text.find_first_not_of(" \t\r\n");
  if (begin == std::string::npos || reply.text.compare(begin, kThinking.size(), kThinking) != 0) return true;
  reply.reasoning += reply.text.substr(begin + kThinking.size());
  reply.text.clear();
  return false;
}

Reply unreadable(std::string error) {
  Reply reply;
  reply.error = std::move(error);
  return reply;
}

std::string shortened(const std::string& text) {
  return text.size() <= 300 ? text : text::well_formed(text.substr(0, 300));
}

// What a server says in `error`: a text, or an object with a message.
std::string said(const Json& error) {
  const std::string text = error.is_object()   ? text_at(error, "message")
                           : error.is_string() ? error.get<std::string>()
                                               : "";
  return shortened(text);
}

}  // namespace

void check_request(const Request& request, std::size_t place) {
  const Sampling& sampling = request.sampling;
  expect(!request.messages.empty(), kOp, "requests[{}].messages: expected at least one, got none", place);
  for (const Message& message : request.messages) {
    expect(message.role == "system" || message.role == "user" || message.role == "assistant", kOp,
           "requests[{}].role: expected system, user or assistant, got '{}'", place, message.role);
    for (const auto& image : message.images) {
      expect(image && !image->data.empty(), kOp, "requests[{}].images: expected an image's bytes, got none", place);
      expect(image->sha256.size() == 64, kOp, "requests[{}].images: expected a sha256 of 64 digits, got {}", place,
             image->sha256.size());
      expect(image->media_type.find_first_of("\"\\;, \r\n") == std::string::npos, kOp,
             "requests[{}].images: expected a media type such as image/png, got '{}'", place, image->media_type);
    }
  }
  expect(std::isfinite(sampling.temperature) && sampling.temperature >= 0, kOp,
         "requests[{}].temperature: expected at least 0, got {}", place, sampling.temperature);
  expect(sampling.top_p > 0 && sampling.top_p <= 1, kOp, "requests[{}].top_p: expected (0, 1], got {}", place,
         sampling.top_p);
  expect(sampling.max_tokens >= 1, kOp, "requests[{}].max_tokens: expected at least 1, got {}", place,
         sampling.max_tokens);
  expect(request.schema.empty() || parsed(request.schema).is_object(), kOp,
         "requests[{}].schema: expected a JSON object, got '{}'", place, request.schema.substr(0, 60));
}

void check_extra(const std::string& extra) {
  const Json fields = extra.empty() ? Json::object() : parsed(extra);
  expect(fields.is_object(), "models::ChatClient", "extra: expected a JSON object, got '{}'", extra.substr(0, 60));
  expect(!fields.contains("messages") && !fields.value("stream", false), "models::ChatClient",
         "extra: expected neither messages nor stream, got '{}'", extra.substr(0, 60));
}

std::string body_of(const Request& request, const ChatOptions& options, const ImageText& image) {
  std::string body = fields_of(request, options).dump(-1, ' ', false, Json::error_handler_t::replace);
  body.back() = ',';
  body += "\"messages\":[";
  for (std::size_t m = 0; m < request.messages.size(); ++m) {
    if (m > 0) body += ",";
    append_message(body, request.messages[m], image);
  }
  return body + "]}";
}

std::string key_of(const Request& request, const ChatOptions& options) {
  return body_of(request, options, [](const EncodedImage& image) -> std::string_view { return image.sha256; }) + "#" +
         std::to_string(request.vote);
}

std::string complaint(std::string_view body) {
  const Json json = parsed(body);
  for (const char* const name : {"error", "detail"})
    if (const auto found = json.is_object() ? json.find(name) : json.end(); found != json.end())
      if (const std::string text = said(*found); !text.empty()) return text;
  return shortened(text::well_formed(body.substr(0, 300)));
}

bool credit_is_spent(std::string_view body) {
  const Json json = parsed(body);
  const auto error = json.is_object() ? json.find("error") : json.end();
  if (error == json.end() || !error->is_object()) return false;
  for (const char* const field : {"code", "type"})
    for (const char* const spent :
         {"insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "exceeded_current_quota_error"})
      if (text_at(*error, field) == spent) return true;
  return false;
}

Reply read_reply(std::string_view body) {
  Json json = parsed(body);
  if (json.is_discarded()) json = parsed(text::well_formed(body));
  if (!json.is_object()) return unreadable("the body is no JSON object");
  const auto choices = json.find("choices");
  const bool has_choice = choices != json.end() && choices->is_array() && !choices->empty();
  const auto error = json.find("error");
  if (!has_choice && error != json.end() && !error->is_null()) return unreadable("the body says: " + said(*error));
  if (!has_choice || !(*choices)[0].is_object()) return unreadable("the body has no choices");
  const Json& choice = (*choices)[0];
  const auto message = choice.find("message");
  if (message == choice.end() || !message->is_object()) return unreadable("the body has no message");

  Reply reply;
  reply.text = content_of(*message);
  reply.reasoning = text_at(*message, message->contains("reasoning") ? "reasoning" : "reasoning_content");
  reply.finish_reason = text_at(choice, "finish_reason");
  if (const auto usage = json.find("usage"); usage != json.end() && usage->is_object())
    reply.usage = {count_at(*usage, "prompt_tokens"), count_at(*usage, "completion_tokens")};

  const bool thought = split_thinking(reply);
  const bool cut = reply.finish_reason == "length";
  reply.error = shortened(text_at(*message, "refusal"));
  if (!reply.error.empty() || reply.finish_reason == "content_filter") {
    reply.status = Status::refusal;
  } else if (cut) {
    reply.status = Status::truncated;
  } else {
    reply.status = !thought || is_blank(reply.text) ? Status::empty : Status::ok;
  }
  if (reply.status != Status::ok && reply.status != Status::truncated) reply.text.clear();
  return reply;
}

}  // namespace vlmprobe::models
