// 16-bit floats as their bits, laid out as torch's, so that the kernels need no torch. For src/grpo only.
#pragma once

#include <bit>
#include <cstdint>
#include <limits>

namespace vlmprobe::grpo {

struct BFloat16 {
  std::uint16_t bits;
};
struct Half {
  std::uint16_t bits;
};

inline float to_float(float value) {
  return value;
}
inline float to_float(BFloat16 value) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(value.bits) << 16);
}
// Without a subnormal float on the way: a process may flush those to 0.
inline float to_float(Half value) {
  const std::uint32_t sign = (value.bits & 0x8000U) << 16, exponent = value.bits & 0x7C00U, rest = value.bits & 0x3FFU;
  if (exponent == 0) return static_cast<float>(rest) * (sign != 0 ? -0x1p-24F : 0x1p-24F);
  const std::uint32_t biased = exponent == 0x7C00U ? 0x7F800000U : (exponent << 13) + 0x38000000U;
  return std::bit_cast<float>(sign | biased | rest << 13);
}

template <class T>
inline constexpr T kMinusInfinity;
template <>
inline constexpr float kMinusInfinity<float> = -std::numeric_limits<float>::infinity();
template <>
inline constexpr BFloat16 kMinusInfinity<BFloat16> = {0xFF80};
template <>
inline constexpr Half kMinusInfinity<Half> = {0xFC00};

}  // namespace vlmprobe::grpo
