// Plain columns of the core as tensors, for the bindings.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/from_blob.h>

#include <vector>

namespace vlmprobe::python {

// A [n] tensor that owns a copy. T is a type of n integers or floats, or an enum of the same width as `dtype`.
template <class T>
at::Tensor column_tensor(const std::vector<T>& values, at::ScalarType dtype) {
  return at::from_blob(const_cast<T*>(values.data()), {static_cast<std::int64_t>(values.size())}, dtype).clone();
}

}  // namespace vlmprobe::python
