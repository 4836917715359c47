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
#include <hwy/highway.h>

#include "simd_layout-inl.h"
#include "simd_vectors-inl.h"

// A machine with nothing better takes ATen's operators; vectors without a size do not fit into structs.
#if HWY_TARGET != HWY_SCALAR && !HWY_TARGET_IS_SVE && HWY_TARGET != HWY_RVV
HWY_BEFORE_NAMESPACE();
namespace vlmprobe::grpo {
namespace HWY_NAMESPACE {
namespace {

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
