// Seeded unit rows and columns for the memory's tests.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>

#include <cmath>
#include <vector>

#include "vlmprobe/core/random.h"

inline at::Tensor random_unit_rows(std::int64_t rows, std::int64_t dim, std::uint64_t seed) {
  at::Tensor out = at::empty({rows, dim}, at::kFloat);
  vlmprobe::random::Sequence draw(seed, vlmprobe::random::Stream::kBootstrap, 0);
  float* data = out.mutable_data_ptr<float>();
  for (std::int64_t i = 0; i < rows; ++i) {
    double square = 0;
    std::vector<double> row(static_cast<std::size_t>(dim));
    for (double& value : row) value = 2 * draw.uniform() - 1, square += value * value;
    for (std::int64_t d = 0; d < dim; ++d) data[i * dim + d] = static_cast<float>(row[d] / std::sqrt(square));
  }
  return out;
}

inline at::Tensor column(const std::vector<std::int64_t>& values) {
  at::Tensor out = at::empty({static_cast<std::int64_t>(values.size())}, at::kLong);
  std::copy(values.begin(), values.end(), out.mutable_data_ptr<std::int64_t>());
  return out;
}

template <class T>
std::vector<T> values(const at::Tensor& tensor) {
  const T* data = tensor.const_data_ptr<T>();
  return {data, data + tensor.numel()};
}
