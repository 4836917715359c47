#include "vlmprobe/grpo/importance_tensor.h"

#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include <cmath>
#include <limits>

#include "support.h"
#include "vlmprobe/grpo/option_names.h"

using namespace vlmprobe::grpo;

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
const at::Tensor kOld = at::tensor({-1.0, -1.0, -2.0, -7.0}, at::kDouble).reshape({1, 4});
const at::Tensor kSampling = at::tensor({-1.0, -2.0, -1.0, kNan}, at::kDouble).reshape({1, 4});
const at::Tensor kMask = at::tensor({1, 1, 1, 0}).reshape({1, 4}).to(at::kBool);

void check(const ImportanceOptions& options, const std::vector<double>& expected) {
  const at::Tensor found = importance_weights(kOld, kSampling, kMask, options);
  for (std::int64_t t = 0; t < 4; ++t)
    CHECK(found[0][t].item<double>() == doctest::Approx(expected[static_cast<std::size_t>(t)]).epsilon(1e-12));
}

}  // namespace

TEST_CASE("importance weights by hand") {
  // differences 0, 1, -1 and a masked NaN: weights 1, e, 1/e; over the sequence exp(0) = 1
  const double e = std::exp(1.0);
  check({}, {1, e, 1 / e, 0});
  check({.maximum = 2}, {1, 2, 1 / e, 0});
  check({.minimum = 0.5, .maximum = 2}, {1, 2, 0.5, 0});
  check({.mode = ImportanceMode::mask, .maximum = 2}, {1, 0, 1 / e, 0});
  check({.mode = ImportanceMode::mask, .minimum = 0.5}, {1, e, 0, 0});
  check({.level = ImportanceLevel::sequence}, {1, 1, 1, 0});
  check({.level = ImportanceLevel::sequence, .mode = ImportanceMode::mask, .minimum = 1.5}, {0, 0, 0, 0});
}

TEST_CASE("what the engine did not say counts as no difference") {
  const at::Tensor sampling = at::tensor({kNan, -2.0}, at::kDouble).reshape({1, 2});
  const at::Tensor old = at::tensor({-3.0, -2.0}, at::kDouble).reshape({1, 2});
  const at::Tensor mask = at::tensor({1, 1}).reshape({1, 2}).to(at::kBool);
  CHECK(importance_weights(old, sampling, mask)[0][0].item<double>() == 1);
}

TEST_CASE("errors of importance weights") {
  CHECK(thrown([] { importance_weights(kOld, kSampling.slice(1, 0, 3), kMask); }) ==
        "[grpo::importance_weights] sampling_logp: expected shape [B, T], got [1, 3] (T=4 was set by old_logp)");
  CHECK(thrown([] { importance_weights(kOld, kSampling, kMask, {.minimum = 2, .maximum = 1}); }) ==
        "[grpo::importance_weights] minimum and maximum: expected 0 <= minimum <= maximum, got 2 and 1");
  CHECK(thrown([] { importance_level("word"); }) ==
        "[grpo::importance_weights] level: expected one of token, sequence, got 'word'");
  CHECK(importance_weights(at::zeros({0, 3}), at::zeros({0, 3}), at::zeros({0, 3}, at::kBool)).numel() == 0);
}
