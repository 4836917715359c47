// The search below the banks, on plain memory: arguments are already checked.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "vlmprobe/memory/embedding_bank.h"

namespace vlmprobe::memory {

inline constexpr std::int64_t kMaxDim = 1 << 20;

struct Matrix {
  const float* data;
  std::int64_t rows;
  std::int64_t dim;
  const float* row(std::int64_t i) const { return data + i * dim; }
};

// The same memory as a tensor, and as a pointer per row.
at::Tensor view(Matrix matrix);
std::vector<const float*> row_pointers(Matrix matrix);

// `automatic` to the backend of this build and machine; throws InvalidArgument when the one asked for is not in it.
Backend resolve(std::string_view op, Backend backend);

// Throws InvalidArgument in a build without FAISS.
void expect_faiss(std::string_view op, std::string_view allowed);

// Throws InvalidArgument unless 1 <= k <= stored.
void check_k(std::string_view op, std::int64_t k, std::int64_t stored);

// Float32 rows of unit length and width `dim` on the CPU, contiguous and detached; throws InvalidArgument otherwise.
at::Tensor unit_rows(std::string_view op, std::string_view name, const at::Tensor& rows, std::int64_t dim);

// Throws InvalidArgument, naming row first + i, unless all rows are finite and of unit length.
void check_unit(std::string_view op, std::string_view name, Matrix rows, std::int64_t first = 0);

// Float64 products summed in a fixed order (kernels.h).
double inner_product(const float* a, const float* b, std::int64_t dim);

// How far a float32 sum of products of two unit rows can be off, in any order: dim 2^-24 |a||b|.
double margin(std::int64_t dim);

// Threads for this many products in so many pieces: one where threads would cost more than they save.
int threads_for(double products, std::int64_t pieces);

// score and id [queries, k] as in EmbeddingBank. Runs on one thread.
void nearest(std::span<const float* const> queries, Matrix bank, std::int64_t k, Backend backend, double* score,
             std::int64_t* id);

}  // namespace vlmprobe::memory
