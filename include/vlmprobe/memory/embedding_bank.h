// Exact nearest neighbours by inner product over unit rows (so by cosine).
//
//   rows, queries  [N, D], [Q, D]  float32 on the CPU; finite; each row's length within 1e-3 of 1
//   k              1 to N
//   score          [Q, k]          float64, descending
//   id             [Q, k]          int64, the row's place in the order of adding
//
// The result is the same, bit for bit, for every backend, batch and number of threads: a backend only proposes
// candidates in float32, all rows that its rounding could have misplaced; scores are sums of float64 products in a
// fixed order, and equal scores are sorted by the lower id.
//
// Throws InvalidArgument for another dtype, shape or device, `rows: row 17 is not finite`, a row that is not of unit
// length, k < 1, `k: expected at most 5 (rows stored), got 7` (so any k of an empty bank), and for FAISS in a build
// without it. Searching from several threads is safe while nobody adds.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace vlmprobe::memory {

// native: loops of our own over 16 queries at a time; aten, faiss: a BLAS. automatic: native where the machine has AVX2
// or AVX-512, else aten; docs/decisions/0010-memory.md has the measurements.
enum class Backend { automatic, native, faiss, aten };

bool has_faiss();

inline constexpr double kUnitTolerance = 1e-3;

struct Neighbours {
  at::Tensor score;  // [Q, k] float64
  at::Tensor id;     // [Q, k] int64
};

class EmbeddingBank {
 public:
  explicit EmbeddingBank(std::int64_t dim, Backend backend = Backend::automatic);

  void add(const at::Tensor& rows);
  Neighbours nearest(const at::Tensor& queries, std::int64_t k) const;

  at::Tensor rows() const;  // [N, D] float32, a copy
  std::int64_t size() const { return static_cast<std::int64_t>(store_.size()) / dim_; }
  std::int64_t dim() const { return dim_; }
  Backend backend() const { return backend_; }  // the one in use, never `automatic`

 private:
  std::int64_t dim_;
  Backend backend_;
  std::vector<float> store_;  // [N, D], one block
};

}  // namespace vlmprobe::memory
