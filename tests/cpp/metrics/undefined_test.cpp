#include "undefined.h"

#include <ATen/ops/eye.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>

#include "vlmprobe/metrics/diversity.h"
#include "vlmprobe/metrics/rates_tensor.h"

using namespace vlmprobe::metrics;

TEST_CASE("metrics name a tensor that is not there") {
  VendiAccumulator accumulator(4);
  const at::Tensor rows = at::eye(4, at::kFloat), moment = at::eye(4, at::kDouble);
  each_undefined("metrics::vendi", {{"embeddings", rows}}, [](const Arguments& a) { vendi(a[0].value); });
  each_undefined("metrics::VendiAccumulator::add", {{"rows", rows}},
                 [&](const Arguments& a) { accumulator.add(a[0].value); });
  each_undefined("metrics::VendiAccumulator::merge", {{"moment", moment}},
                 [&](const Arguments& a) { accumulator.merge(a[0].value, 4); });
  each_undefined("metrics::rate", {{"successes", at::ones({4}, at::kChar)}, {"cluster", at::zeros({4}, at::kLong)}},
                 [](const Arguments& a) { rate(a[0].value, a[1].value); });
}
