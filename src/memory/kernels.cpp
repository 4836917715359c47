#include "kernels.h"

#include <cstring>

// Functions that take vectors are all inlined here: none of them is called across an ABI.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wpsabi"
#endif

#define VLMPROBE_INLINE inline __attribute__((always_inline))

namespace vlmprobe::memory {
namespace {

using Lanes = float __attribute__((vector_size(64)));
using Floats = float __attribute__((vector_size(32), aligned(4)));
using Doubles = double __attribute__((vector_size(64)));
static_assert(sizeof(Lanes) == kLanes * sizeof(float));

// `kRows` rows of the bank against all queries. Rows to come are fetched ahead, because hardware prefetchers, which see
// `kRows` short streams, stop where each ends; into the second level, because filling the first delays its loads.
template <int kRows>
VLMPROBE_INLINE void scan_tile(const float* bank, std::int64_t dim, const float* packed, float* scores) {
  constexpr std::int64_t kStep = 16;  // floats of a cache line
  Lanes sum[kRows] = {};
  const auto column = [&](std::int64_t d) { return *reinterpret_cast<const Lanes*>(packed + d * kLanes); };
  std::int64_t d = 0;
  for (; d + kStep <= dim; d += kStep) {
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) __builtin_prefetch(bank + (r + 2 * kRows) * dim + d, 0, 2);
#pragma GCC unroll 16
    for (std::int64_t step = 0; step < kStep; ++step) {
      const Lanes queries = column(d + step);
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) sum[r] += queries * bank[r * dim + d + step];
    }
  }
  for (; d < dim; ++d) {
    const Lanes queries = column(d);
    for (int r = 0; r < kRows; ++r) sum[r] += queries * bank[r * dim + d];
  }
  for (int r = 0; r < kRows; ++r) *reinterpret_cast<Lanes*>(scores + r * kLanes) = sum[r];
}

template <int kRows>
VLMPROBE_INLINE void scan_rows(const float* bank, std::int64_t rows, std::int64_t dim, const float* packed,
                               float* scores) {
  std::int64_t i = 0;
  for (; i + kRows <= rows; i += kRows) scan_tile<kRows>(bank + i * dim, dim, packed, scores + i * kLanes);
  for (; i < rows; ++i) scan_tile<1>(bank + i * dim, dim, packed, scores + i * kLanes);
}

VLMPROBE_INLINE double sum_products(const float* a, const float* b, std::int64_t dim) {
  Doubles sums = {};
  std::int64_t i = 0;
  for (; i + 8 <= dim; i += 8) {
    const auto left = __builtin_convertvector(*reinterpret_cast<const Floats*>(a + i), Doubles);
    const auto right = __builtin_convertvector(*reinterpret_cast<const Floats*>(b + i), Doubles);
    sums += left * right;
  }
  double last = sums[0];
  for (; i < dim; ++i) last += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  return ((last + sums[4]) + (sums[1] + sums[5])) + ((sums[2] + sums[6]) + (sums[3] + sums[7]));
}

#define VLMPROBE_KERNELS(name, attributes, rows)                                                            \
  attributes void scan_##name(const float* bank, std::int64_t count, std::int64_t dim, const float* packed, \
                              float* scores) {                                                              \
    scan_rows<rows>(bank, count, dim, packed, scores);                                                      \
  }                                                                                                         \
  attributes double inner_product_##name(const float* a, const float* b, std::int64_t dim) {                \
    return sum_products(a, b, dim);                                                                         \
  }

VLMPROBE_KERNELS(plain, , 2)
#if defined(__x86_64__)
VLMPROBE_KERNELS(avx2, __attribute__((target("avx2,fma"))), 4)
#if defined(__clang__)  // takes vectors as wide as they are written
VLMPROBE_KERNELS(avx512, __attribute__((target("avx512f"))), 8)
#else
VLMPROBE_KERNELS(avx512, __attribute__((target("avx512f,prefer-vector-width=512"))), 8)
#endif
#endif

Kernels choose() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f")) return {scan_avx512, inner_product_avx512, true};
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return {scan_avx2, inner_product_avx2, true};
#endif
  return {scan_plain, inner_product_plain, false};
}

}  // namespace

const Kernels& kernels() {
  static const Kernels chosen = choose();
  return chosen;
}

}  // namespace vlmprobe::memory
