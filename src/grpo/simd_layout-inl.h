// Matrices in another order for kernels_simd.cpp: transposed, and bfloat16 rows in pairs.
// Compiled once per instruction set, as Highway's own headers of this ending are: the guard below toggles with each.
#if defined(VLMPROBE_GRPO_SIMD_LAYOUT_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef VLMPROBE_GRPO_SIMD_LAYOUT_INL_H_
#undef VLMPROBE_GRPO_SIMD_LAYOUT_INL_H_
#else
#define VLMPROBE_GRPO_SIMD_LAYOUT_INL_H_
#endif

#include <hwy/highway.h>

#include "kernels.h"
#include "simd_vectors-inl.h"

#if HWY_TARGET != HWY_SCALAR && !HWY_TARGET_IS_SVE && HWY_TARGET != HWY_RVV
HWY_BEFORE_NAMESPACE();
namespace vlmprobe::grpo {
namespace HWY_NAMESPACE {
namespace {

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
}  // namespace HWY_NAMESPACE
}  // namespace vlmprobe::grpo
HWY_AFTER_NAMESPACE();
#endif

#endif
