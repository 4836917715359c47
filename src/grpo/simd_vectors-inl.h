// Vectors of logits for kernels_simd.cpp: 2^t, and reading and writing float32, bfloat16 and float16.
// Compiled once per instruction set, as Highway's own headers of this ending are: the guard below toggles with each.
#if defined(VLMPROBE_GRPO_SIMD_VECTORS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef VLMPROBE_GRPO_SIMD_VECTORS_INL_H_
#undef VLMPROBE_GRPO_SIMD_VECTORS_INL_H_
#else
#define VLMPROBE_GRPO_SIMD_VECTORS_INL_H_
#endif

#include <algorithm>
#include <array>
#include <limits>

#include <hwy/cache_control.h>
#include <hwy/highway.h>

#include "kernels.h"

#if HWY_TARGET != HWY_SCALAR && !HWY_TARGET_IS_SVE && HWY_TARGET != HWY_RVV
HWY_BEFORE_NAMESPACE();
namespace vlmprobe::grpo {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

using D = hn::CappedTag<float, kTileLanes>;
using V = hn::Vec<D>;

constexpr std::int64_t kBlock = 2048;  // logits whose sums are kept in float32 before they go to double
constexpr double kRise = 65536;        // a block whose sum of 2^t is more rises too far above the reference: done again
#if HWY_TARGET == HWY_AVX3
constexpr float kFloor = -200;  // of t: 2^t is exactly 0 from here down
#else
constexpr float kFloor = -127;
#endif
constexpr float kLowest = -3e38F;  // a reference in place of -inf
constexpr float kInfinity = std::numeric_limits<float>::infinity();

std::int64_t lanes() {
  return static_cast<std::int64_t>(hn::Lanes(D()));
}

// t held to [kFloor, inf). The order of the arguments matters: x86's maximum returns its second one when either is NaN.
HWY_INLINE V floor_t(V t) {
  return hn::Max(hn::Set(D(), kFloor), t);
}

#if HWY_TARGET == HWY_AVX3

// 2^t by a table of 2^(k/16), a polynomial of degree 2 in what is left of t (minimax, relative error 4e-7, 2^0 = 1),
// and AVX-512's scaling by a power of 2, which overflows to inf and underflows to 0 as it should. Any t but -inf (NaN).
class Exp2 {
 public:
  Exp2() : table_(hn::LoadU(D(), kTable.data())) {}

  // What 2^t is taken of, for sums of t 2^t.
  HWY_INLINE V argument(V t) const { return t; }

  HWY_INLINE V operator()(V t) const {
    const D d;
    const hn::RebindToSigned<D> di;
    const V magic = hn::Set(d, 786432.0F);  // 1.5 * 2^23 / 16: adding it rounds to a multiple of 1/16
    const V shifted = hn::Add(t, magic);
    const V rounded = hn::Sub(shifted, magic);
    const V f = hn::Sub(t, rounded);
    const V power(_mm512_permutexvar_ps(hn::BitCast(di, shifted).raw, table_.raw));  // by the low 4 bits
    const V rest = hn::Mul(f, hn::MulAdd(hn::Set(d, 0.24022643F), f, hn::Set(d, 0.693187721F)));
    return V(_mm512_scalef_ps(hn::MulAdd(power, rest, power).raw, rounded.raw));
  }

 private:
  // 2^(k/16)
  static constexpr std::array<float, 16> kTable = {
      1.0F,        1.04427378F, 1.09050773F, 1.13878863F, 1.18920712F, 1.24185781F, 1.29683955F, 1.35425555F,
      1.41421356F, 1.47682615F, 1.54221083F, 1.61049033F, 1.68179283F, 1.75625216F, 1.83400809F, 1.91520656F};
  V table_;
};

#else

// 2^t for t held to [-127, 127]: the integer part goes into the exponent, the rest through a polynomial of degree 5
// (minimax, relative error 1e-7, 2^0 = 1 exactly). t = -127 gives +0.
class Exp2 {
 public:
  HWY_INLINE V argument(V t) const { return hn::Min(hn::Set(D(), -kFloor), floor_t(t)); }

  HWY_INLINE V operator()(V t) const {
    const D d;
    const hn::RebindToSigned<D> di;
    const V magic = hn::Set(d, 12582912.0F);  // 1.5 * 2^23: adding it rounds to an integer in the low bits
    const V shifted = hn::Add(t, magic);
    const V f = hn::Sub(t, hn::Sub(shifted, magic));
    V p = hn::MulAdd(hn::Set(d, 0.00132647068F), f, hn::Set(d, 0.0096715123F));
    p = hn::MulAdd(p, f, hn::Set(d, 0.055507338F));
    p = hn::MulAdd(p, f, hn::Set(d, 0.240222421F));
    p = hn::MulAdd(p, f, hn::Set(d, 0.693146978F));
    p = hn::MulAdd(p, f, hn::Set(d, 1.0F));
    return hn::BitCast(d, hn::Add(hn::BitCast(di, p), hn::ShiftLeft<23>(hn::BitCast(di, shifted))));
  }
};

#endif

HWY_INLINE double sum(V v) {
  return hn::GetLane(hn::SumOfLanes(D(), v));
}

// Two vectors of logits from 2 * lanes() of them. The order within the two does not matter to sums, so the two
// bfloat16 of a 32-bit word are taken apart with one operation each.
struct Pair {
  V first, second;
};

// kStream: past the caches, for memory that nobody reads soon; aligned to a vector then.
template <bool kStream, class Tag, class Vector, class T>
HWY_INLINE void put(Vector v, Tag tag, T* out) {
  if constexpr (kStream) {
    hn::Stream(v, tag, out);
  } else {
    hn::StoreU(v, tag, out);
  }
}

HWY_INLINE Pair load(const float* x) {
  return {hn::LoadU(D(), x), hn::LoadU(D(), x + hn::Lanes(D()))};
}
template <bool kStream>
HWY_INLINE void store(Pair v, float* out) {
  put<kStream>(v.first, D(), out);
  put<kStream>(v.second, D(), out + hn::Lanes(D()));
}

HWY_INLINE Pair load(const BFloat16* x) {
  const hn::RebindToUnsigned<D> du;
  const auto words = hn::LoadU(du, reinterpret_cast<const std::uint32_t*>(x));
  return {hn::BitCast(D(), hn::ShiftLeft<16>(words)), hn::BitCast(D(), hn::And(words, hn::Set(du, 0xFFFF0000U)))};
}
// To nearest, ties to even, in the upper half of each word.
HWY_INLINE hn::Vec<hn::RebindToUnsigned<D>> rounded_bf16(V v) {
  const hn::RebindToUnsigned<D> du;
  const auto bits = hn::BitCast(du, v);
  const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(du, 1U));
  return hn::Add(bits, hn::Add(odd, hn::Set(du, 0x7FFFU)));
}
template <bool kStream>
HWY_INLINE void store(Pair v, BFloat16* out) {
  const hn::RebindToUnsigned<D> du;
  const auto low = hn::ShiftRight<16>(rounded_bf16(v.first));
  const auto high = hn::And(rounded_bf16(v.second), hn::Set(du, 0xFFFF0000U));
  put<kStream>(hn::Or(low, high), du, reinterpret_cast<std::uint32_t*>(out));
}

HWY_INLINE Pair load(const Half* x) {
  const hn::Rebind<hwy::float16_t, D> dh;
  const auto* half = reinterpret_cast<const hwy::float16_t*>(x);
  return {hn::PromoteTo(D(), hn::LoadU(dh, half)), hn::PromoteTo(D(), hn::LoadU(dh, half + hn::Lanes(D())))};
}
template <bool kStream>
HWY_INLINE void store(Pair v, Half* out) {
  const hn::Rebind<hwy::float16_t, D> dh;
  auto* half = reinterpret_cast<hwy::float16_t*>(out);
  put<kStream>(hn::DemoteTo(dh, v.first), dh, half);
  put<kStream>(hn::DemoteTo(dh, v.second), dh, half + hn::Lanes(D()));
}

// A whole number of pairs: the end of a row, filled up with `filler`.
constexpr std::int64_t kPairMax = 2 * kTileLanes;
template <class T>
std::array<T, kPairMax> tail(const T* x, std::int64_t size, T filler) {
  std::array<T, kPairMax> padded;
  padded.fill(filler);
  std::copy_n(x, size, padded.begin());
  return padded;
}

// Calls step(pointer) for every pair of a block; the last one may be a padded copy.
template <class T, class Step>
HWY_INLINE void each_pair(const T* x, std::int64_t size, Step&& step) {
  const std::int64_t pair = 2 * lanes();
  std::int64_t i = 0;
  for (; i + 2 * pair <= size; i += 2 * pair) {
    step(load(x + i), 0);
    step(load(x + i + pair), 1);
  }
  for (; i + pair <= size; i += pair) step(load(x + i), 0);
  if (i == size) return;
  const auto padded = tail(x + i, size - i, kMinusInfinity<T>);
  step(load(padded.data()), 0);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace vlmprobe::grpo
HWY_AFTER_NAMESPACE();
#endif

#endif
