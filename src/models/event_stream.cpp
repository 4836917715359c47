#include "event_stream.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "vlmprobe/models/finish.h"
#include "vlmprobe/text/detail/utf8.h"

namespace vlmprobe::models {
namespace {

using Json = nlohmann::json;

struct Event {
  std::string kind;
  std::vector<std::string_view> lines;  // of its data
};

std::vector<Event> events_of(std::string_view stream) {
  std::vector<Event> events(1);
  while (!stream.empty()) {
    const std::size_t end = std::min(stream.find_first_of("\r\n"), stream.size());
    const std::string_view line = stream.substr(0, end);
    stream.remove_prefix(std::min(end + (stream.substr(end).starts_with("\r\n") ? 2 : 1), stream.size()));
    const std::size_t colon = std::min(line.find(':'), line.size());
    std::string_view value = line.substr(std::min(colon + 1, line.size()));
    if (value.starts_with(' ')) value.remove_prefix(1);
    if (line.empty() && !events.back().lines.empty()) events.emplace_back();
    if (line.substr(0, colon) == "event") events.back().kind = value;
    if (line.substr(0, colon) == "data") events.back().lines.push_back(value);
  }
  return events;
}

// One document on several lines, or, as some servers write, one on each.
std::vector<std::string> documents_of(const Event& event) {
  std::string joined;
  for (const std::string_view line : event.lines) joined += std::string(joined.empty() ? "" : "\n") + std::string(line);
  if (event.lines.size() < 2 || Json::accept(text::well_formed(joined))) return {joined};
  return {event.lines.begin(), event.lines.end()};
}

// What is nested deeper than any reply is left out.
Json chunk_of(const std::string& document) {
  const auto keep = [](int depth, Json::parse_event_t, const Json&) { return depth < 16; };
  return Json::parse(text::well_formed(document), keep, /*allow_exceptions=*/false);
}

Assembled told(const Json& error) {
  return {Json({{"error", error}}).dump(-1, ' ', false, Json::error_handler_t::replace), {}};
}

// Appends what a chunk adds to a field of the message: texts are joined, anything else stands for itself.
void add(Json& message, const std::string& name, const Json& value) {
  if (value.is_null() || (name == "role" && (value == "" || value == "assistant"))) return;
  Json& known = message[name];
  if (value.is_array() && known.is_string()) known = Json::array({{{"type", "text"}, {"text", known}}});
  if (value.is_string() && known.is_array()) return known.push_back({{"type", "text"}, {"text", value}});
  if (known.is_string() && value.is_string()) {
    known.get_ref<std::string&>() += value.get_ref<const std::string&>();
  } else if (known.is_array() && value.is_array()) {
    known.insert(known.end(), value.begin(), value.end());
  } else {
    known = value;
  }
}

// The first choice of a chunk, if it says anything of it.
const Json* first_choice(const Json& chunk) {
  const auto choices = chunk.find("choices");
  if (choices == chunk.end() || !choices->is_array()) return nullptr;
  const auto first = [](const Json& choice) { return choice.is_object() && choice.value("index", Json(0)) == 0; };
  const auto found = std::find_if(choices->begin(), choices->end(), first);
  return found == choices->end() ? nullptr : &*found;
}

// What ended so stays so, whatever a later chunk says.
bool ended_badly(const Json& choice) {
  const auto reason = choice.find("finish_reason");
  const bool told = reason != choice.end() && reason->is_string() && *reason != "";
  return told && finish_of(reason->get_ref<const std::string&>()) != Finish::whole;
}

void add_chunk(Json& body, Json& choice, const Json& chunk) {
  for (const auto& [name, value] : chunk.items())
    if (name != "choices" && !value.is_null()) body[name] = value;
  const Json* const more = first_choice(chunk);
  if (more == nullptr) return;
  for (const auto& [name, value] : more->items()) {
    if (name != "delta" && name != "message") {
      if (!value.is_null() && !(name == "finish_reason" && ended_badly(choice))) choice[name] = value;
    } else if (value.is_object()) {
      for (const auto& [field, text] : value.items()) add(choice["message"], field, text);
    }
  }
}

}  // namespace

bool is_event_stream(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(" \t\r\n"), text.size()));
  return text.starts_with(':') || text.starts_with("data:") || text.starts_with("event:") || text.starts_with("id:") ||
         text.starts_with("retry:");
}

Assembled assembled(std::string_view stream) {
  Json body = Json::object(), choice = {{"message", {{"content", ""}}}};
  for (const Event& event : events_of(stream))
    for (const std::string& document : documents_of(event)) {
      if (document.empty()) continue;
      if (document == "[DONE]") {
        if (!choice.contains("finish_reason")) return {{}, "the stream of events has no finish_reason"};
        body["choices"] = {choice};
        return {body.dump(-1, ' ', false, Json::error_handler_t::replace), {}};
      }
      const Json chunk = chunk_of(document);
      if (chunk.is_object() && chunk.contains("error") && !chunk["error"].is_null()) return told(chunk["error"]);
      if (event.kind == "error") return told(chunk.is_discarded() ? Json(document) : chunk);
      if (!chunk.is_object()) return {{}, "the stream of events holds what is no JSON object"};
      add_chunk(body, choice, chunk);
    }
  return {{}, "the stream of events ended before [DONE]"};
}

}  // namespace vlmprobe::models
