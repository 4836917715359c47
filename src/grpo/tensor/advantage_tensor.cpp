#include "vlmprobe/grpo/advantage_tensor.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/ones.h>

#include "check.h"
#include "operators.h"
#include "vlmprobe/core/shape.h"
#include "vlmprobe/grpo/option_names.h"

namespace vlmprobe::grpo {
namespace {

at::Tensor on_cpu(const at::Tensor& tensor) {
  return tensor.detach().to(at::kCPU).contiguous();
}

template <class T>
std::span<T> view(const at::Tensor& tensor) {
  return {tensor.mutable_data_ptr<T>(), static_cast<std::size_t>(tensor.numel())};
}

std::span<const std::int64_t> labels(const at::Tensor& tensor) {
  return {tensor.const_data_ptr<std::int64_t>(), static_cast<std::size_t>(tensor.numel())};
}

template <class T>
std::span<const T> numbers(const at::Tensor& tensor) {
  return {tensor.const_data_ptr<T>(), static_cast<std::size_t>(tensor.numel())};
}

Advantages empty_advantages(at::IntArrayRef sizes, at::ScalarType dtype) {
  const at::TensorOptions options = at::TensorOptions().device(at::kCPU);
  return {at::empty(sizes, options.dtype(dtype)), at::empty({sizes[0]}, options.dtype(at::kBool))};
}

Advantages on(const at::Device& device, const Advantages& result) {
  return {result.values.to(device), result.degenerate.to(device)};
}

}  // namespace

Two kernel::group_advantages(const at::Tensor& rewards, const at::Tensor& group, Numbers options) {
  constexpr std::string_view kOp = "grpo::group_advantages";
  Shapes shapes(kOp);
  shapes.require("rewards", rewards.sizes(), {"B"});
  shapes.require("group", group.sizes(), {"B"});
  expect_float32_or_float64(rewards, kOp, "rewards");
  expect_dtype(group, at::kLong, kOp, "group");
  const AdvantageOptions unpacked = unpack_advantage({options.data(), options.size()}, kOp);

  const at::Tensor reward = on_cpu(rewards), label = on_cpu(group);
  const Advantages result = empty_advantages(reward.sizes(), reward.scalar_type());
  const auto run = [&]<class T>(T) {
    grpo::group_advantages<T>(numbers<T>(reward), labels(label), view<T>(result.values), view<bool>(result.degenerate),
                              unpacked);
  };
  reward.scalar_type() == at::kDouble ? run(double{}) : run(float{});
  const auto [values, degenerate] = on(rewards.device(), result);
  return {values, degenerate};
}

Two meta::group_advantages(const at::Tensor& rewards, const at::Tensor&, Numbers) {
  return {at::empty_symint(rewards.sym_sizes(), rewards.options()),
          at::empty_symint(rewards.sym_sizes(), rewards.options().dtype(at::kBool))};
}

Advantages group_advantages(const at::Tensor& rewards, const at::Tensor& group, const AdvantageOptions& options) {
  expect_defined("grpo::group_advantages", {{"rewards", rewards}, {"group", group}});
  const PackedAdvantageOptions packed = pack(options);
  const auto [values, degenerate] =
      call<GroupAdvantagesOp>("vlmprobe::group_advantages", rewards, group, Numbers(packed));
  return {values, degenerate};
}

Advantages gdpo_advantages(const at::Tensor& rewards, const at::Tensor& group, const std::optional<at::Tensor>& weights,
                           const AdvantageOptions& options) {
  constexpr std::string_view kOp = "grpo::gdpo_advantages";
  expect_defined(kOp, {{"rewards", rewards}, {"group", group}, {"weights", weights}});
  Shapes shapes(kOp);
  shapes.require("rewards", rewards.sizes(), {"B", "K"});
  shapes.require("group", group.sizes(), {"B"});
  if (weights) shapes.require("weights", weights->sizes(), {"K"});
  expect_float32_or_float64(rewards, kOp, "rewards");
  expect_dtype(group, at::kLong, kOp, "group");
  if (weights) expect_float32_or_float64(*weights, kOp, "weights");

  const at::Tensor reward = on_cpu(rewards), label = on_cpu(group);
  const at::Tensor weight = weights ? on_cpu(weights->to(at::kDouble)) : at::ones({shapes["K"]}, at::kDouble);
  const Advantages result = empty_advantages({reward.size(0)}, reward.scalar_type());
  const auto run = [&]<class T>(T) {
    gdpo_advantages<T>(numbers<T>(reward), numbers<double>(weight), labels(label), view<T>(result.values),
                       view<bool>(result.degenerate), options);
  };
  reward.scalar_type() == at::kDouble ? run(double{}) : run(float{});
  return on(rewards.device(), result);
}

Advantages question_advantages(const at::Tensor& question_rewards, const at::Tensor& sequence,
                               const at::Tensor& token_begin, const at::Tensor& token_end, const at::Tensor& group,
                               std::int64_t length, const AdvantageOptions& options) {
  constexpr std::string_view kOp = "grpo::question_advantages";
  expect_defined(kOp, {{"question_rewards", question_rewards},
                       {"sequence", sequence},
                       {"token_begin", token_begin},
                       {"token_end", token_end},
                       {"group", group}});
  Shapes shapes(kOp);
  shapes.require("question_rewards", question_rewards.sizes(), {"Q"});
  shapes.require("sequence", sequence.sizes(), {"Q"});
  shapes.require("token_begin", token_begin.sizes(), {"Q"});
  shapes.require("token_end", token_end.sizes(), {"Q"});
  shapes.require("group", group.sizes(), {"B"});
  expect_float32_or_float64(question_rewards, kOp, "question_rewards");
  expect_dtype(sequence, at::kLong, kOp, "sequence");
  expect_dtype(token_begin, at::kLong, kOp, "token_begin");
  expect_dtype(token_end, at::kLong, kOp, "token_end");
  expect_dtype(group, at::kLong, kOp, "group");
  expect(length >= 0, kOp, "length must be at least 0, got {}", length);

  const at::Tensor reward = on_cpu(question_rewards), row = on_cpu(sequence), begin = on_cpu(token_begin),
                   end = on_cpu(token_end), label = on_cpu(group);
  const Advantages result = empty_advantages({label.size(0), length}, reward.scalar_type());
  const QuestionSpans spans{labels(row), labels(begin), labels(end)};
  const auto run = [&]<class T>(T) {
    question_advantages<T>(numbers<T>(reward), spans, labels(label), length, view<T>(result.values),
                           view<bool>(result.degenerate), options);
  };
  reward.scalar_type() == at::kDouble ? run(double{}) : run(float{});
  return on(question_rewards.device(), result);
}

}  // namespace vlmprobe::grpo
