#include "../../../src/grpo/half.h"

#include <c10/util/BFloat16.h>
#include <c10/util/Half.h>

#include <cmath>

#include "support.h"

using namespace vlmprobe::grpo;

namespace {

bool same(float a, float b) {
  return std::isnan(a) ? std::isnan(b) : std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b);
}

}  // namespace

TEST_CASE("every 16-bit float is the number that torch takes it for") {
  int wrong = 0;
  for (std::uint32_t bits = 0; bits < 65536; ++bits) {
    const auto word = static_cast<std::uint16_t>(bits);
    wrong += !same(to_float(Half{word}), static_cast<float>(c10::Half(word, c10::Half::from_bits())));
    wrong += !same(to_float(BFloat16{word}), static_cast<float>(c10::BFloat16(word, c10::BFloat16::from_bits())));
  }
  CHECK(wrong == 0);
  CHECK(to_float(kMinusInfinity<Half>) == to_float(kMinusInfinity<BFloat16>));
}
