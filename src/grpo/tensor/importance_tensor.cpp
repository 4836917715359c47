#include "vlmprobe/grpo/importance_tensor.h"

#include <ATen/ops/empty.h>

#include "check.h"
#include "vlmprobe/core/shape.h"

namespace vlmprobe::grpo {
namespace {

constexpr std::string_view kOp = "grpo::importance_weights";

template <class T>
void run(const at::Tensor& old_logp, const at::Tensor& sampling_logp, const at::Tensor& mask,
         const ImportanceOptions& options, const at::Tensor& weights) {
  const auto length = static_cast<std::size_t>(mask.size(1));
  for (std::int64_t b = 0; b < mask.size(0); ++b) {
    const std::int64_t begin = b * mask.size(1);
    importance_weights<T>(
        {old_logp.const_data_ptr<T>() + begin, length}, {sampling_logp.const_data_ptr<T>() + begin, length},
        {mask.const_data_ptr<bool>() + begin, length}, {weights.mutable_data_ptr<T>() + begin, length}, options);
  }
}

}  // namespace

at::Tensor importance_weights(const at::Tensor& old_logp, const at::Tensor& sampling_logp, const at::Tensor& mask,
                              const ImportanceOptions& options) {
  expect_defined(kOp, {{"old_logp", old_logp}, {"sampling_logp", sampling_logp}, {"mask", mask}});
  Shapes shapes(kOp);
  shapes.require("old_logp", old_logp.sizes(), {"B", "T"});
  shapes.require("sampling_logp", sampling_logp.sizes(), {"B", "T"});
  shapes.require("mask", mask.sizes(), {"B", "T"});
  expect_float32_or_float64(old_logp, kOp, "old_logp");
  expect_dtype(sampling_logp, old_logp.scalar_type(), kOp, "sampling_logp");
  expect_dtype(mask, at::kBool, kOp, "mask");
  check(options, kOp);

  const auto on_cpu = [](const at::Tensor& tensor) { return tensor.detach().to(at::kCPU).contiguous(); };
  const at::Tensor old = on_cpu(old_logp), sampling = on_cpu(sampling_logp), counts = on_cpu(mask);
  const at::Tensor weights = at::empty(old.sizes(), old.options());
  old.scalar_type() == at::kDouble ? run<double>(old, sampling, counts, options, weights)
                                   : run<float>(old, sampling, counts, options, weights);
  return weights.to(old_logp.device());
}

}  // namespace vlmprobe::grpo
