#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <cmath>

#include "check.h"
#include "head.h"
#include "vlmprobe/core/shape.h"
#include "vlmprobe/grpo/draw.h"

namespace vlmprobe::grpo {
namespace {

constexpr std::string_view kOp = "grpo::linear_draw";
constexpr std::int64_t kBytes = 128 << 20;  // of logits at a time

void check_arguments(const at::Tensor& hidden, const at::Tensor& weight, double temperature) {
  expect_head(hidden, weight, temperature, kOp);
  Shapes shapes(kOp);
  shapes.require("hidden", hidden.sizes(), {"N", "H"});
  shapes.require("weight", weight.sizes(), {"V", "H"});
  expect_device(weight, hidden, kOp, "weight", "hidden");
}

}  // namespace

Drawn linear_draw(const at::Tensor& hidden, const at::Tensor& weight, const at::Tensor& uniform, double temperature,
                  const std::optional<at::Tensor>& banned) {
  expect_defined(kOp, {{"hidden", hidden}, {"weight", weight}, {"uniform", uniform}, {"banned", banned}});
  check_arguments(hidden, weight, temperature);
  const std::int64_t count = hidden.size(0);
  const at::Tensor numbers = uniform.detach().contiguous();
  expect_uniform(numbers, count, kOp);
  const at::ScalarType dtype = logp_dtype(hidden.scalar_type());
  const auto row_bytes = weight.size(0) * static_cast<std::int64_t>(c10::elementSize(dtype));
  const std::int64_t most = std::min(count, std::max<std::int64_t>(kBytes / row_bytes, 16));
  const at::Tensor token = at::empty({count}, at::kLong), logp = at::empty({count}, at::kDouble);

  const HeadProblem problem{.hidden = hidden.detach().contiguous(),
                            .weight = weight.detach().contiguous(),
                            .tokens = at::zeros({count}, at::kLong),
                            .banned = banned_ids(banned, weight.size(0), kOp),
                            .temperature = temperature,
                            .hidden_gradient = false,
                            .weight_gradient = false,
                            .most_rows = most};
  const std::unique_ptr<Head> head = make_head(problem);
  for (std::int64_t begin = 0; begin < count; begin += most) {
    const std::int64_t end = std::min(begin + most, count);
    const ChunkNumbers found = head->statistics(begin, end);
    for (std::int64_t r = begin; r < end; ++r)
      expect(std::isfinite(found.log_z[r - begin]), kOp, "hidden: row {} has no distribution", r);
    const HeadDraws draws = head->draw(found, numbers.const_data_ptr<double>() + begin);
    std::copy(draws.word.begin(), draws.word.end(), token.mutable_data_ptr<std::int64_t>() + begin);
    std::copy(draws.logp.begin(), draws.logp.end(), logp.mutable_data_ptr<double>() + begin);
  }
  return {token.to(hidden.device()), logp.to(dtype).to(hidden.device())};
}

}  // namespace vlmprobe::grpo
