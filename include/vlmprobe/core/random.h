// Counter-based random numbers: Philox4x32-10. A draw is a pure function of (key, counter), so results do not depend
// on the number of threads, on the composition of a batch, or on what was drawn before.
//
//   key      64 bits, the seed
//   counter  four 32-bit words; vlmprobe uses (stream, a, b, c), for sampling (kSampling, step, sequence, position)
//
// Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011. The known-answer vectors
// of that work are in tests/cpp/core/random_test.cpp.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace vlmprobe::random {

using Counter = std::array<std::uint32_t, 4>;

// Streams keep draws for different purposes apart under one seed.
enum class Stream : std::uint32_t {
  kSampling = 1,
  kScene = 2,
  kQuestion = 3,
  kFault = 4,
  kVerifier = 5,
  kImages = 6,
  kBootstrap = 7
};

// One block of four independent uniform 32-bit words.
constexpr Counter philox(Counter counter, std::uint64_t key) {
  constexpr std::uint64_t kMultiplier0 = 0xD2511F53, kMultiplier1 = 0xCD9E8D57;
  auto key0 = static_cast<std::uint32_t>(key), key1 = static_cast<std::uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t product0 = kMultiplier0 * counter[0], product1 = kMultiplier1 * counter[2];
    counter = {static_cast<std::uint32_t>(product1 >> 32) ^ counter[1] ^ key0, static_cast<std::uint32_t>(product1),
               static_cast<std::uint32_t>(product0 >> 32) ^ counter[3] ^ key1, static_cast<std::uint32_t>(product0)};
    key0 += 0x9E3779B9;
    key1 += 0xBB67AE85;
  }
  return counter;
}

// Two words to a double in [0, 1) with 53 random bits.
constexpr double unit(std::uint32_t high, std::uint32_t low) {
  return static_cast<double>(((static_cast<std::uint64_t>(high) << 32) | low) >> 11) * 0x1.0p-53;
}

// The uniform number in [0, 1) that belongs to (seed, stream, a, b, c).
constexpr double uniform(std::uint64_t seed, Stream stream, std::uint32_t a, std::uint32_t b, std::uint32_t c) {
  const Counter word = philox({static_cast<std::uint32_t>(stream), a, b, c}, seed);
  return unit(word[0], word[1]);
}

// 64-bit FNV-1a of a text: names a counter after what it belongs to (a question, a fault id).
constexpr std::uint64_t hash(std::string_view text) {
  std::uint64_t value = 0xCBF29CE484222325;
  for (const char character : text) value = (value ^ static_cast<unsigned char>(character)) * 0x100000001B3;
  return value;
}

// Draws one after the other from the counters (stream, a, b, 0), (stream, a, b, 1), ... For code that needs an
// unknown number of draws, such as building a scene. Not thread-safe; copy it freely.
class Sequence {
 public:
  constexpr Sequence(std::uint64_t seed, Stream stream, std::uint32_t a, std::uint32_t b = 0)
      : seed_(seed), counter_{static_cast<std::uint32_t>(stream), a, b, 0} {}

  constexpr double uniform() {
    const Counter word = philox(counter_, seed_);
    ++counter_[3];
    return unit(word[0], word[1]);
  }
  // A whole number in [0, n); n >= 1.
  constexpr int below(int n) { return static_cast<int>(uniform() * n); }
  // True with probability p.
  constexpr bool chance(double p) { return uniform() < p; }

 private:
  std::uint64_t seed_;
  Counter counter_;
};

}  // namespace vlmprobe::random
