// Vendi score: the effective number of different rows.
//
//   X [n, d] unit rows;   lambda = eigenvalues of X^T X / n (or of X X^T / n: the same ones, and zeros);
//   vendi = exp(-sum lambda log lambda)
//
//   embeddings  [n, d]  float32 or float64, rows of unit length to 1e-3, d >= 1
//
// n equal rows give 1, n orthogonal rows give n; never more than min(n, d). The dual d x d form is used when n >= d, so
// the cost of the eigenvalues does not grow with n. float64 throughout, rows rescaled to unit length exactly;
// eigenvalues below 0 are taken for 0 and the rest rescaled to sum 1. n = 0: NaN. On one machine the same rows in the
// same order give the same bits for any number of threads: slices of the rows, cut by n and d alone, are summed in
// order; there are at most 16, and a [d, d] sum is held for each. The score grows with n: report n with it and compare
// at equal n. Throws InvalidArgument on another shape or dtype, or a row that is not finite or not of unit length.
// Source: Friedman and Dieng, arXiv 2210.02410; the paper's "SD" is this score pooled over all questions
// (docs/departures.md).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace vlmprobe::metrics {

double vendi(const at::Tensor& embeddings);

// The same over a stream: keeps sum x x^T [d, d] in float64 and the number of rows. Accumulators of different ranks or
// batches add up (to rounding: sums are taken in the order of the calls). Adding few rows and reading the score cost
// the same at any n, and float32 rows are widened in cache: no copy of them is made. Not thread-safe.
class VendiAccumulator {
 public:
  // d >= 1.
  explicit VendiAccumulator(std::int64_t dimension);

  // rows [n, d] as above; n may be 0.
  void add(const at::Tensor& rows);
  // Another accumulator of the same d.
  void merge(const VendiAccumulator& other);
  // What another rank holds: moment() [d, d] float64, symmetric and finite, and its count() of rows >= 0.
  void merge(const at::Tensor& moment, std::int64_t count);

  double value() const;
  std::int64_t count() const { return count_; }
  std::int64_t dimension() const { return moment_.size(0); }
  at::Tensor moment() const;  // a copy

 private:
  at::Tensor moment_;  // [d, d] float64, on the CPU
  std::int64_t count_ = 0;
};

}  // namespace vlmprobe::metrics
