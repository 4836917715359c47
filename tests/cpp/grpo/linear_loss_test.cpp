#include "vlmprobe/grpo/linear_loss.h"

#include <ATen/Parallel.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/tensor.h>
#include <torch/csrc/autograd/autograd.h>

#include <limits>

#include "scalar_loss.h"
#include "support.h"
#include "targets.h"

using namespace vlmprobe;
using namespace vlmprobe::grpo;

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr LossOptions kAll{.surrogate = {.clip_low = 0.2, .clip_high = 0.3, .beta = 0.05, .entropy_weight = 0.02},
                           .reduction = Reduction::grpo};

// Hidden states and a head, and the batch whose logits they make.
struct Problem {
  at::Tensor hidden, weight;  // [B, T, H], [V, H] of the dtype
  scalar::Batch batch;

  Problem(std::int64_t sequences, std::int64_t length, std::int64_t width, std::int64_t vocabulary,
          at::ScalarType dtype, std::uint32_t seed)
      : hidden(scalar::uniform({sequences, length, width}, -1, 1, seed).to(dtype)),
        weight(scalar::uniform({vocabulary, width}, -0.5, 0.5, seed + 9).to(dtype)),
        batch(sequences, length, vocabulary, seed) {
    const at::Tensor flat = hidden.to(at::kDouble).reshape({-1, width});
    batch.logits = at::mm(flat, weight.to(at::kDouble).t()).reshape({sequences, length, vocabulary});
    batch.settle(seed);
  }

  LossInputs inputs() const {
    const at::ScalarType wide = hidden.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
    return {batch.advantages, batch.mask, batch.old_logp.to(wide), batch.ref_logp.to(wide)};
  }
};

struct Found {
  double loss;
  at::Tensor hidden, weight, logp;
};

Found run(const Problem& problem, const LossOptions& options, std::optional<std::int64_t> bytes = std::nullopt,
          bool frozen = false) {
  const at::Tensor hidden = problem.hidden.clone().requires_grad_(true);
  const at::Tensor weight = problem.weight.clone().requires_grad_(!frozen);
  const TokenLoss result =
      linear_loss(hidden, weight, problem.batch.tokens, problem.inputs(), at::scalar_tensor(problem.batch.normalizer),
                  options, {.temperature = problem.batch.temperature, .logits_bytes = bytes});
  result.loss.backward();
  return {result.loss.item<double>(), hidden.grad(), weight.grad(), result.logp};
}

struct Expected {
  double loss;
  at::Tensor hidden, weight;
};

Expected expected(const Problem& problem, const LossOptions& options) {
  const scalar::Result result = scalar::loss(problem.batch, options);
  const at::Tensor g = result.gradient.reshape({-1, problem.batch.vocabulary});
  const at::Tensor h = problem.hidden.to(at::kDouble).reshape({g.size(0), -1}), w = problem.weight.to(at::kDouble);
  return {result.loss, at::mm(g, w).reshape(problem.hidden.sizes()), at::mm(g.t(), h)};
}

double tolerance(at::ScalarType dtype) {  // of a gradient, relative to its largest entry
  return dtype == at::kDouble ? 1e-12 : dtype == at::kFloat ? 5e-6 : dtype == at::kHalf ? 2e-3 : 1e-2;
}

}  // namespace

TEST_CASE("the linear loss by hand") {
  // hidden all 1, weight all 0: two equal logits, as in the loss from logits; d weight = (p - onehot) hidden.
  const at::Tensor hidden = at::ones({1, 1, 16}).requires_grad_(true), weight = at::zeros({2, 16}).requires_grad_(true);
  const TokenLoss result =
      linear_loss(hidden, weight, at::zeros({1, 1}, at::kLong), {at::ones({1}), at::ones({1, 1}, at::kBool)},
                  at::scalar_tensor(1.0), {.surrogate = {.beta = 0}});
  result.loss.backward();
  CHECK(result.loss.item<double>() == -1);
  CHECK(weight.grad()[0][3].item<double>() == doctest::Approx(-0.5));
  CHECK(weight.grad()[1][3].item<double>() == doctest::Approx(0.5));
  CHECK(hidden.grad().count_nonzero().item<std::int64_t>() == 0);
}

TEST_CASE(
    "the linear loss agrees with scalar loops: instruction sets, dtypes, ratios, widths and tiles around the edges") {
  struct Size {
    std::int64_t width, vocabulary;
  };
  on_every_target([] {
    for (const auto dtype : {at::kDouble, at::kFloat, at::kBFloat16, at::kHalf})
      for (const Size size : {Size{16, 2}, {16, 127}, {32, 128}, {48, 130}, {16, 257}, {20, 100}, {272, 1030}})
        for (const RatioLevel ratio : {RatioLevel::token, RatioLevel::sequence}) {
          CAPTURE(size.width);
          CAPTURE(size.vocabulary);
          const Problem problem(4, 5, size.width, size.vocabulary, dtype, 21);
          LossOptions options = kAll;
          options.surrogate.ratio = ratio;
          const Expected right = expected(problem, options);
          const Found found = run(problem, options);
          CHECK(found.loss == doctest::Approx(right.loss).epsilon(dtype == at::kDouble ? 1e-12 : 2e-5));
          CHECK(scalar::distance(found.hidden, right.hidden) <= tolerance(dtype));
          CHECK(scalar::distance(found.weight, right.weight) <= tolerance(dtype));
          const Found frozen = run(problem, options, std::nullopt, true);
          CHECK(frozen.loss == found.loss);
          CHECK(frozen.hidden.equal(found.hidden));
          CHECK_FALSE(frozen.weight.defined());
        }
  });
}

TEST_CASE("chunks of any size give the same loss and gradients") {
  for (const auto dtype : {at::kFloat, at::kBFloat16})
    for (const RatioLevel ratio : {RatioLevel::token, RatioLevel::sequence}) {
      LossOptions options = kAll;
      options.surrogate.ratio = ratio;
      const Problem problem(6, 23, 32, 300, dtype, 22);
      const Expected right = expected(problem, options);
      on_every_target([&] {
        for (const std::int64_t bytes : {std::int64_t{1}, std::int64_t{1} << 15, std::int64_t{1} << 30}) {
          const Found found = run(problem, options, bytes);
          CHECK(found.loss == doctest::Approx(right.loss).epsilon(2e-5));
          CHECK(scalar::distance(found.hidden, right.hidden) <= tolerance(dtype));
          // in bfloat16 each chunk's sum is rounded: 16 rows a chunk at worst
          CHECK(scalar::distance(found.weight, right.weight) <= 2 * tolerance(dtype));
        }
      });
    }
}

TEST_CASE("masked rows are left out: they may hold anything, and their gradient is 0") {
  for (const auto dtype : {at::kFloat, at::kBFloat16}) {
    const Problem problem(4, 5, 32, 300, dtype, 23);
    Problem poisoned = problem;
    const at::Tensor masked = problem.batch.mask.logical_not();
    poisoned.hidden = problem.hidden.masked_fill(masked.unsqueeze(-1), kNan);
    poisoned.batch.tokens = problem.batch.tokens.masked_fill(masked, 1 << 20);
    on_every_target([&] {
      const Found clean = run(problem, kAll), found = run(poisoned, kAll);
      CHECK(found.loss == clean.loss);
      CHECK(found.hidden.equal(clean.hidden));
      CHECK(found.weight.equal(clean.weight));
      CHECK(found.hidden.masked_select(masked.unsqueeze(-1)).count_nonzero().item<std::int64_t>() == 0);
    });
  }
}

TEST_CASE("the linear loss has the same bits for any number of threads") {
  const int before = at::get_num_threads();
  for (const auto dtype : {at::kFloat, at::kBFloat16}) {
    const Problem problem(4, 20, 64, 3000, dtype, 24);
    at::set_num_threads(1);
    const Found one = run(problem, kAll);
    for (const int threads : {2, 3}) {
      at::set_num_threads(threads);
      const Found more = run(problem, kAll);
      CHECK(more.loss == one.loss);
      CHECK(more.hidden.equal(one.hidden));
      CHECK(more.weight.equal(one.weight));
    }
  }
  at::set_num_threads(before);
}

TEST_CASE("a batch without a token to learn from leaves gradients of 0") {
  Problem problem(3, 4, 16, 50, at::kFloat, 25);
  problem.batch.mask.fill_(false);
  on_every_target([&] {
    const Found found = run(problem, kAll);
    CHECK(found.loss == 0);
    CHECK(found.hidden.count_nonzero().item<std::int64_t>() == 0);
    CHECK(found.weight.count_nonzero().item<std::int64_t>() == 0);
  });
}

TEST_CASE("banned words: the loss, its gradients and log-probabilities of the vocabulary without them") {
  on_every_target([] {
    for (const auto dtype : {at::kDouble, at::kFloat, at::kBFloat16}) {
      const std::int64_t vocabulary = 400;
      Problem problem(3, 5, 32, vocabulary, dtype, 27);
      // A whole tile of 128 words, the first and the last word, some twice; never a sampled one.
      std::vector<std::int64_t> banned = {399, 0, 5, 399, 200};
      for (std::int64_t id = 128; id < 256; ++id) banned.push_back(id);
      problem.batch.tokens.remainder_(100).add_(6);
      const at::Tensor ids = at::tensor(banned, at::kLong);
      problem.batch.logits.index_fill_(2, ids, -std::numeric_limits<double>::infinity());
      problem.batch.settle(27);

      const at::Tensor hidden = problem.hidden.clone().requires_grad_(true);
      const at::Tensor weight = problem.weight.clone().requires_grad_(true);
      const TokenLoss result = linear_loss(hidden, weight, problem.batch.tokens, problem.inputs(),
                                           at::scalar_tensor(problem.batch.normalizer), kAll,
                                           {.temperature = problem.batch.temperature, .banned = ids});
      result.loss.backward();
      const Expected right = expected(problem, kAll);
      CHECK(result.loss.item<double>() == doctest::Approx(right.loss).epsilon(dtype == at::kDouble ? 1e-12 : 2e-5));
      CHECK(scalar::distance(hidden.grad(), right.hidden) <= tolerance(dtype));
      CHECK(scalar::distance(weight.grad(), right.weight) <= tolerance(dtype));
      CHECK(weight.grad().index_select(0, ids).count_nonzero().item<std::int64_t>() == 0);
    }
  });
}

TEST_CASE("errors of the linear loss") {
  const Problem problem(2, 3, 16, 9, at::kFloat, 26);
  const auto error = [&](const at::Tensor& hidden, const at::Tensor& weight, const at::Tensor& tokens,
                         const LinearOptions& how = {}) {
    return thrown([&] { linear_loss(hidden, weight, tokens, problem.inputs(), at::scalar_tensor(1.0), kAll, how); });
  };
  const at::Tensor &h = problem.hidden, &w = problem.weight, &t = problem.batch.tokens;
  CHECK(error(h, w, t) == "");
  CHECK(error(h, w.slice(1, 0, 8), t) ==
        "[grpo::linear_loss] weight: expected shape [V, H], got [9, 8] (H=16 was set by hidden)");
  CHECK(error(h, w.to(at::kBFloat16), t) == "[grpo::linear_loss] weight: expected Float as hidden, got BFloat16");
  CHECK(error(h.to(at::kLong), w, t) ==
        "[grpo::linear_loss] hidden: expected float32, bfloat16, float16 or float64, got Long");
  CHECK(error(h, w, t.slice(1, 0, 2)) ==
        "[grpo::linear_loss] tokens: expected shape [B, T], got [2, 2] (T=3 was set by hidden)");
  CHECK(error(h, w, t.add(9)) == "[grpo::linear_loss] tokens: expected ids in [0, 9), got 14");
  CHECK(error(h, w.to(at::kMeta), t) == "[grpo::linear_loss] weight: expected a tensor on cpu as hidden, got meta");
  CHECK(error(h.slice(2, 0, 0), w.slice(1, 0, 0), t) ==
        "[grpo::linear_loss] weight: expected V >= 1 and H >= 1, got [9, 0]");
  CHECK(error(h, w, t, {.temperature = -1}) == "[grpo::linear_loss] temperature must be in (0, inf), got -1");
  CHECK(error(h, w, t, {.banned = at::tensor({9}, at::kLong)}) ==
        "[grpo::linear_loss] banned: expected ids in [0, 9), got 9 to 9");
  CHECK(error(h, w, t, {.banned = at::tensor({1.0F})}) == "[grpo::linear_loss] banned: expected int64, got Float");
  CHECK(error(h, w, t, {.logits_bytes = 0}) == "[grpo::linear_loss] logits_bytes must be positive, got 0");
}
