#include "vlmprobe/core/random.h"

#include "support.h"

using namespace vlmprobe::random;

TEST_CASE("philox gives the published known answers") {
  // Random123 1.14, kat_vectors: philox4x32 10 rounds.
  CHECK(philox({0, 0, 0, 0}, 0) == Counter{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  CHECK(philox({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, 0xffffffffffffffff) ==
        Counter{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, 0x299f31d0a4093822) ==
        Counter{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("uniform stays inside [0, 1) and its mean is one half") {
  CHECK(unit(0, 0) == 0.0);
  CHECK(unit(0xffffffff, 0xffffffff) < 1.0);

  double sum = 0;
  for (std::uint32_t i = 0; i < 10000; ++i) sum += uniform(7, Stream::kSampling, 1, 2, i);
  CHECK(sum / 10000 == doctest::Approx(0.5).epsilon(0.03));  // sigma of the mean 0.0029
}

TEST_CASE("a sequence repeats what its counters name, whatever came before") {
  Sequence first(3, Stream::kScene, 11), again(3, Stream::kScene, 11), other(3, Stream::kScene, 12);
  for (int i = 0; i < 5; ++i) {
    const double value = first.uniform();
    CHECK(value == again.uniform());
    CHECK(value != other.uniform());
    CHECK(value == uniform(3, Stream::kScene, 11, 0, static_cast<std::uint32_t>(i)));
  }
}

TEST_CASE("below covers its range and nothing else") {
  Sequence draws(5, Stream::kImages, 0);
  std::array<int, 4> seen{};
  for (int i = 0; i < 4000; ++i) ++seen.at(static_cast<std::size_t>(draws.below(4)));
  for (const int count : seen) CHECK(count == doctest::Approx(1000).epsilon(0.15));
}

TEST_CASE("hash is FNV-1a") {
  CHECK(hash("") == 0xcbf29ce484222325);
  CHECK(hash("a") == 0xaf63dc4c8601ec8c);  // published test vector
}
