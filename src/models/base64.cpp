#include "base64.h"

#include <array>
#include <cstdint>
#include <cstring>
#include <vector>

namespace vlmprobe::models {
namespace {

constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

// The two digits of each 12 bits.
const std::vector<std::array<char, 2>>& pairs() {
  static const std::vector<std::array<char, 2>> kPairs = [] {
    std::vector<std::array<char, 2>> made(4096);
    for (std::size_t i = 0; i < made.size(); ++i) made[i] = {kDigits[i >> 6], kDigits[i & 63]};
    return made;
  }();
  return kPairs;
}

}  // namespace

std::string base64(std::string_view bytes) {
  const auto& two = pairs();
  const auto byte = [&](std::size_t i) { return static_cast<std::uint32_t>(static_cast<unsigned char>(bytes[i])); };
  std::string out((bytes.size() + 2) / 3 * 4, '=');
  char* to = out.data();
  std::size_t i = 0;
  for (; i + 3 <= bytes.size(); i += 3, to += 4) {
    const std::uint32_t bits = byte(i) << 16 | byte(i + 1) << 8 | byte(i + 2);
    std::memcpy(to, two[bits >> 12].data(), 2);
    std::memcpy(to + 2, two[bits & 4095].data(), 2);
  }
  if (const std::size_t rest = bytes.size() - i; rest > 0) {
    const std::uint32_t bits = byte(i) << 16 | (rest == 2 ? byte(i + 1) << 8 : 0);
    std::memcpy(to, two[bits >> 12].data(), 2);
    if (rest == 2) to[2] = kDigits[bits >> 6 & 63];
  }
  return out;
}

}  // namespace vlmprobe::models
