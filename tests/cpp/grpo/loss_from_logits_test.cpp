#include "vlmprobe/grpo/loss_from_logits.h"

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/scalar_tensor.h>
#include <torch/csrc/autograd/autograd.h>

#include <limits>

#include "scalar_loss.h"
#include "support.h"
#include "targets.h"

using namespace vlmprobe;
using namespace vlmprobe::grpo;

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN(), kInf = std::numeric_limits<double>::infinity();
constexpr LossOptions kAll{.surrogate = {.clip_low = 0.2, .clip_high = 0.3, .beta = 0.05, .entropy_weight = 0.02},
                           .reduction = Reduction::grpo};

double tolerance(at::ScalarType dtype) {  // of a gradient, relative to its largest entry
  return dtype == at::kDouble ? 1e-12 : dtype == at::kFloat ? 3e-6 : dtype == at::kHalf ? 1e-3 : 4.1e-3;
}

LossInputs inputs(const scalar::Batch& batch, at::ScalarType dtype) {
  const at::ScalarType wide = dtype == at::kDouble ? at::kDouble : at::kFloat;
  return {batch.advantages, batch.mask, batch.old_logp.to(wide), batch.ref_logp.to(wide)};
}

struct Found {
  double loss;
  at::Tensor gradient, logp, entropy;
};

Found run(const scalar::Batch& batch, const at::Tensor& logits, const LossOptions& options, bool in_place = false) {
  const at::Tensor leaf = logits.clone().requires_grad_(true);
  const TokenLoss result =
      loss_from_logits(leaf, batch.tokens, inputs(batch, logits.scalar_type()), at::scalar_tensor(batch.normalizer),
                       options, {.temperature = batch.temperature, .in_place = in_place});
  result.loss.backward();
  return {result.loss.item<double>(), leaf.grad(), result.logp, result.token_entropy};
}

// The batch with logits that are exact in `dtype`, and old log-probabilities to match.
scalar::Batch exact(std::int64_t vocabulary, at::ScalarType dtype, std::uint32_t seed) {
  scalar::Batch batch(4, 5, vocabulary, seed);
  batch.logits = batch.logits.to(dtype).to(at::kDouble);
  batch.settle(seed);
  return batch;
}

}  // namespace

TEST_CASE("the loss from logits by hand") {
  // Two equal logits, on-policy, A = 1, no KL: loss -1; the gradient is p - onehot = -1/2, 1/2.
  const at::Tensor logits = at::zeros({1, 1, 2}).requires_grad_(true);
  const TokenLoss result =
      loss_from_logits(logits, at::zeros({1, 1}, at::kLong), {at::ones({1}), at::ones({1, 1}, at::kBool)},
                       at::scalar_tensor(1.0), {.surrogate = {.beta = 0}});
  result.loss.backward();
  CHECK(result.loss.item<double>() == -1);
  CHECK(logits.grad().const_data_ptr<float>()[0] == doctest::Approx(-0.5));
  CHECK(logits.grad().const_data_ptr<float>()[1] == doctest::Approx(0.5));
  CHECK(result.logp.item<double>() == doctest::Approx(-std::log(2.0)));
  CHECK(result.token_entropy.item<double>() == doctest::Approx(std::log(2.0)));
  CHECK(result.ratio_mean() == 1);
  CHECK(result.tokens() == 1);
}

TEST_CASE("loss and gradient agree with scalar loops: every instruction set, dtype, ratio and reduction") {
  on_every_target([] {
    for (const auto dtype : {at::kDouble, at::kFloat, at::kBFloat16, at::kHalf})
      for (const std::int64_t vocabulary : {5, 33, 1000})
        for (const RatioLevel ratio : {RatioLevel::token, RatioLevel::sequence})
          for (const Reduction reduction : {Reduction::grpo, Reduction::dapo}) {
            const scalar::Batch batch = exact(vocabulary, dtype, 3);
            LossOptions options = kAll;
            options.surrogate.ratio = ratio, options.reduction = reduction;
            const scalar::Result expected = scalar::loss(batch, options);
            for (const bool in_place : {false, true}) {
              const Found found = run(batch, batch.logits.to(dtype), options, in_place);
              CHECK(found.loss == doctest::Approx(expected.loss).epsilon(dtype == at::kDouble ? 1e-12 : 5e-6));
              CHECK(scalar::distance(found.gradient, expected.gradient) <= tolerance(dtype));
            }
          }
  });
}

TEST_CASE("poison: masked rows of the logits and masked tokens may hold anything") {
  const scalar::Batch batch = exact(600, at::kFloat, 4);
  const at::Tensor hidden = batch.mask.logical_not();
  on_every_target([&] {
    for (const RatioLevel ratio : {RatioLevel::token, RatioLevel::sequence}) {
      LossOptions options = kAll;
      options.surrogate.ratio = ratio;
      const Found expected = run(batch, batch.logits.to(at::kFloat), options);
      for (const double poison : {kNan, kInf, -kInf}) {
        scalar::Batch other = batch;
        other.tokens = batch.tokens.masked_fill(hidden, -100);
        other.old_logp = batch.old_logp.masked_fill(hidden, poison);
        other.ref_logp = batch.ref_logp.masked_fill(hidden, poison);
        const at::Tensor logits = batch.logits.to(at::kFloat).masked_fill(hidden.unsqueeze(-1), poison);
        for (const bool in_place : {false, true}) {
          const Found found = run(other, logits, options, in_place);
          CHECK(found.loss == expected.loss);
          CHECK(found.gradient.equal(expected.gradient));
        }
      }
      CHECK(expected.gradient.masked_select(hidden.unsqueeze(-1)).count_nonzero().item<std::int64_t>() == 0);
    }
  });
}

TEST_CASE("the same bits for any number of threads") {
  const scalar::Batch batch = exact(40000, at::kFloat, 5);
  const int before = at::get_num_threads();
  on_every_target([&] {
    at::set_num_threads(1);
    const Found one = run(batch, batch.logits.to(at::kFloat), kAll);
    for (const int threads : {2, 3}) {
      at::set_num_threads(threads);
      const Found more = run(batch, batch.logits.to(at::kFloat), kAll);
      CHECK(more.loss == one.loss);
      CHECK(more.gradient.equal(one.gradient));
    }
  });
  at::set_num_threads(before);
}

TEST_CASE("a factor from behind reaches the gradient, in place too, and a second derivative is refused") {
  const scalar::Batch batch = exact(50, at::kFloat, 6);
  const at::Tensor plain = run(batch, batch.logits.to(at::kFloat), kAll).gradient;
  for (const bool in_place : {false, true}) {
    const at::Tensor leaf = batch.logits.to(at::kFloat).requires_grad_(true);
    const TokenLoss result =
        loss_from_logits(leaf, batch.tokens, inputs(batch, at::kFloat), at::scalar_tensor(batch.normalizer), kAll,
                         {.temperature = batch.temperature, .in_place = in_place});
    CHECK(thrown([&] { torch::autograd::grad({result.loss}, {leaf}, {}, true, true); }) ==
          "[grpo::loss_from_logits] backward: expected create_graph=False, the loss is differentiable once");
    result.loss.mul(-3).backward();
    CHECK(leaf.grad().allclose(plain.mul(-3), 1e-6, 1e-9));
  }
}

TEST_CASE("a loss scaler's factor does not overflow a float16 gradient") {
  const scalar::Batch batch = exact(50, at::kHalf, 9);
  const at::Tensor plain = run(batch, batch.logits.to(at::kHalf), kAll).gradient;
  for (const bool in_place : {false, true}) {
    const at::Tensor leaf = batch.logits.to(at::kHalf).requires_grad_(true);
    const TokenLoss result =
        loss_from_logits(leaf, batch.tokens, inputs(batch, at::kHalf), at::scalar_tensor(batch.normalizer), kAll,
                         {.temperature = batch.temperature, .in_place = in_place});
    result.loss.mul(65536).backward();
    const at::Tensor expected = plain.to(at::kDouble).mul(65536).to(at::kHalf);
    CHECK(leaf.grad().equal(expected));
  }
}

TEST_CASE("without a gradient wanted none is made, and the loss is the same") {
  const scalar::Batch batch = exact(50, at::kFloat, 7);
  const Found expected = run(batch, batch.logits.to(at::kFloat), kAll);
  const TokenLoss result =
      loss_from_logits(batch.logits.to(at::kFloat), batch.tokens, inputs(batch, at::kFloat),
                       at::scalar_tensor(batch.normalizer), kAll, {.temperature = batch.temperature});
  CHECK(result.loss.item<double>() == expected.loss);
  CHECK_FALSE(result.loss.requires_grad());
}

TEST_CASE("empty batches and batches masked throughout add 0") {
  for (const auto& [sequences, length] : std::vector<std::pair<std::int64_t, std::int64_t>>{{0, 4}, {3, 0}, {3, 4}}) {
    const at::Tensor logits = at::full({sequences, length, 6}, kNan).requires_grad_(true);
    const at::Tensor mask = at::zeros({sequences, length}, at::kBool);
    const TokenLoss result =
        loss_from_logits(logits, at::full({sequences, length}, -1, at::kLong), {at::full({sequences}, kNan), mask},
                         at::scalar_tensor(0.0), {.surrogate = {.beta = 0}});
    result.loss.backward();
    CHECK(result.loss.item<double>() == 0);
    CHECK(logits.grad().count_nonzero().item<std::int64_t>() == 0);
    CHECK(std::isnan(result.ratio_mean()));
  }
}

TEST_CASE("errors of the loss from logits") {
  const scalar::Batch batch = exact(9, at::kFloat, 8);
  const at::Tensor logits = batch.logits.to(at::kFloat), count = at::scalar_tensor(1.0);
  const auto error = [&](auto&& change, const LogitsOptions& how = {}) {
    at::Tensor x = logits, tokens = batch.tokens;
    LossInputs in = inputs(batch, at::kFloat);
    LossOptions options = kAll;
    change(x, tokens, in, options);
    return thrown([&] { loss_from_logits(x, tokens, in, count, options, how); });
  };
  using Change = void (*)(at::Tensor&, at::Tensor&, LossInputs&, LossOptions&);
  const auto is = [&](Change change, const std::string& text) {
    CHECK(error(change) == "[grpo::loss_from_logits] " + text);
  };
  is([](at::Tensor& x, at::Tensor&, LossInputs&, LossOptions&) { x = x.select(0, 0); },
     "logits: expected shape [B, T, V], got 2 dimensions");
  is([](at::Tensor& x, at::Tensor&, LossInputs&, LossOptions&) { x = x.to(at::kLong); },
     "logits: expected float32, bfloat16, float16 or float64, got Long");
  is([](at::Tensor&, at::Tensor& t, LossInputs&, LossOptions&) { t = t.slice(1, 0, 2); },
     "tokens: expected shape [4, 5], got [4, 2] (set by logits)");
  is([](at::Tensor&, at::Tensor& t, LossInputs&, LossOptions&) { t = t.add(9); },
     "tokens: expected ids in [0, 9), got 14");
  is([](at::Tensor&, at::Tensor&, LossInputs& in, LossOptions&) { in.advantages = at::full({4}, kNan); },
     "advantages: row 0 is not finite where the mask is true");
  is([](at::Tensor&, at::Tensor&, LossInputs& in, LossOptions&) { in.old_logp = in.old_logp->to(at::kDouble); },
     "old_logp: expected Float as logits, got Double");
  is([](at::Tensor&, at::Tensor&, LossInputs& in, LossOptions&) { in.ref_logp.reset(); },
     "ref_logp: expected a tensor, because beta is 0.05, got none");
  is([](at::Tensor&, at::Tensor&, LossInputs& in, LossOptions&) { in.mask = in.mask.to(at::kMeta); },
     "mask: expected a tensor on cpu as logits, got meta");
  is([](at::Tensor&, at::Tensor&, LossInputs&, LossOptions& o) { o.surrogate.clip_high = -1; },
     "clip_high must be in [0, inf), got -1");
  const auto nothing = [](auto&&...) {};
  CHECK(error(nothing, {.temperature = 0}) == "[grpo::loss_from_logits] temperature must be in (0, inf), got 0");
  CHECK(error(nothing, {.in_place = true}) ==
        "[grpo::loss_from_logits] in_place: expected logits that require a gradient, got none that do");
}
