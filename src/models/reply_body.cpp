#include "reply_body.h"

#include <algorithm>
#include <utility>

#include "chat_body.h"
#include "event_stream.h"
#include "vlmprobe/text/detail/ascii.h"
#include "vlmprobe/text/detail/utf8.h"

namespace vlmprobe::models {
namespace {

constexpr std::string_view kUtf8Mark = "\xEF\xBB\xBF";

// UTF-16 by its mark, or by the zero byte beside the first character, which in JSON is ASCII.
enum class Units { bytes, low_first, high_first };
Units units_of(std::string_view body) {
  if (body.size() < 2 || body.size() % 2 != 0) return Units::bytes;
  if (body.starts_with("\xFF\xFE") || (body[0] != 0 && body[1] == 0)) return Units::low_first;
  return body.starts_with("\xFE\xFF") || (body[0] == 0 && body[1] != 0) ? Units::high_first : Units::bytes;
}

std::string from_utf16(std::string_view body, Units units) {
  const auto unit = [&](std::size_t at) -> char32_t {
    const auto a = static_cast<unsigned char>(body[at]), b = static_cast<unsigned char>(body[at + 1]);
    return units == Units::low_first ? a | b << 8 : b | a << 8;
  };
  std::string out;
  for (std::size_t at = 0; at + 1 < body.size(); at += 2) {
    char32_t value = unit(at);
    const char32_t low = at + 3 < body.size() ? unit(at + 2) : 0;
    if (value >= 0xD800 && value < 0xDC00 && low >= 0xDC00 && low < 0xE000) {
      value = 0x10000 + ((value - 0xD800) << 10) + (low - 0xDC00);
      at += 2;
    } else if (value >= 0xD800 && value < 0xE000) {
      value = text::kReplacement;
    }
    text::append(out, value);
  }
  return out;
}

bool is_compressed(std::string_view body) {
  return body.starts_with("\x1F\x8B") || body.starts_with("\x28\xB5\x2F\xFD") || body.starts_with("x\x9C") ||
         body.starts_with("x\x01") || body.starts_with("x\xDA");
}

bool is_page(std::string_view text) {
  text = text::trimmed(text);
  const std::string_view begin = text.substr(0, text.find_first_of(" >\r\n\t"));
  return text::same_letters(begin, "<!doctype") || text::same_letters(begin, "<html") ||
         text::same_letters(begin, "<head") || text::same_letters(begin, "<body");
}

std::string shortened(std::string_view text) {
  return text::well_formed(text::clean(text, 300).substr(0, 300));
}

// The title, or what stands between the tags.
std::string words_of_page(std::string_view page) {
  std::string lower(page.substr(0, 65536));
  std::transform(lower.begin(), lower.end(), lower.begin(), text::lower);
  const std::size_t title = lower.find("<title"), begin = lower.find('>', std::min(title, lower.size()));
  const std::size_t end = lower.find("</title", std::min(begin, lower.size()));
  if (end != lower.npos) return shortened(page.substr(begin + 1, end - begin - 1));
  std::string words;
  for (bool inside = false; const char character : page.substr(0, lower.size())) {
    inside = character == '<' || (inside && character != '>');
    if (!inside) words += character == '>' ? ' ' : character;
  }
  return shortened(words);
}

}  // namespace

std::string text_of(std::string body) {
  if (const Units units = units_of(body); units != Units::bytes) body = from_utf16(body, units);
  if (body.starts_with(kUtf8Mark)) body.erase(0, kUtf8Mark.size());
  return body;
}

JsonBody json_of(std::string text) {
  if (is_compressed(text))
    return {
        {}, "HTTP 200: the body is compressed, which no Content-Encoding says; set the server to send it plain", true};
  if (is_event_stream(text)) {
    auto [json, error] = assembled(text);
    return {std::move(json), std::move(error)};
  }
  if (is_page(text))
    return {{}, "a web page came in place of a reply ('" + words_of_page(text) + "'): is the URL the server's own?"};
  return {std::move(text), {}};
}

std::string words_in(std::string_view text) {
  if (is_page(text)) return words_of_page(text);
  if (is_event_stream(text))
    if (const Assembled made = assembled(text); made.error.empty()) return complaint(made.json);
  return complaint(text);
}

}  // namespace vlmprobe::models
