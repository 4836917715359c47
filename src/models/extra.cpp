#include "extra.h"

#include <array>
#include <string_view>

#include "json.h"
#include "vlmprobe/core/error.h"
#include "vlmprobe/text/detail/ascii.h"

namespace vlmprobe::models {
namespace {

constexpr auto kOp = "models::ChatClient";
constexpr std::array<std::string_view, 7> kLengths = {"maxtokens",       "maxcompletiontokens",
                                                      "maxoutputtokens",  //
                                                      "maxnewtokens",    "npredict",
                                                      "numpredict",      "maxtokenstosample"};
constexpr std::array<std::string_view, 5> kThinking = {"thinkingbudget", "thinkingtokenbudget", "reasoningbudget",
                                                       "budgettokens", "reasoningmaxtokens"};
constexpr std::array<std::string_view, 4> kCompletions = {"n", "bestof", "numreturnsequences", "candidatecount"};
constexpr std::array<std::string_view, 4> kNumbers = {"temperature", "topp", "frequencypenalty", "presencepenalty"};

// maxTokens, max-tokens and max_tokens are one name.
std::string plain(std::string_view name) {
  std::string out;
  for (const char c : name)
    if (c != '_' && c != '-') out += text::lower(c);
  return out;
}

template <std::size_t N>
bool is_one_of(const std::array<std::string_view, N>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

std::int64_t whole(const Json& value) {
  return static_cast<std::int64_t>(std::min<double>(value.get<double>(), static_cast<double>(kMostTokens)));
}

std::string shown(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace).substr(0, 60);
}

void expect_type(bool right, const std::string& name, std::string_view expected, const Json& value) {
  expect(right, kOp, "extra.{}: expected {}, got {}", name, expected, shown(value));
}

Json fields_of(const std::string& extra) {
  expect(!is_deep(extra), kOp, "extra: expected at most {} levels, got more", kDeepest);
  const Json fields = extra.empty() ? Json::object() : parsed(extra);
  expect(fields.is_object(), kOp, "extra: expected a JSON object, got '{}'", extra.substr(0, 60));
  const auto stream = fields.find("stream");
  const bool streams = stream != fields.end() && !stream->is_null() && *stream != false;
  expect(!fields.contains("messages") && !fields.contains("model") && !streams, kOp,
         "extra: expected neither messages, model nor stream, got '{}'", extra.substr(0, 60));
  return fields;
}

// Inner objects are a server's own: what looks like a length in them counts, whatever else they hold.
void add_inner(const Json& object, Lengths& out) {
  for (const auto& [name, value] : object.items()) {
    const std::string key = plain(name);
    if (value.is_object()) add_inner(value, out);
    if (!value.is_number() || !(value.get<double>() > 0)) continue;
    if (is_one_of(kLengths, key)) out.greatest = std::max(out.greatest, whole(value));
    if (is_one_of(kThinking, key)) out.thinking = std::max(out.thinking, whole(value));
  }
}

}  // namespace

Lengths lengths_of(const std::string& extra) {
  const Json fields = fields_of(extra);
  Lengths out;
  bool limited = false;
  for (const auto& [name, value] : fields.items()) {
    const std::string key = plain(name);
    if (name == "max_tokens") out.own = false;
    if (value.is_object()) add_inner(value, out);
    if (value.is_null()) continue;
    if (is_one_of(kNumbers, key)) expect_type(value.is_number(), name, "a number or null", value);
    if (is_one_of(kCompletions, key)) {
      expect_type(value.is_number_integer() && value.get<double>() >= 1, name, "a whole number of at least 1, or null",
                  value);
      out.completions *= value.get<double>();
    }
    const bool thinking = is_one_of(kThinking, key);
    if (!thinking && !is_one_of(kLengths, key)) continue;
    expect_type(value.is_number_integer(), name, "a whole number or null", value);
    const std::int64_t most = whole(value);
    out.endless = out.endless || most < (thinking ? 0 : 1);  // llama.cpp: -1 is without an end
    limited = limited || (!thinking && most > 0);
    std::int64_t& counted = thinking ? out.thinking : out.greatest;
    counted = std::max(counted, most);
  }
  out.endless = out.endless || (!out.own && !limited);
  return out;
}

void check_extra(const ChatOptions& options) {
  const Lengths lengths = lengths_of(options.extra);
  expect(!lengths.endless || (options.max_tokens == 0 && options.max_cost == 0), kOp,
         "extra: expected a length such as max_completion_tokens with a budget of tokens or cost, got '{}'",
         options.extra.substr(0, 60));
}

}  // namespace vlmprobe::models
