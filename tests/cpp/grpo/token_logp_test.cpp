#include "vlmprobe/grpo/token_logp.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <limits>
#include <vector>

#include "support.h"
#include "targets.h"
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

namespace {

// Rows [N, V] of a dtype, widened exactly, with what they must give. Logits spread over +-`spread`.
struct Batch {
  at::Tensor x, wide, tokens;

  Batch(std::int64_t rows, std::int64_t vocabulary, at::ScalarType dtype, double spread, std::uint32_t seed)
      : x(logits({rows, vocabulary}, seed).mul(spread / 4).to(dtype)),
        wide(x.to(at::kDouble)),
        tokens(at::zeros({rows}, at::kLong)) {
    for (std::int64_t i = 0; i < rows; ++i) tokens.mutable_data_ptr<std::int64_t>()[i] = (31 * i + 7) % vocabulary;
  }

  double row_maximum(std::int64_t i) const { return wide[i].max().item<double>(); }
};

// Relative to the larger of 1 and the value.
bool near(double found, double expected, double tolerance) {
  return std::abs(found - expected) <= tolerance * std::max(1.0, std::abs(expected));
}

// d (logp + weight entropy) / d x, by scalar loops: ((onehot - p) - weight p (log p + entropy)) / temperature.
double slope(const double* row, std::int64_t size, std::int64_t token, std::int64_t v, double temperature,
             double weight) {
  const Reference r = reference(row, size, token, temperature);
  const double log_p = row[v] / temperature - (row[token] / temperature - r.logp), p = std::exp(log_p);
  return ((v == token) - p - weight * (p > 0 ? p * (log_p + r.entropy) : 0)) / temperature;
}

}  // namespace

TEST_CASE("every instruction set agrees with scalar loops, for every dtype and length around the edges") {
  on_every_target([] {
    for (const auto dtype : {at::kFloat, at::kBFloat16, at::kHalf})
      for (const std::int64_t vocabulary :
           {1, 2, 3, 7, 8, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 129, 2047, 2048, 2049, 4095, 4096, 4101, 6157}) {
        CAPTURE(vocabulary);
        const Batch batch(2, vocabulary, dtype, 6, 11);
        const at::Tensor leaf = batch.x.clone().requires_grad_(true);
        const TokenLogp result = token_logp(leaf, batch.tokens, std::nullopt, {.temperature = 0.9, .argmax = true});
        result.logp.add(result.entropy, 0.3).sum().backward();
        const at::Tensor gradient = leaf.grad().to(at::kDouble);
        for (std::int64_t i = 0; i < 2; ++i) {
          const double* row = batch.wide.const_data_ptr<double>() + i * vocabulary;
          const std::int64_t token = batch.tokens[i].item<std::int64_t>();
          const Reference expected = reference(row, vocabulary, token, 0.9);
          CHECK(near(result.logp[i].item<double>(), expected.logp, kTolerance32));
          CHECK(near(result.entropy[i].item<double>(), expected.entropy, kTolerance32));
          CHECK(row[result.argmax[i].item<std::int64_t>()] == batch.row_maximum(i));
          const double rounding = dtype == at::kFloat ? kTolerance32 : dtype == at::kBFloat16 ? 4.1e-3 : 1e-3;
          for (const std::int64_t v : {std::int64_t{0}, token, vocabulary / 2, vocabulary - 1}) {
            const double exact = slope(row, vocabulary, token, v, 0.9, 0.3);
            const double found = gradient.const_data_ptr<double>()[i * vocabulary + v];
            CHECK(std::abs(found - exact) <= rounding * std::abs(exact) + kTolerance32);
          }
        }
      }
  });
}

TEST_CASE("rows whose logits rise, fall or spread far keep their precision") {
  constexpr std::int64_t kV = 20000;
  const at::Tensor tokens = at::tensor({19999, 0, 5000, 77}, at::kLong);
  at::Tensor x = at::zeros({4, kV}, at::kFloat);
  for (std::int64_t v = 0; v < kV; ++v) {
    x[0][v] = 0.01 * static_cast<double>(v);  // 20 higher with every block
    x[1][v] = -0.01 * static_cast<double>(v);
    x[2][v] = v == 5000 ? 3e4 : -3e4;        // one certain token far above
    x[3][v] = v % 4096 == 77 ? 300.0 : 0.0;  // five equal peaks
  }
  const at::Tensor wide = x.to(at::kDouble);
  const TokenLogp expected = token_logp(wide, tokens);
  on_every_target([&] {
    const TokenLogp found = token_logp(x, tokens);
    for (std::int64_t i = 0; i < 4; ++i) {
      CHECK(near(found.logp[i].item<double>(), expected.logp[i].item<double>(), 2e-6));
      CHECK(near(found.entropy[i].item<double>(), expected.entropy[i].item<double>(), 1e-5));
    }
  });
  CHECK(expected.entropy[3].item<double>() == doctest::Approx(std::log(5.0)));
}

TEST_CASE("banned tokens have probability 0 wherever they lie, with every instruction set") {
  constexpr std::int64_t kV = 5000;
  Batch batch(3, kV, at::kFloat, 4, 12);
  batch.x[0].slice(0, 0, 2100).fill_(-kInf);  // the whole first block
  batch.x[1].slice(0, 1, kV).fill_(-kInf);    // all but one
  batch.x[2].slice(0, 2500, kV).fill_(-kInf);
  batch.tokens = at::tensor({3000, 0, 17}, at::kLong);
  const at::Tensor banned = batch.x.isneginf(), wide = batch.x.to(at::kDouble);
  on_every_target([&] {
    const at::Tensor leaf = batch.x.clone().requires_grad_(true);
    const TokenLogp result = token_logp(leaf, batch.tokens, std::nullopt, {.argmax = true});
    result.logp.add(result.entropy, 0.5).sum().backward();
    for (std::int64_t i = 0; i < 3; ++i) {
      const Reference expected =
          reference(wide.const_data_ptr<double>() + i * kV, kV, batch.tokens[i].item<std::int64_t>(), 1);
      CHECK(near(result.logp[i].item<double>(), expected.logp, kTolerance32));
      CHECK(near(result.entropy[i].item<double>(), expected.entropy, kTolerance32));
    }
    CHECK(leaf.grad().isfinite().all().item<bool>());
    CHECK(leaf.grad().masked_select(banned).count_nonzero().item<std::int64_t>() == 0);
    CHECK(result.argmax[1].item<std::int64_t>() == 0);
  });
}

TEST_CASE("extreme logits and temperatures keep their meaning") {
  constexpr double kLowest = std::numeric_limits<float>::lowest();
  at::Tensor x = logits({5, 5000}, 18).to(at::kFloat);
  x[0].slice(0, 0, 2048).fill_(kLowest);  // the lowest finite number in place of -inf
  x[1].fill_(kLowest);
  x[2].add_(1e10);
  x[3].mul_(1e8);
  x[4].fill_(-1e10);
  const at::Tensor tokens = at::tensor({3000, 1, 2, 3, 4}, at::kLong), wide = x.to(at::kDouble);
  for (const double temperature : {1e-3, 1.0, 1e3}) {
    const TokenLogp expected = warm(wide, tokens, temperature);
    on_every_target([&] {
      const at::Tensor leaf = x.clone().requires_grad_(true);
      const TokenLogp found = warm(leaf, tokens, temperature);
      found.logp.sum().backward();
      for (std::int64_t i = 0; i < 5; ++i) {
        CAPTURE(i);
        CHECK(near(found.logp[i].item<double>(), expected.logp[i].item<double>(), 5e-6));
        CHECK(near(found.entropy[i].item<double>(), expected.entropy[i].item<double>(), 5e-5));
      }
      CHECK(leaf.grad().isfinite().all().item<bool>());
    });
  }
  CHECK(thrown([&] { warm(x, tokens, 1e-35); }) ==
        "[grpo::token_logp] temperature must be in [1e-30, 1e30], got 1e-35");
}

TEST_CASE("in place, rows that do not lie in memory as rows are refused before anything is written") {
  const at::Tensor x = logits({6, 40}, 19).to(at::kFloat), tokens = at::zeros({6}, at::kLong);
  const auto error = [&](const at::Tensor& view) {
    const at::Tensor leaf = view.detach().requires_grad_(true);
    return thrown([&] { token_logp(leaf, tokens, std::nullopt, {.in_place = true}).logp.sum().backward(); });
  };
  CHECK(error(x) == "");
  CHECK(error(x.slice(1, 0, 20)) == "");
  CHECK(error(logits({40, 6}, 19).to(at::kFloat).t()) ==
        "[grpo::token_logp] in_place: expected logits whose last dimension is contiguous, got a stride of 6");
  CHECK(error(x.select(0, 0).unsqueeze(0).expand({6, 40})) ==
        "[grpo::token_logp] in_place: expected logits whose rows do not share memory, got an expanded tensor");
}

TEST_CASE("a row without a distribution gives NaN and the arg-max -1, and spoils no other row") {
  for (const auto dtype : {at::kFloat, at::kBFloat16, at::kHalf})
    for (const std::int64_t place : {0, 1, 2047, 2048, 4999})
      for (const double value : {kNan, kInf}) {
        Batch batch(2, 5000, dtype, 4, 13);
        batch.x[0][place] = value;
        on_every_target([&] {
          const TokenLogp result = token_logp(batch.x, batch.tokens, std::nullopt, {.argmax = true});
          CHECK(std::isnan(result.logp[0].item<double>()));
          CHECK(std::isnan(result.entropy[0].item<double>()));
          CHECK(result.argmax[0].item<std::int64_t>() == -1);
          CHECK(std::isfinite(result.logp[1].item<double>()));
          CHECK(std::isnan(token_logp(at::full({1, 40}, -kInf), at::zeros({1}, at::kLong)).logp.item<double>()));
        });
      }
}

TEST_CASE("the arg-max is the lowest of equals") {
  at::Tensor x = at::zeros({1, 9000});
  for (const std::int64_t v : {8000, 4097, 4096, 6000}) x[0][v] = 2;
  on_every_target([&] {
    const TokenLogp result = token_logp(x, at::zeros({1}, at::kLong), std::nullopt, {.argmax = true});
    CHECK(result.argmax.item<std::int64_t>() == 4096);
  });
}

TEST_CASE("in place, backward writes over the logits and gives the same bits") {
  const Batch batch(5, 777, at::kBFloat16, 5, 14);
  const at::Tensor mask = at::tensor({1, 0, 1, 1, 0}).to(at::kBool);
  on_every_target([&] {
    const at::Tensor leaf = batch.x.clone().requires_grad_(true), other = batch.x.clone().requires_grad_(true);
    token_logp(leaf, batch.tokens, mask).logp.sum().backward();
    const at::Tensor alias = other.detach();
    token_logp(other, batch.tokens, mask, {.in_place = true}).logp.sum().backward();
    CHECK(other.grad().equal(leaf.grad()));
    CHECK(alias.equal(leaf.grad()));
  });
}

TEST_CASE("strided logits are read where they are") {
  const at::Tensor all = logits({3, 6, 40}, 15).to(at::kFloat);
  const at::Tensor part = all.slice(1, 2, 6);  // completion positions of a longer sequence
  const at::Tensor tokens = at::full({3, 4}, 5, at::kLong);
  on_every_target([&] {
    CHECK(token_logp(part, tokens).logp.equal(token_logp(part.contiguous(), tokens).logp));
    CHECK(token_logp(all.transpose(0, 1), tokens.new_full({6, 3}, 5))
              .logp.allclose(token_logp(all, tokens.new_full({3, 6}, 5)).logp.t()));
    const at::Tensor across = logits({40, 3}, 16).to(at::kFloat).t(), three = at::full({3}, 5, at::kLong);
    CHECK(token_logp(across, three).logp.equal(token_logp(across.contiguous(), three).logp));
  });
}

TEST_CASE("results do not depend on the number of threads") {
  const Batch batch(7, 60000, at::kFloat, 6, 17);
  const int before = at::get_num_threads();
  on_every_target([&] {
    at::set_num_threads(1);
    const TokenLogp one = token_logp(batch.x, batch.tokens);
    for (const int threads : {2, 3}) {
      at::set_num_threads(threads);
      const TokenLogp more = token_logp(batch.x, batch.tokens);
      CHECK(more.logp.equal(one.logp));
      CHECK(more.entropy.equal(one.entropy));
    }
  });
  at::set_num_threads(before);
}

TEST_CASE("targets are refused by name") {
  CHECK(thrown([] { limit_simd("mmx"); }).starts_with("[grpo::limit_simd] target: expected one of aten"));
  CHECK(simd_targets().front() == "aten");
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
  CHECK(error(x, tokens.to(at::kMeta)) == "[grpo::token_logp] tokens: expected a tensor on cpu as logits, got meta");
  CHECK(error(at::zeros({}), tokens) == "[grpo::token_logp] logits: expected shape [..., V] with V >= 1, got []");
}
