// A gradient that was computed in the forward pass, times what arrives in backward. For src/grpo only.
#pragma once

#include <ATen/FunctionalTensorWrapper.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/scalar_tensor.h>
#include <c10/core/impl/TorchDispatchModeTLS.h>

namespace vlmprobe::grpo {

// Whether `tensor` holds numbers now, and is not being traced.
inline bool is_eager(const at::Tensor& tensor) {
  return !c10::impl::TorchDispatchModeTLS::any_modes_set() && !tensor.unsafeGetTensorImpl()->is_python_dispatch() &&
         !at::functionalization::impl::isFunctionalTensor(tensor) && !tensor.is_meta();
}

// gradient * upstream, in the gradient's dtype; the product is taken in float32 at least. The upstream gradient of a
// loss is nearly always 1: then nothing is multiplied and no memory taken. `in_place`: multiplied in the gradient's own
// memory.
inline at::Tensor scale_gradient(const at::Tensor& gradient, const at::Tensor& upstream, bool in_place) {
  if (!in_place && !is_eager(upstream)) return gradient.mul(upstream);
  const double factor = upstream.item<double>();
  if (factor == 1) return gradient;
  const at::Tensor wide = at::scalar_tensor(factor, at::TensorOptions().dtype(at::kDouble));
  return in_place ? gradient.mul_(wide) : gradient.mul(wide);
}

}  // namespace vlmprobe::grpo
