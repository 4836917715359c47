// The loops of kernels.h in Google Highway: this file is compiled once per instruction set (foreach_target).
// Method: docs/decisions/0007-highway.md.
#include "kernels.h"

#if VLMPROBE_WITH_HIGHWAY

#include <algorithm>
#include <array>
#include <limits>
#include <vector>

#if !defined(__x86_64__)
#define HWY_COMPILE_ONLY_STATIC  // elsewhere one target serves
#endif
#define HWY_IS_DEBUG_BUILD 0  // its assertions need its library, which is not linked
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_AVX3_DL)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels_simd.cpp"
#include <hwy/foreach_target.h>
// After it, because it includes this file once per target.
#include <hwy/cache_control.h>
#include <hwy/highway.h>

// A machine with nothing better takes ATen's operators; vectors without a size do not fit into structs.
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

struct BlockSums {
  double sum, mean_sum;
  float maximum;  // -inf unless asked for
};

template <class T>
HWY_INLINE float block_maximum(const T* x, std::int64_t size) {
  const D d;
  V best = hn::Set(d, -kInfinity);
  each_pair(x, size, [&](Pair v, int) HWY_ATTR { best = hn::Max(best, hn::Max(v.first, v.second)); });
  return hn::GetLane(hn::MaxOfLanes(d, best));
}

// Sums of 2^t and t 2^t over a block, and its maximum if asked for, in one pass. Not finite where some t is too large
// or, unless `careful`, too small.
template <bool kMaximum, bool kCareful, class T>
HWY_INLINE BlockSums block_sums(const T* x, std::int64_t size, float scale, float reference) {
  const D d;
  const Exp2 exp2;
  const V c = hn::Set(d, scale), from = hn::Set(d, reference);
  V sums[2] = {hn::Zero(d), hn::Zero(d)}, means[2] = {hn::Zero(d), hn::Zero(d)};
  V best = hn::Set(d, -kInfinity);
  const auto argument = [&](V v) HWY_ATTR {
    const V t = hn::Mul(hn::Sub(v, from), c);
    return exp2.argument(kCareful ? floor_t(t) : t);
  };
  each_pair(x, size, [&](Pair v, int which) HWY_ATTR {
    const V t0 = argument(v.first), t1 = argument(v.second);
    const V e0 = exp2(t0), e1 = exp2(t1);
    if (kMaximum) best = hn::Max(best, hn::Max(v.first, v.second));
    sums[which] = hn::Add(sums[which], hn::Add(e0, e1));
    means[which] = hn::MulAdd(e0, t0, hn::MulAdd(e1, t1, means[which]));
  });
  return {sum(hn::Add(sums[0], sums[1])), sum(hn::Add(means[0], means[1])),
          kMaximum ? hn::GetLane(hn::MaxOfLanes(d, best)) : -kInfinity};
}

template <class T>
bool holds_nan(const T* x, std::int64_t size) {
  return std::any_of(x, x + size, [](T value) { return std::isnan(to_float(value)); });
}

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

template <bool kMaximum, class T>
RowStatistics statistics_of(const T* x, std::int64_t size, float scale) {
  RowSums row;
  float reference = -kInfinity, maximum = -kInfinity;
  std::int64_t best_block = 0;
  for (std::int64_t begin = 0; begin < size; begin += kBlock) {
    const T* from = x + begin;
    const std::int64_t count = std::min(kBlock, size - begin);
    BlockSums block{kNan, kNan, -kInfinity};
    if (reference != -kInfinity) block = block_sums<kMaximum, false>(from, count, scale, reference);
    if (!(block.sum < kRise) || std::isnan(block.mean_sum)) {  // the first block, a rise, a banned token, or NaN
      const float peak = block_maximum(from, count);
      if (peak == -kInfinity) {
        if (holds_nan(from, count)) return RowStatistics::none();
        continue;
      }
      if (peak > reference) {
        reference = peak;
        row.raise(static_cast<double>(reference) * scale);
      }
      block = block_sums<kMaximum, true>(from, count, scale, reference);
    }
    row.sum += block.sum, row.mean_sum += block.mean_sum;
    if (block.maximum > maximum) maximum = block.maximum, best_block = begin;
  }
  RowStatistics result = row.statistics();
  if (kMaximum && !std::isnan(result.log2_sum)) {
    const auto equal = [&](T value) { return to_float(value) == maximum; };
    result.argmax = std::find_if(x + best_block, x + size, equal) - x;
  }
  return result;
}

template <class T>
RowStatistics statistics(const T* x, std::int64_t size, float scale, bool argmax) {
  return argmax ? statistics_of<true>(x, size, scale) : statistics_of<false>(x, size, scale);
}

bool aligned(const void* pointer) {
  return reinterpret_cast<std::uintptr_t>(pointer) % 64 == 0;
}

// p (constant + slope t), or p constant where there is no slope: the usual case, without an entropy term.
template <bool kSlope, bool kStream, class T>
HWY_INLINE void gradient_of(const T* x, T* out, std::int64_t size, const RowGradient& row) {
  const D d;
  const Exp2 exp2;
  const V c = hn::Set(d, row.scale), from = hn::Set(d, row.reference);
  const V constant = hn::Set(d, row.constant), slope = hn::Set(d, row.slope);
  const auto one = [&](V v) HWY_ATTR {
    const V t = exp2.argument(floor_t(hn::Mul(hn::Sub(v, from), c)));
    return hn::Mul(exp2(t), kSlope ? hn::MulAdd(slope, t, constant) : constant);
  };
  const std::int64_t pair = 2 * lanes();
  std::int64_t i = 0;
  for (; i + 2 * pair <= size; i += 2 * pair) {
    const Pair u = load(x + i), v = load(x + i + pair);
    store<kStream>({one(u.first), one(u.second)}, out + i);
    store<kStream>({one(v.first), one(v.second)}, out + i + pair);
  }
  for (; i < size; i += pair) {
    auto padded = tail(x + i, std::min(pair, size - i), T{});
    const Pair v = load(padded.data());
    store<false>({one(v.first), one(v.second)}, padded.data());
    std::copy_n(padded.begin(), std::min(pair, size - i), out + i);
  }
  if (kStream) hwy::FlushStream();
}

template <class T>
void gradient(const T* x, T* out, std::int64_t size, const RowGradient& row) {
  const bool slope = row.slope != 0, stream = x != out && aligned(out);
  if (slope) {
    stream ? gradient_of<true, true>(x, out, size, row) : gradient_of<true, false>(x, out, size, row);
  } else {
    stream ? gradient_of<false, true>(x, out, size, row) : gradient_of<false, false>(x, out, size, row);
  }
}

void zero(void* out, std::int64_t bytes) {
  const hn::CappedTag<std::uint8_t, 64> d;
  const auto step = static_cast<std::int64_t>(hn::Lanes(d));
  auto* to = static_cast<std::uint8_t*>(out);
  auto* const end = to + bytes;
  while (to < end && !aligned(to)) *to++ = 0;
  for (; to + step <= end; to += step) hn::Stream(hn::Zero(d), d, to);
  std::fill(to, end, std::uint8_t{0});
  hwy::FlushStream();
}

void tile_statistics(const float* x, TileShape shape, float scale, const TileStatistics& out) {
  const D d;
  const Exp2 exp2;
  const V c = hn::Set(d, scale), lowest = hn::Set(d, kLowest);
  const std::int64_t width = lanes();
  for (std::int64_t n = 0; n < shape.tokens; n += width) {
    V best = hn::Set(d, -kInfinity);
    for (std::int64_t r = 0; r < shape.rows; ++r) best = hn::Max(best, hn::LoadU(d, x + r * shape.stride + n));
    const V reference = hn::Max(lowest, best);
    V sums = hn::Zero(d), means = hn::Zero(d);
    for (std::int64_t r = 0; r < shape.rows; ++r) {
      const V t = exp2.argument(floor_t(hn::Mul(hn::Sub(hn::LoadU(d, x + r * shape.stride + n), reference), c)));
      const V e = exp2(t);
      sums = hn::Add(sums, e);
      means = hn::MulAdd(e, t, means);
    }
    hn::StoreU(reference, d, out.reference + n);
    hn::StoreU(sums, d, out.sum + n);
    hn::StoreU(means, d, out.mean_sum + n);
  }
}

void tile_gradient(const float* x, TileShape shape, const TileGradient& tile, float* out) {
  const D d;
  const Exp2 exp2;
  const V c = hn::Set(d, tile.scale);
  const std::int64_t width = lanes();
  for (std::int64_t r = 0; r < shape.rows; ++r)
    for (std::int64_t n = 0; n < shape.tokens; n += width) {
      const V logit = hn::LoadU(d, x + r * shape.stride + n);
      const V t = exp2.argument(floor_t(hn::Mul(hn::Sub(logit, hn::LoadU(d, tile.reference + n)), c)));
      const V factor = hn::MulAdd(hn::LoadU(d, tile.slope + n), t, hn::LoadU(d, tile.constant + n));
      hn::StoreU(hn::Mul(exp2(t), factor), d, out + r * shape.stride + n);
    }
}

void round_bf16(const float* in, BFloat16* out, std::int64_t size) {
  const D d;
  const hn::RebindToSigned<D> di;
  const hn::Rebind<std::uint16_t, D> dh;
  for (std::int64_t i = 0; i < size; i += lanes()) {
    const auto high = hn::ShiftRight<16>(rounded_bf16(hn::LoadU(d, in + i)));
    hn::StoreU(hn::DemoteTo(dh, hn::BitCast(di, high)), dh, reinterpret_cast<std::uint16_t*>(out + i));
  }
}

// A block of 4 x 4 words of 32 bits, or of 8 x 8 of 16 bits, is transposed by interleaving halves: words, then pairs.
HWY_INLINE void transpose_block(const float* in, std::int64_t in_stride, float* out, std::int64_t out_stride) {
  const hn::FixedTag<float, 4> d;
  const hn::Repartition<std::uint64_t, decltype(d)> d2;
  hn::Vec<decltype(d)> row[4];
  hn::Vec<decltype(d2)> pair[4];
  for (int i = 0; i < 4; ++i) row[i] = hn::LoadU(d, in + i * in_stride);
  for (int i = 0; i < 2; ++i) {
    pair[i] = hn::BitCast(d2, hn::InterleaveLower(d, row[2 * i], row[2 * i + 1]));
    pair[i + 2] = hn::BitCast(d2, hn::InterleaveUpper(d, row[2 * i], row[2 * i + 1]));
  }
  for (int i = 0; i < 2; ++i) {
    hn::StoreU(hn::BitCast(d, hn::InterleaveLower(d2, pair[2 * i], pair[2 * i + 1])), d, out + 2 * i * out_stride);
    hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(d2, pair[2 * i], pair[2 * i + 1])), d,
               out + (2 * i + 1) * out_stride);
  }
}

HWY_INLINE void transpose_block(const BFloat16* in, std::int64_t in_stride, BFloat16* out, std::int64_t out_stride) {
  const hn::FixedTag<std::uint16_t, 8> d;
  const hn::Repartition<std::uint32_t, decltype(d)> d2;
  const hn::Repartition<std::uint64_t, decltype(d)> d4;
  hn::Vec<decltype(d)> row[8];
  hn::Vec<decltype(d2)> pair[8];
  hn::Vec<decltype(d4)> quad[8];
  for (int i = 0; i < 8; ++i) row[i] = hn::LoadU(d, reinterpret_cast<const std::uint16_t*>(in + i * in_stride));
  for (int i = 0; i < 4; ++i) {  // pair[i] holds columns 0 to 3 of rows 2i and 2i + 1, pair[i + 4] columns 4 to 7
    pair[i] = hn::BitCast(d2, hn::InterleaveLower(d, row[2 * i], row[2 * i + 1]));
    pair[i + 4] = hn::BitCast(d2, hn::InterleaveUpper(d, row[2 * i], row[2 * i + 1]));
  }
  for (int half = 0; half < 8; half += 4)
    for (int i = 0; i < 2; ++i) {  // quad[half + 2c + i]: columns half + 2c and half + 2c + 1 of rows 4i to 4i + 3
      quad[half + i] = hn::BitCast(d4, hn::InterleaveLower(d2, pair[half + 2 * i], pair[half + 2 * i + 1]));
      quad[half + 2 + i] = hn::BitCast(d4, hn::InterleaveUpper(d2, pair[half + 2 * i], pair[half + 2 * i + 1]));
    }
  const auto write = [&](auto v, int column) HWY_ATTR {
    hn::StoreU(hn::BitCast(d, v), d, reinterpret_cast<std::uint16_t*>(out + column * out_stride));
  };
  for (int i = 0; i < 4; ++i) {
    write(hn::InterleaveLower(d4, quad[2 * i], quad[2 * i + 1]), 2 * i);
    write(hn::InterleaveUpper(d4, quad[2 * i], quad[2 * i + 1]), 2 * i + 1);
  }
}

template <class T>
void transpose(const T* in, std::int64_t in_stride, T* out, std::int64_t out_stride, std::int64_t rows,
               std::int64_t columns) {
  constexpr std::int64_t kSide = 16 / sizeof(T);
  for (std::int64_t r = 0; r < rows; r += kSide)
    for (std::int64_t c = 0; c < columns; c += kSide)
      transpose_block(in + r * in_stride + c, in_stride, out + c * out_stride + r, out_stride);
}

#if HWY_TARGET == HWY_AVX3
// Word k of the lower half is word k / 2 of the even row, or of the odd one (32 on) for odd k; the upper half goes on.
struct InterleaveIndex {
  alignas(64) std::uint16_t lower[32], upper[32];
  constexpr InterleaveIndex() : lower(), upper() {
    for (std::uint16_t k = 0; k < 32; ++k) {
      lower[k] = static_cast<std::uint16_t>(k / 2 + k % 2 * 32);
      upper[k] = static_cast<std::uint16_t>(lower[k] + 16);
    }
  }
};
constexpr InterleaveIndex kInterleave;
#endif

// 32 bits of `out` for each column: the even row's value below the odd row's.
HWY_INLINE void interleave_row(const std::uint16_t* even, const std::uint16_t* odd, std::uint32_t* out,
                               std::int64_t columns) {
  std::int64_t c = 0;
#if HWY_TARGET == HWY_AVX3
  const __m512i lower = _mm512_load_si512(kInterleave.lower), upper = _mm512_load_si512(kInterleave.upper);
  for (; c + 32 <= columns; c += 32) {
    const __m512i a = _mm512_loadu_si512(even + c), b = _mm512_loadu_si512(odd + c);
    _mm512_storeu_si512(out + c, _mm512_permutex2var_epi16(a, lower, b));
    _mm512_storeu_si512(out + c + 16, _mm512_permutex2var_epi16(a, upper, b));
  }
#endif
  const hn::RebindToUnsigned<D> du;
  const hn::Rebind<std::uint16_t, D> dh;
  for (; c < columns; c += lanes()) {
    const auto low = hn::PromoteTo(du, hn::LoadU(dh, even + c)), high = hn::PromoteTo(du, hn::LoadU(dh, odd + c));
    hn::StoreU(hn::Or(low, hn::ShiftLeft<16>(high)), du, out + c);
  }
}

void interleave_bf16(const BFloat16* in, std::int64_t in_stride, BFloat16* out, std::int64_t out_stride,
                     std::int64_t rows, std::int64_t columns) {
  const auto words = [&](std::int64_t r) { return reinterpret_cast<const std::uint16_t*>(in + r * in_stride); };
  for (std::int64_t r = 0; r < rows; r += 2)
    interleave_row(words(r), words(r + 1), reinterpret_cast<std::uint32_t*>(out + r / 2 * out_stride), columns);
}

}  // namespace

Kernels table(std::string_view name) {
#if HWY_TARGET == HWY_SSE4
  constexpr RowKernels<Half> kHalf{};  // Highway's conversion without F16C loses infinities and NaN
#else
  constexpr RowKernels<Half> kHalf{&statistics<Half>, &gradient<Half>};
#endif
  return {.name = name,
          .f32 = {&statistics<float>, &gradient<float>},
          .bf16 = {&statistics<BFloat16>, &gradient<BFloat16>},
          .f16 = kHalf,
          .zero = &zero,
          .tile_statistics = &tile_statistics,
          .tile_gradient = &tile_gradient,
          .round_bf16 = &round_bf16,
          .transpose_f32 = &transpose<float>,
          .transpose_bf16 = &transpose<BFloat16>,
          .interleave_bf16 = &interleave_bf16};
}

}  // namespace HWY_NAMESPACE
}  // namespace vlmprobe::grpo
HWY_AFTER_NAMESPACE();
#define VLMPROBE_HAS_TABLE 1
#endif

#if HWY_ONCE

#if HWY_ARCH_X86
#include <cpuid.h>
#endif

namespace vlmprobe::grpo {
namespace {

#if HWY_ARCH_X86
// Clang's __builtin_cpu_supports does not know it.
bool has_f16c() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & bit_F16C) != 0;
}
#endif

}  // namespace

std::span<const Kernels> runnable_kernels() {
  static const std::vector<Kernels> tables = [] {
    std::vector<Kernels> runnable;
#if HWY_ARCH_X86
#if HWY_TARGETS & HWY_SSE4
    if (__builtin_cpu_supports("sse4.2")) runnable.push_back(N_SSE4::table("baseline"));
#endif
#if HWY_TARGETS & HWY_AVX2
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_f16c() &&
        __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2"))
      runnable.push_back(N_AVX2::table("avx2"));
#endif
#if HWY_TARGETS & HWY_AVX3
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512cd"))
      runnable.push_back(N_AVX3::table("avx512"));
#endif
#elif VLMPROBE_HAS_TABLE
    runnable.push_back(HWY_STATIC_DISPATCH(table)("baseline"));
#endif
    return runnable;
  }();
  return tables;
}

}  // namespace vlmprobe::grpo

#endif  // HWY_ONCE
#else   // VLMPROBE_WITH_HIGHWAY

namespace vlmprobe::grpo {

std::span<const Kernels> runnable_kernels() {
  return {};
}

}  // namespace vlmprobe::grpo

#endif  // VLMPROBE_WITH_HIGHWAY
