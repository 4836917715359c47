// The search below the banks, on plain memory: arguments are already checked.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string_view>

#include "vlmprobe/memory/embedding_bank.h"

namespace vlmprobe::memory {

inline constexpr std::int64_t kMaxDim = 1 << 20;

struct Matrix {
  const float* data;
  std::int64_t rows;
  std::int64_t dim;
  const float* row(std::int64_t i) const { return data + i * dim; }
};

// `automatic` to the backend of this build; throws InvalidArgument when the one asked for is not in it.
Backend resolve(std::string_view op, Backend backend);

// Float32 rows of unit length and width `dim` on the CPU, contiguous and detached; throws InvalidArgument otherwise.
at::Tensor unit_rows(std::string_view op, std::string_view name, const at::Tensor& rows, std::int64_t dim);

// Float64 products summed in a fixed order: eight partial sums, so that compilers can use vectors.
double inner_product(const float* a, const float* b, std::int64_t dim);

// score and id [queries.rows, k] as in EmbeddingBank. Runs on one thread.
void nearest(Matrix queries, Matrix bank, std::int64_t k, Backend backend, double* score, std::int64_t* id);

}  // namespace vlmprobe::memory
