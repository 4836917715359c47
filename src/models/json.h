// JSON that strangers wrote.
#pragma once

#include <nlohmann/json.hpp>
#include <string_view>

namespace vlmprobe::models {

using Json = nlohmann::json;

inline constexpr int kDeepest = 64;  // levels of what is copied or written: both take a stack frame for each

// Discarded when it is none. Reading it and letting go of it take no stack, however deep it is.
inline Json parsed(std::string_view text) {
  return Json::parse(text, nullptr, /*allow_exceptions=*/false);
}

inline bool is_deep(std::string_view text) {
  bool deep = false;
  const auto look = [&](int depth, Json::parse_event_t, Json&) {
    deep = deep || depth > kDeepest;
    return !deep;
  };
  [[maybe_unused]] const Json read = Json::parse(text, look, /*allow_exceptions=*/false);
  return deep;
}

}  // namespace vlmprobe::models
