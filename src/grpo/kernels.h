// The vectorised loops over a vocabulary, one table of functions per instruction set; t, scale and reference are those
// of row_sums.h. For src/grpo only.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "half.h"
#include "row_sums.h"

namespace vlmprobe::grpo {

template <class T>
struct RowKernels {
  RowStatistics (*statistics)(const T* x, std::int64_t size, float scale, bool argmax);
  // Writes the gradient to `out`, which may be `x`. A logit of -inf gets exactly 0.
  void (*gradient)(const T* x, T* out, std::int64_t size, const RowGradient& gradient);
};

// A tile of logits, transposed: [rows of the vocabulary][tokens], so that the lanes are tokens. `tokens` and the
// strides are multiples of kTileLanes.
inline constexpr std::int64_t kTileLanes = 16;
struct TileShape {
  std::int64_t rows, tokens, stride;
};
// Per token, over the tile's rows.
struct TileStatistics {
  float *reference, *sum, *mean_sum;  // [tokens]: the largest x; sum of 2^t; sum of t 2^t
};
struct TileGradient {
  const float *reference, *constant, *slope;  // [tokens], as RowGradient
  float scale;
};

struct Kernels {
  std::string_view name;
  RowKernels<float> f32;
  RowKernels<BFloat16> bf16;
  RowKernels<Half> f16;  // null where the instruction set has no conversion
  void (*zero)(void* out, std::int64_t bytes);
  void (*tile_statistics)(const float* x, TileShape shape, float scale, const TileStatistics& out);
  void (*tile_gradient)(const float* x, TileShape shape, const TileGradient& gradient, float* out);
  // To nearest, ties to even; size is a multiple of kTileLanes.
  void (*round_bf16)(const float* in, BFloat16* out, std::int64_t size);
  // out[c][r] = in[r][c]; both dimensions are multiples of kTileLanes.
  void (*transpose_f32)(const float* in, std::int64_t in_stride, float* out, std::int64_t out_stride, std::int64_t rows,
                        std::int64_t columns);
  void (*transpose_bf16)(const BFloat16* in, std::int64_t in_stride, BFloat16* out, std::int64_t out_stride,
                         std::int64_t rows, std::int64_t columns);
  // Pairs of rows interleaved, the layout that bfloat16 products take: out[r / 2][c][r % 2] = in[r][c].
  void (*interleave_bf16)(const BFloat16* in, std::int64_t in_stride, BFloat16* out, std::int64_t out_stride,
                          std::int64_t rows, std::int64_t columns);
};

// The tables this machine can run, from the most portable to the fastest; empty in a build without Highway.
std::span<const Kernels> runnable_kernels();

// The fastest table within simd_limit(), or nullptr: then ATen's operators do the work.
const Kernels* kernels();

}  // namespace vlmprobe::grpo
