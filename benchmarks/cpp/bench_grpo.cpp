// The kernels of vlmprobe::grpo without Python: advantages, the surrogate loss, and what reads logits or the head.
// Sizes are in the names. Each result is held against a plain loop in double before it is timed.
#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "vlmprobe/grpo/advantage_tensor.h"
#include "vlmprobe/grpo/linear_loss.h"
#include "vlmprobe/grpo/loss.h"
#include "vlmprobe/grpo/loss_from_logits.h"
#include "vlmprobe/grpo/token_logp.h"

namespace {

using namespace vlmprobe::grpo;

constexpr std::int64_t kGroup = 8;
constexpr double kTolerance = 1e-4;
const LossOptions kOptions{.surrogate = {.beta = 0}};

// Numbers in [-scale, scale), from a seed.
at::Tensor numbers(at::IntArrayRef shape, std::uint64_t seed, double scale) {
  at::Tensor out = at::empty(shape, at::kFloat);
  float* data = out.mutable_data_ptr<float>();
  std::uint64_t state = seed * 0x9E3779B97F4A7C15 + 1;
  for (std::int64_t i = 0; i < out.numel(); ++i) {
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    data[i] = static_cast<float>(scale * (static_cast<double>(state >> 11) * 0x1p-52 - 1));
  }
  return out;
}

at::Tensor token_ids(std::int64_t sequences, std::int64_t length, std::int64_t vocabulary) {
  at::Tensor out = at::empty({sequences, length}, at::kLong);
  std::int64_t* data = out.mutable_data_ptr<std::int64_t>();
  for (std::int64_t i = 0; i < out.numel(); ++i) data[i] = (i * 7919 + 13) % vocabulary;
  return out;
}

// log-probability of `token` among the logits of one row.
double reference_logp(const float* row, std::int64_t vocabulary, std::int64_t token) {
  const double highest = *std::max_element(row, row + vocabulary);
  double sum = 0;
  for (std::int64_t v = 0; v < vocabulary; ++v) sum += std::exp(row[v] - highest);
  return row[token] - highest - std::log(sum);
}

// Whether the log-probabilities are those of the logits, in the first, the last and a middle row.
bool right(const at::Tensor& logp, const at::Tensor& logits, const at::Tensor& tokens) {
  const std::int64_t vocabulary = logits.size(-1), rows = tokens.numel();
  const float *found = logp.const_data_ptr<float>(), *values = logits.const_data_ptr<float>();
  const std::int64_t* token = tokens.const_data_ptr<std::int64_t>();
  return std::ranges::all_of(std::vector<std::int64_t>{0, rows / 2, rows - 1}, [&](std::int64_t row) {
    return std::abs(found[row] - reference_logp(values + row * vocabulary, vocabulary, token[row])) < kTolerance;
  });
}

struct Batch {
  at::Tensor tokens, normalizer;
  LossInputs inputs;
};

Batch batch(std::int64_t sequences, std::int64_t length, std::int64_t vocabulary) {
  return {.tokens = token_ids(sequences, length, vocabulary),
          .normalizer = at::full({}, static_cast<double>(sequences), at::kDouble),
          .inputs = {.advantages = numbers({sequences}, 3, 1), .mask = at::ones({sequences, length}, at::kBool)}};
}

void advantages(benchmark::State& state) {
  const std::int64_t count = state.range(0);
  const at::Tensor rewards = numbers({count}, 1, 1), group = at::empty({count}, at::kLong);
  for (std::int64_t i = 0; i < count; ++i) group.mutable_data_ptr<std::int64_t>()[i] = i / kGroup;
  const Advantages once = group_advantages(rewards, group);
  double sum = 0;
  for (std::int64_t i = 0; i < kGroup; ++i) sum += once.values.const_data_ptr<float>()[i];
  if (std::abs(sum) > kTolerance) return state.SkipWithError("the advantages of a group do not sum to 0");
  for (auto _ : state) benchmark::DoNotOptimize(group_advantages(rewards, group));
  state.SetItemsProcessed(state.iterations() * count);
}
BENCHMARK(advantages)->ArgName("B")->Arg(64)->Arg(4096);

// With ratios of 1 the loss is minus the mean advantage.
void surrogate_loss(benchmark::State& state) {
  const std::int64_t sequences = state.range(0), length = state.range(1);
  Batch made = batch(sequences, length, 2);
  const at::Tensor logp = numbers({sequences, length}, 5, 1);
  made.inputs.old_logp = logp;
  double expected = 0;
  for (std::int64_t i = 0; i < sequences; ++i) expected -= made.inputs.advantages.const_data_ptr<float>()[i];
  const auto call = [&] { return loss(logp, made.inputs, std::nullopt, made.normalizer, kOptions); };
  const double found = *call().loss.const_data_ptr<float>();
  if (std::abs(found - expected / static_cast<double>(sequences)) > kTolerance) {
    return state.SkipWithError("the loss is not minus the mean advantage");
  }
  for (auto _ : state) benchmark::DoNotOptimize(call());
  state.SetItemsProcessed(state.iterations() * sequences * length);
}
BENCHMARK(surrogate_loss)->ArgNames({"B", "T"})->Args({16, 64})->Args({64, 512});

void token_logp_entropy(benchmark::State& state) {
  const std::int64_t rows = state.range(0), vocabulary = state.range(1);
  const at::Tensor logits = numbers({1, rows, vocabulary}, 7, 5), tokens = token_ids(1, rows, vocabulary);
  if (!right(token_logp(logits, tokens).logp, logits, tokens)) return state.SkipWithError("wrong log-probabilities");
  for (auto _ : state) benchmark::DoNotOptimize(token_logp(logits, tokens));
  state.SetBytesProcessed(state.iterations() * logits.numel() * 4);
}
BENCHMARK(token_logp_entropy)->ArgNames({"N", "V"})->Args({16, 32000})->Args({64, 151936})->UseRealTime();

void from_logits(benchmark::State& state) {
  const std::int64_t rows = state.range(0), vocabulary = state.range(1);
  const at::Tensor logits = numbers({1, rows, vocabulary}, 7, 5);
  const Batch made = batch(1, rows, vocabulary);
  const auto call = [&] { return loss_from_logits(logits, made.tokens, made.inputs, made.normalizer, kOptions); };
  if (!right(call().logp, logits, made.tokens)) return state.SkipWithError("wrong log-probabilities");
  for (auto _ : state) benchmark::DoNotOptimize(call());
  state.SetBytesProcessed(state.iterations() * logits.numel() * 4);
}
BENCHMARK(from_logits)
    ->Name("loss_from_logits")
    ->ArgNames({"N", "V"})
    ->Args({16, 32000})
    ->Args({64, 151936})
    ->UseRealTime();

void linear(benchmark::State& state) {
  const std::int64_t rows = state.range(0), width = state.range(1), vocabulary = state.range(2);
  const at::Tensor hidden = numbers({1, rows, width}, 9, 1), weight = numbers({vocabulary, width}, 10, 0.1);
  const Batch made = batch(1, rows, vocabulary);
  const auto call = [&] { return linear_loss(hidden, weight, made.tokens, made.inputs, made.normalizer, kOptions); };
  if (!right(call().logp, hidden.matmul(weight.t()), made.tokens))
    return state.SkipWithError("wrong log-probabilities");
  for (auto _ : state) benchmark::DoNotOptimize(call());
  state.SetItemsProcessed(state.iterations() * rows);
}
BENCHMARK(linear)
    ->Name("linear_loss")
    ->ArgNames({"N", "H", "V"})
    ->Args({64, 256, 32000})
    ->Args({64, 1536, 32000})
    ->UseRealTime();

}  // namespace
