#include "secrets.h"

#include <algorithm>
#include <charconv>

#include "base64.h"

namespace vlmprobe::models {
namespace {

constexpr std::string_view kMark = "[key]";
constexpr std::size_t kWord = 8;  // characters of the shortest key that is no word

struct Character {
  int value = -1;
  std::size_t bytes = 0;  // 0: no escape
};

Character number(std::string_view digits, int base, std::size_t around) {
  int value = -1;
  const char* const end = digits.data() + digits.size();
  return std::from_chars(digits.data(), end, value, base).ptr == end && !digits.empty()
             ? Character{value, digits.size() + around}
             : Character{};
}

// An escape of JSON (\u0041, \/), of a URL (%41) or of HTML (&#65; &#x41;) at the beginning of `text`.
Character escape(std::string_view text) {
  if (text.starts_with("\\u")) return text.size() < 6 ? Character{} : number(text.substr(2, 4), 16, 2);
  if (text.starts_with('\\')) return text.size() < 2 ? Character{} : Character{text[1], 2};
  if (text.starts_with('%')) return text.size() < 3 ? Character{} : number(text.substr(1, 2), 16, 1);
  if (!text.starts_with("&#")) return {};
  const bool hex = text.size() > 2 && (text[2] | 32) == 'x';
  const std::size_t end = std::min(text.substr(0, 10).find(';'), text.size()), begin = hex ? 3 : 2;
  return end <= begin || end == text.size() ? Character{}
                                            : number(text.substr(begin, end - begin), hex ? 16 : 10, begin + 1);
}

// Bytes of `text` from `at` on that spell the key, or at least the first half of a long one; 0: none.
std::size_t spelling(std::string_view text, std::size_t at, std::string_view key) {
  std::size_t end = at, known = 0;
  for (; known < key.size() && end < text.size(); ++known) {
    const Character escaped = text[end] == key[known] ? Character{} : escape(text.substr(end));
    if (text[end] != key[known] && escaped.value != key[known]) break;
    end += escaped.bytes == 0 ? 1 : escaped.bytes;
  }
  const bool most = known >= 12 && 2 * known >= key.size();
  return known == key.size() || most ? end - at : 0;
}

// What base64 makes of the key inside a longer text: it depends on where the key begins, and on its neighbours at both
// ends.
std::string inner_base64(std::string_view key, std::size_t offset) {
  const std::string text = base64(std::string(offset, ' ') + std::string(key));
  const std::size_t begin = offset == 0 ? 0 : offset + 1, end = (offset + key.size()) * 4 / 3;
  return text.substr(begin, end - begin);
}

// The end of the string of JSON that begins at `at`, past its quote.
std::size_t end_of_string(std::string_view json, std::size_t at) {
  for (++at; at < json.size() && json[at] != '"'; ++at)
    if (json[at] == '\\') ++at;
  return std::min(at + 1, json.size());
}

bool is_name(std::string_view json, std::size_t end) {
  const std::size_t next = json.find_first_not_of(" \t\r\n", end);
  return next != json.npos && json[next] == ':';
}

}  // namespace

Secrets::Secrets(const std::vector<Endpoint>& endpoints, std::string_view proxy) {
  const auto add = [&](std::string_view key) {
    if (!key.empty()) spellings_.emplace_back(key);
    for (std::size_t offset = 0; offset < 3 && key.size() >= 12; ++offset)
      spellings_.push_back(inner_base64(key, offset));
  };
  for (const Endpoint& endpoint : endpoints) add(endpoint.key);
  const std::size_t host = proxy.rfind('@'), scheme = proxy.find("://");
  if (host != proxy.npos) {
    const std::size_t begin = proxy.find(':', scheme == proxy.npos ? 0 : scheme + 3);
    if (begin < host) add(proxy.substr(begin + 1, host - begin - 1));
  }
  const auto longer = [](const std::string& a, const std::string& b) { return a.size() > b.size(); };
  std::stable_sort(spellings_.begin(), spellings_.end(), longer);
}

std::size_t Secrets::spelled(std::string_view text, std::size_t at, std::size_t shortest) const {
  std::size_t most = 0;
  for (const std::string& key : spellings_)
    if (key.size() >= shortest) most = std::max(most, spelling(text, at, key));
  return most;
}

std::string Secrets::cut(std::string_view text, std::size_t shortest) const {
  if (spellings_.empty()) return std::string(text);
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t bytes = spelled(text, at, shortest);
    const std::size_t passed = std::max<std::size_t>(bytes, text[at] == '\\' ? 2 : 1);  // no escape is taken apart
    out += bytes == 0 ? text.substr(at, passed) : kMark;
    at += passed;
  }
  return out;
}

std::string Secrets::cut(std::string_view error) const {
  return cut(error, 1);
}

void Secrets::cut(Reply& reply) const {
  reply.error = cut(reply.error, 1);
  for (std::string* const text : {&reply.text, &reply.reasoning, &reply.finish_reason}) *text = cut(*text, kWord);
}

std::string Secrets::cut_body(std::string_view body, bool answer) const {
  const std::size_t shortest = answer ? kWord : 1, first = body.find_first_not_of(" \t\r\n");
  if (first == body.npos || (body[first] != '{' && body[first] != '[')) return cut(body, shortest);
  std::string out;
  for (std::size_t at = 0; at < body.size();) {
    const std::size_t begin = std::min(body.find('"', at), body.size());
    out += body.substr(at, begin - at);
    const std::size_t end = begin < body.size() ? end_of_string(body, begin) : begin;
    const std::string_view quoted = body.substr(begin, end - begin);
    out += is_name(body, end) || quoted.size() < 2 ? std::string(quoted) : cut(quoted, shortest);
    at = end;
  }
  return out;
}

}  // namespace vlmprobe::models
