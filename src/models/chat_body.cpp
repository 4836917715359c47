#include "chat_body.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "json.h"
#include "vlmprobe/core/error.h"
#include "vlmprobe/models/finish.h"
#include "vlmprobe/text/detail/ascii.h"
#include "vlmprobe/text/detail/utf8.h"
#include "vlmprobe/text/thinking.h"

namespace vlmprobe::models {
namespace {

constexpr auto kOp = "models::reply";
constexpr std::int64_t kMostBytesPerToken = 32;  // of prose in any script; runs of blanks may be longer

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

// Null, false and what is empty say nothing, as servers write that there is no error, no refusal and no call of a tool.
bool says_nothing(const Json& value) {
  return value.is_null() || value == false || value == "" || (value.is_structured() && value.empty());
}

bool says(const Json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && !says_nothing(*found);
}

bool is_blank(std::string_view text) {
  return text::clean(text, 1).empty();
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

// A message as what it is made of.
struct Words {
  std::string text, reasoning, refusal;
  bool tool = false;    // it calls one
  std::string foreign;  // what is in it that is not known
};

void add_part(const Json& part, Words& words) {
  const std::string type = part.is_object() ? text_at(part, "type") : "";
  const auto is = [&](std::string_view name) { return type == name; };
  if ((is("text") || is("output_text")) && part.contains("text") && part["text"].is_string()) {
    words.text += text_at(part, "text");
  } else if (is("thinking") || is("reasoning") || is("redacted_thinking")) {
    words.reasoning += text_at(part, "thinking") + text_at(part, "text");
  } else if (is("refusal")) {
    words.refusal +=
        is_blank(text_at(part, "refusal")) ? "a part of the message is a refusal" : text_at(part, "refusal");
  } else if (is("tool_use") || is("tool_call") || is("function_call")) {
    words.tool = true;
  } else {
    words.foreign = "a part of the type '" + shortened(type) + "'";
  }
}

Words words_of(const Json& message) {
  Words words;
  const auto content = message.find("content");
  if (content == message.end() || content->is_null()) {
  } else if (content->is_string()) {
    words.text = content->get<std::string>();
  } else if (content->is_array()) {
    for (const Json& part : *content) add_part(part, words);
  } else {
    words.foreign = "content that is neither a text nor parts";
  }
  for (const char* const name : {"reasoning", "reasoning_content"})
    if (const std::string thought = text_at(message, name); words.reasoning.empty()) words.reasoning = thought;
  if (says(message, "refusal")) words.refusal = text_at(message, "refusal") + words.refusal;
  if (says(message, "refusal") && is_blank(words.refusal)) words.refusal = "the message has a refusal";
  words.tool = words.tool || says(message, "tool_calls") || says(message, "function_call");
  const auto role = message.find("role");
  if (role != message.end() && !role->is_null() && *role != "assistant")
    words.foreign = "the role '" + shortened(text_at(message, "role")) + "'";
  return words;
}

// A whole number; 0 for anything else.
std::int64_t count_at(const Json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end() || !found->is_number()) return 0;
  const double count = found->get<double>();
  return count >= 0 && count <= 1e12 && count == std::floor(count) ? static_cast<std::int64_t>(count) : 0;
}

// Some servers count the thinking in the total alone.
Usage usage_of(const Json& body, std::size_t said_bytes) {
  const auto found = body.find("usage");
  if (found == body.end() || !found->is_object()) return {};
  Usage usage{count_at(*found, "prompt_tokens"), count_at(*found, "completion_tokens")};
  if (usage.prompt_tokens > 0)
    usage.completion_tokens = std::max(usage.completion_tokens, count_at(*found, "total_tokens") - usage.prompt_tokens);
  if (usage.completion_tokens * kMostBytesPerToken < static_cast<std::int64_t>(said_bytes)) usage.completion_tokens = 0;
  return usage;
}

// Without the marks around it.
std::string_view unmarked(std::string_view thought) {
  for (const auto& [opening, closing] : text::detail::kThinkingMarks) {
    const std::size_t end = thought.size() - std::min(thought.size(), closing.size());
    if (text::same_letters(thought.substr(end), closing)) thought = thought.substr(0, end);
    const std::size_t begin = std::min(thought.find_first_not_of(" \t\r\n"), thought.size());
    if (text::same_letters(thought.substr(begin, opening.size()), opening))
      thought.remove_prefix(begin + opening.size());
  }
  return thought;
}

// Moves the thinking out of `text`; false when it has no end.
bool split_thinking(Reply& reply) {
  const text::Thinking found = text::thinking(reply.text);
  const bool ended = found.open == std::string::npos;
  const std::size_t end = ended ? found.end : reply.text.size();
  reply.reasoning += unmarked(std::string_view(reply.text).substr(0, end));
  reply.text.erase(0, end);
  if (end > 0) reply.text.erase(0, std::min(reply.text.find_first_not_of(" \t\r\n"), reply.text.size()));
  return ended;
}

Reply unreadable(std::string error) {
  Reply reply;
  reply.error = std::move(error);
  return reply;
}

// An error inside or beside the choices outlives any text: a gateway that lost its server half-way says both.
std::string outage_in(const Json& body, std::string_view text) {
  const auto error_of = [](const Json& object) {
    const auto error = object.is_object() ? object.find("error") : object.end();
    if (error == object.end() || says_nothing(*error)) return std::string();
    const std::string words = said(*error);
    return "the body says: " + (words.empty() ? "an error without a message" : words);
  };
  std::string error = error_of(body);
  if (error.empty() && (text_at(body, "object") == "error" || text_at(body, "type") == "error" || says(body, "errors")))
    error = "the body says: " + complaint(text);
  const auto choices = body.find("choices");
  if (!error.empty()) return error;
  if (choices == body.end() || !choices->is_array() || choices->empty() || !(*choices)[0].is_object())
    return "the body has no choices: " + complaint(text);
  const Json& choice = (*choices)[0];
  const auto message = choice.find("message");
  if (error = error_of(choice); !error.empty()) return error;
  return message == choice.end() || !message->is_object() ? "the body has no message" : error_of(*message);
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
  expect(!is_deep(request.schema), kOp, "requests[{}].schema: expected at most {} levels, got more", place, kDeepest);
  expect(request.schema.empty() || parsed(request.schema).is_object(), kOp,
         "requests[{}].schema: expected a JSON object, got '{}'", place, request.schema.substr(0, 60));
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
  if (!json.is_object())
    return unreadable(is_blank(body) ? "the body is empty" : "the body is no JSON object: " + complaint(body));
  if (std::string error = outage_in(json, body); !error.empty()) {
    Reply reply = unreadable(std::move(error));
    reply.usage = usage_of(json, 0);
    return reply;
  }
  const Json& choice = json["choices"][0];
  Words words = words_of(choice["message"]);

  Reply reply;
  reply.usage = usage_of(json, words.text.size() + words.reasoning.size());
  reply.text = std::move(words.text), reply.reasoning = std::move(words.reasoning);
  reply.finish_reason = text_at(choice, "finish_reason");
  const bool thought = split_thinking(reply);
  const Finish finish = finish_of(reply.finish_reason);
  if (!words.refusal.empty() || finish == Finish::filtered) {
    reply.status = Status::refusal, reply.error = shortened(words.refusal);
  } else if (!words.foreign.empty()) {
    reply.error = "the message has " + words.foreign;
  } else if (finish == Finish::broken) {
    reply.error = "the reply ended with finish_reason '" + shortened(reply.finish_reason) + "', which is no answer's";
  } else if (finish == Finish::cut) {
    reply.status = Status::truncated;
  } else {
    const bool answers = finish == Finish::whole && !words.tool && thought && !is_blank(reply.text);
    reply.status = answers ? Status::ok : Status::empty;
  }
  if (reply.status != Status::ok && reply.status != Status::truncated) reply.text.clear();
  return reply;
}

}  // namespace vlmprobe::models
