// S = sum over rows of x x^T, each row rescaled to unit length in float64.
#pragma once

#include <ATen/core/Tensor.h>

#include <cmath>
#include <cstdint>
#include <string_view>

namespace vlmprobe::metrics {

inline bool is_unit(double length) {
  return std::abs(length - 1) <= 1e-3;  // false for NaN
}

// Throws InvalidArgument for a length that is not that of a unit row.
void require_unit(double length, std::int64_t row, std::string_view op, std::string_view name);

// [d, d] float64, symmetric, of the [n, d] float32 or float64 rows. Blocks of rows are widened in cache and only the
// lower triangle is computed, by the widest registers that the machine has. The rows are cut into slices by n and d
// alone, and the slices' sums are added in order: the result does not depend on the number of threads.
at::Tensor second_moment(const at::Tensor& rows, std::string_view op, std::string_view name);

// The tridiagonal matrix with the eigenvalues of the symmetric [n, n] `a`, whose lower triangle is read and
// overwritten: `diagonal` [n] and `below` [n - 1].
void tridiagonalise(double* a, std::int64_t n, double* diagonal, double* below);

}  // namespace vlmprobe::metrics
