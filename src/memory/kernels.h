// The two loops that all of the memory's time goes into, compiled for the instruction sets that machines have.
#pragma once

#include <cstdint>

namespace vlmprobe::memory {

inline constexpr std::int64_t kLanes = 16;  // queries that are scanned together

// scores[row * kLanes + q] = <bank row, query q> in float32, off by at most dim 2^-24 |row||query|, for `rows` rows of
// width `dim`. `packed` holds the queries as columns, [dim, kLanes]; it and `scores` are aligned to 64 bytes.
using Scan = void (*)(const float* bank, std::int64_t rows, std::int64_t dim, const float* packed, float* scores);

// Eight partial float64 sums, lane i of the products i, i + 8, ..., added in a fixed order. Products of two float32 are
// exact in float64, so neither vectors nor fused additions change a bit.
using InnerProduct = double (*)(const float* a, const float* b, std::int64_t dim);

struct Kernels {
  Scan scan;
  InnerProduct inner_product;
  bool wide;  // whether vectors are wide enough that `scan` is faster than a BLAS
};

// Those of this machine.
const Kernels& kernels();

}  // namespace vlmprobe::memory
