#include "vlmprobe/metrics/rates_tensor.h"

#include "../../core/tensor/defined.h"

#include "vlmprobe/core/shape.h"

namespace vlmprobe::metrics {

Rate rate(const at::Tensor& successes, const at::Tensor& cluster, double confidence) {
  constexpr std::string_view kOp = "metrics::rate";
  expect_defined(kOp, {{"successes", successes}, {"cluster", cluster}});
  Shapes shapes(kOp);
  shapes.require("successes", successes.sizes(), {"N"});
  shapes.require("cluster", cluster.sizes(), {"N"});
  expect(successes.scalar_type() == at::kBool || successes.scalar_type() == at::kChar, kOp,
         "successes: expected bool or int8, got {}", c10::toString(successes.scalar_type()));
  expect(cluster.scalar_type() == at::kLong, kOp, "cluster: expected int64, got {}",
         c10::toString(cluster.scalar_type()));

  const at::Tensor success = successes.to(at::kCPU).to(at::kChar).contiguous();
  const at::Tensor label = cluster.to(at::kCPU).contiguous();
  const auto size = static_cast<std::size_t>(success.numel());
  return rate({success.const_data_ptr<std::int8_t>(), size}, {label.const_data_ptr<std::int64_t>(), size}, confidence);
}

}  // namespace vlmprobe::metrics
