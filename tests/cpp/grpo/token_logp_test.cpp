#include "vlmprobe/grpo/token_logp.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <limits>
#include <vector>

#include "support.h"
#include "vlmprobe/core/random.h"

using namespace vlmprobe;
using namespace vlmprobe::grpo;

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN(), kInf = std::numeric_limits<double>::infinity();
constexpr double kTolerance64 = 1e-12, kTolerance32 = 2e-6, kDifferences = 1e-6;

at::Tensor logits(at::IntArrayRef sizes, std::uint32_t seed) {
  random::Sequence draws(seed, random::Stream::kQuestion, 3);
  at::Tensor tensor = at::zeros(sizes, at::kDouble);
  for (std::int64_t i = 0; i < tensor.numel(); ++i) tensor.mutable_data_ptr<double>()[i] = 8 * draws.uniform() - 4;
  return tensor;
}

TokenLogp warm(const at::Tensor& x, const at::Tensor& tokens, double temperature,
               const std::optional<at::Tensor>& mask = std::nullopt) {
  return token_logp(x, tokens, mask, {.temperature = temperature});
}

struct Reference {
  double logp, entropy;
};

// One row by scalar loops.
Reference reference(const double* row, std::int64_t size, std::int64_t token, double temperature) {
  double total = 0, entropy = 0;
  for (std::int64_t v = 0; v < size; ++v) total += std::exp(row[v] / temperature);
  for (std::int64_t v = 0; v < size; ++v) {
    const double p = std::exp(row[v] / temperature) / total;
    if (p > 0) entropy -= p * std::log(p);
  }
  return {row[token] / temperature - std::log(total), entropy};
}

}  // namespace

TEST_CASE("token log-probability and entropy by hand") {
  // probabilities 1/2, 1/4, 1/4 from logits log 2, 0, 0: entropy = log(2)/2 + 2 log(4)/4 = 1.5 log 2
  const TokenLogp result = token_logp(at::tensor({std::log(2.0), 0.0, 0.0}, at::kDouble), at::zeros({}, at::kLong));
  CHECK(result.logp.item<double>() == doctest::Approx(-std::log(2.0)).epsilon(kTolerance64));
  CHECK(result.entropy.item<double>() == doctest::Approx(1.5 * std::log(2.0)).epsilon(kTolerance64));
  // at temperature 1/2 the odds are squared, 4 : 1 : 1
  const TokenLogp cold = warm(at::tensor({std::log(2.0), 0.0, 0.0}, at::kDouble), at::zeros({}, at::kLong), 0.5);
  CHECK(cold.logp.item<double>() == doctest::Approx(std::log(4.0 / 6)).epsilon(kTolerance64));
}

TEST_CASE("token_logp agrees with scalar loops in float64, float32 and bfloat16") {
  const at::Tensor wide = logits({3, 4, 11}, 1).to(at::kBFloat16).to(at::kDouble);  // exact in every dtype
  at::Tensor tokens = at::zeros({3, 4}, at::kLong);
  for (std::int64_t i = 0; i < 12; ++i) tokens.mutable_data_ptr<std::int64_t>()[i] = (7 * i) % 11;
  const at::Tensor mask = at::ones({3, 4}, at::kBool);
  for (const auto dtype : {at::kDouble, at::kFloat, at::kBFloat16}) {
    const TokenLogp result = warm(wide.to(dtype), tokens, 0.7, mask);
    CHECK((result.logp.scalar_type() == (dtype == at::kDouble ? at::kDouble : at::kFloat)));
    CHECK((result.entropy.scalar_type() == result.logp.scalar_type()));
    const double tolerance = dtype == at::kDouble ? kTolerance64 : kTolerance32;
    for (std::int64_t i = 0; i < 12; ++i) {
      const Reference expected = reference(wide.const_data_ptr<double>() + 11 * i, 11, (7 * i) % 11, 0.7);
      CHECK(result.logp.flatten()[i].item<double>() == doctest::Approx(expected.logp).epsilon(tolerance));
      CHECK(result.entropy.flatten()[i].item<double>() == doctest::Approx(expected.entropy).epsilon(tolerance));
    }
  }
}

TEST_CASE("the gradients of both outputs agree with central differences") {
  constexpr double kStep = 1e-6;
  const at::Tensor x = logits({2, 5}, 2), tokens = at::tensor({4, 1}, at::kLong);
  const auto value = [&](const at::Tensor& input) {
    const TokenLogp result = warm(input, tokens, 0.8);
    return result.logp.sum().add(result.entropy.sum(), 0.3);
  };
  const at::Tensor leaf = x.clone().requires_grad_(true);
  const at::Tensor gradient = torch::autograd::grad({value(leaf)}, {leaf})[0];
  for (std::int64_t i = 0; i < x.numel(); ++i) {
    at::Tensor above = x.clone(), below = x.clone();
    above.mutable_data_ptr<double>()[i] += kStep, below.mutable_data_ptr<double>()[i] -= kStep;
    const double difference = (value(above).item<double>() - value(below).item<double>()) / (2 * kStep);
    CHECK(gradient.const_data_ptr<double>()[i] == doctest::Approx(difference).epsilon(kDifferences));
  }
}

TEST_CASE("a banned token has probability 0 and puts no NaN into entropy or gradient") {
  at::Tensor x = logits({6}, 3);
  x.mutable_data_ptr<double>()[2] = -kInf;
  const at::Tensor leaf = x.clone().requires_grad_(true), token = at::ones({}, at::kLong);
  const TokenLogp result = token_logp(leaf, token);
  result.logp.add(result.entropy).backward();
  const Reference expected = reference(x.const_data_ptr<double>(), 6, 1, 1);
  CHECK(result.entropy.item<double>() == doctest::Approx(expected.entropy).epsilon(kTolerance64));
  CHECK(leaf.grad().isfinite().all().item<bool>());
  CHECK(leaf.grad()[2].item<double>() == 0);
}

TEST_CASE("poison: masked positions give 0 and no gradient, whatever logits and tokens hold") {
  const at::Tensor x = logits({2, 3, 5}, 4), mask = at::tensor({1, 1, 0, 1, 0, 0}).reshape({2, 3}).to(at::kBool);
  const at::Tensor hidden = mask.logical_not(), tokens = at::full({2, 3}, 3, at::kLong);
  const auto run = [&](const at::Tensor& input, const at::Tensor& ids, std::vector<at::Tensor>& out) {
    const at::Tensor leaf = input.clone().requires_grad_(true);
    const TokenLogp result = token_logp(leaf, ids, mask);
    result.logp.add(result.entropy).sum().backward();
    out = {result.logp.detach(), result.entropy.detach(), leaf.grad()};
  };
  std::vector<at::Tensor> expected, found;
  run(x, tokens, expected);
  for (const double poison : {kNan, kInf, -kInf}) {
    run(x.masked_fill(hidden.unsqueeze(-1), poison), tokens.masked_fill(hidden, -100), found);
    for (std::size_t i = 0; i < 3; ++i) CHECK(found[i].equal(expected[i]));
    CHECK(found[0].masked_select(hidden).count_nonzero().item<std::int64_t>() == 0);
    CHECK(found[2].index_select(0, at::tensor({1}, at::kLong))[0][1].count_nonzero().item<std::int64_t>() == 0);
  }
}

TEST_CASE("one entry and no entries are legal") {
  const TokenLogp sure = token_logp(at::zeros({2, 1}), at::zeros({2}, at::kLong));
  CHECK(sure.logp.count_nonzero().item<std::int64_t>() == 0);
  CHECK(sure.entropy.count_nonzero().item<std::int64_t>() == 0);
  CHECK(token_logp(at::zeros({0, 3, 5}), at::zeros({0, 3}, at::kLong)).logp.sizes() == at::IntArrayRef({0, 3}));
}

TEST_CASE("errors of token_logp name the argument, what was expected and what came") {
  const at::Tensor x = at::zeros({2, 3, 5}), tokens = at::zeros({2, 3}, at::kLong);
  const auto error = [](auto&&... arguments) { return thrown([&] { token_logp(arguments...); }); };
  CHECK(error(x, at::zeros({2, 4}, at::kLong)) ==
        "[grpo::token_logp] tokens: expected shape [2, 3], got [2, 4] (set by logits)");
  CHECK(error(x, tokens.to(at::kInt)) == "[grpo::token_logp] tokens: expected int64, got Int");
  CHECK(error(x.to(at::kLong), tokens) ==
        "[grpo::token_logp] logits: expected float32, bfloat16, float16 or float64, got Long");
  CHECK(error(at::zeros({2, 3, 0}), tokens) ==
        "[grpo::token_logp] logits: expected shape [..., V] with V >= 1, got [2, 3, 0]");
  CHECK(error(x, tokens.add(5)) == "[grpo::token_logp] tokens: expected ids in [0, 5), got 5");
  CHECK(error(x, tokens.sub(1)) == "[grpo::token_logp] tokens: expected ids in [0, 5), got -1");
  CHECK(thrown([&] { warm(x, tokens, 0.0); }) == "[grpo::token_logp] temperature must be in (0, inf), got 0");
  CHECK(error(x, tokens, tokens) == "[grpo::token_logp] mask: expected bool, got Long");
}
