// Checks of tensor arguments, in the house's wording. For src/grpo only.
#pragma once

#include <ATen/core/Tensor.h>

#include <string_view>

#include "vlmprobe/core/error.h"

namespace vlmprobe::grpo {

inline void expect_dtype(const at::Tensor& tensor, at::ScalarType dtype, std::string_view op, std::string_view name) {
  expect(tensor.scalar_type() == dtype, op, "{}: expected {}, got {}", name,
         dtype == at::kBool ? "bool" : (dtype == at::kLong ? "int64" : c10::toString(dtype)),
         c10::toString(tensor.scalar_type()));
}

inline void expect_float32_or_float64(const at::Tensor& tensor, std::string_view op, std::string_view name) {
  expect(tensor.scalar_type() == at::kFloat || tensor.scalar_type() == at::kDouble, op,
         "{}: expected float32 or float64, got {}", name, c10::toString(tensor.scalar_type()));
}

}  // namespace vlmprobe::grpo
