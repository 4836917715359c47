#include "vlmprobe/grpo/loss.h"

#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <limits>
#include <vector>

#include "support.h"
#include "vlmprobe/core/random.h"
#include "vlmprobe/grpo/option_names.h"
#include "vlmprobe/grpo/presets.h"

using namespace vlmprobe;
using namespace vlmprobe::grpo;

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN(), kInf = std::numeric_limits<double>::infinity();
constexpr double kTolerance64 = 1e-12, kTolerance32 = 2e-6, kDifferences = 1e-6;
constexpr std::int64_t kB = 5, kT = 7;
constexpr LossOptions kAll{.surrogate = {.clip_low = 0.2, .clip_high = 0.3, .beta = 0.05, .entropy_weight = 0.02},
                           .reduction = Reduction::grpo};

// Everything that goes into a loss.
struct Batch {
  at::Tensor logp, old_logp, advantages, mask;
  std::optional<at::Tensor> ref_logp = std::nullopt, entropy = std::nullopt;
};

Loss loss(const Batch& in, const at::Tensor& normalizer, const LossOptions& options) {
  return grpo::loss(in.logp, {in.advantages, in.mask, in.old_logp, in.ref_logp}, in.entropy, normalizer, options);
}

Loss loss(const Batch& in, double normalizer, const LossOptions& options) {
  return loss(in, at::scalar_tensor(normalizer, at::kDouble), options);
}

at::Tensor uniform(at::IntArrayRef sizes, double low, double high, std::uint32_t seed) {
  random::Sequence draws(seed, random::Stream::kQuestion, 2);
  at::Tensor tensor = at::zeros(sizes, at::kDouble);
  for (std::int64_t i = 0; i < tensor.numel(); ++i)
    tensor.mutable_data_ptr<double>()[i] = low + (high - low) * draws.uniform();
  return tensor;
}

// Row 2 is fully masked, the others end at different lengths.
Batch inputs() {
  const at::Tensor logp = uniform({kB, kT}, -3, 0, 1);
  at::Tensor mask = at::ones({kB, kT}, at::kBool);
  for (std::int64_t b = 0; b < kB; ++b) mask[b].slice(0, b == 2 ? 0 : 2 + b, kT).fill_(false);
  return {.logp = logp,
          .old_logp = logp.add(uniform({kB, kT}, -0.5, 0.5, 2)),
          .advantages = uniform({kB}, -2, 2, 3),
          .mask = mask,
          .ref_logp = logp.add(uniform({kB, kT}, -2, 2, 4)),
          .entropy = uniform({kB, kT}, 0, 3, 5)};
}

double element(const at::Tensor& tensor, std::int64_t b, std::int64_t t) {
  return tensor[b][t].item<double>();
}

// Equation 1 by scalar loops in double, without tensor operations; `weigh(tokens of b)` is what a token's term is
// worth.
template <class Weigh>
double reference(const Batch& in, const SurrogateOptions& options, Weigh&& weigh) {
  double total = 0;
  for (std::int64_t b = 0; b < kB; ++b) {
    std::int64_t tokens = 0;
    for (std::int64_t t = 0; t < kT; ++t) tokens += in.mask[b][t].item<bool>();
    for (std::int64_t t = 0; t < kT; ++t) {
      if (!in.mask[b][t].item<bool>()) continue;
      const double logp = element(in.logp, b, t), d = element(*in.ref_logp, b, t) - logp;
      const double a = in.advantages.dim() == 2 ? element(in.advantages, b, t) : in.advantages[b].item<double>();
      const double ratio = std::exp(logp - element(in.old_logp, b, t));
      const double clipped = std::min(std::max(ratio, 1 - options.clip_low), 1 + options.clip_high);
      const double term = -std::min(ratio * a, clipped * a) + options.beta * (std::exp(d) - d - 1) -
                          options.entropy_weight * element(*in.entropy, b, t);
      total += weigh(static_cast<double>(tokens)) * term;
    }
  }
  return total;
}

struct Gradients {
  double loss;
  at::Tensor logp, entropy;
};

Gradients gradients(Batch in, double normalizer, const LossOptions& options) {
  in.logp = in.logp.clone().requires_grad_(true);
  in.entropy = in.entropy->clone().requires_grad_(true);
  const Loss result = loss(in, normalizer, options);
  const auto found = torch::autograd::grad({result.loss}, {in.logp, *in.entropy}, {}, std::nullopt, false, true);
  return {result.loss.item<double>(), found[0], found[1]};
}

}  // namespace

TEST_CASE("the loss of two short sequences by hand") {
  // On-policy, no KL: every token's term is -A. Row 0 has 2 tokens, A = 1; row 1 has 1 token, A = -3.
  const at::Tensor logp = at::tensor({-1.0, -2.0, -1.0, -5.0}).reshape({2, 2});
  const at::Tensor mask = at::tensor({1, 1, 1, 0}).reshape({2, 2}).to(at::kBool);
  const Batch in{.logp = logp, .old_logp = logp, .advantages = at::tensor({1.0, -3.0}), .mask = mask};
  const auto value = [&](Reduction reduction, double normalizer) {
    LossOptions options = kTrl;
    options.reduction = reduction;
    return loss(in, normalizer, options).loss.item<double>();
  };
  CHECK(value(Reduction::grpo, 2) == doctest::Approx((-1.0 + 3.0) / 2));                 // mean of -1 and 3
  CHECK(value(Reduction::dapo, 3) == doctest::Approx((-1.0 - 1.0 + 3.0) / 3));           // three tokens
  CHECK(value(Reduction::bnpo, 3) == doctest::Approx((-1.0 - 1.0 + 3.0) / 3));           // the same count here
  CHECK(value(Reduction::dr_grpo, 2 * 10) == doctest::Approx((-1.0 - 1.0 + 3.0) / 20));  // 2 sequences of at most 10
  CHECK(normalizer(mask, Reduction::grpo) == 2);
  CHECK(normalizer(mask, Reduction::dapo) == 3);
  CHECK(normalizer(mask, Reduction::bnpo) == 3);
  CHECK(normalizer(mask, Reduction::dr_grpo, 10) == 20);
}

TEST_CASE("the loss agrees with scalar loops, for every reduction, in both dtypes, for both shapes of advantages") {
  for (const bool per_token : {false, true})
    for (const Reduction reduction : {Reduction::grpo, Reduction::bnpo, Reduction::dapo, Reduction::dr_grpo}) {
      Batch in = inputs();
      if (per_token) in.advantages = uniform({kB, kT}, -2, 2, 6);
      LossOptions options = kAll;
      options.reduction = reduction;
      const double expected = reference(in, options.surrogate, [&](double tokens) {
        return 1 / (11.0 * (reduction == Reduction::grpo ? tokens : 1.0));
      });
      CHECK(loss(in, 11, options).loss.item<double>() == doctest::Approx(expected).epsilon(kTolerance64));

      for (at::Tensor* tensor : {&in.logp, &in.old_logp, &*in.ref_logp, &*in.entropy}) *tensor = tensor->to(at::kFloat);
      const at::Tensor narrow = loss(in, 11, options).loss;
      CHECK((narrow.scalar_type() == at::kFloat));
      CHECK(std::abs(narrow.item<double>() - expected) <= kTolerance32);
    }
}

TEST_CASE("the gradients agree with central differences, and scale with what comes from behind") {
  constexpr double kStep = 1e-6;
  const Batch in = inputs();
  const Gradients found = gradients(in, 4, kAll);
  const auto value = [](const Batch& at) { return loss(at, 4, kAll).loss.item<double>(); };
  for (std::int64_t i = 0; i < kB * kT; ++i) {
    const auto moved = [&](const at::Tensor& tensor, double step) {
      at::Tensor copy = tensor.clone();
      copy.mutable_data_ptr<double>()[i] += step;
      return copy;
    };
    Batch above = in, below = in;
    above.logp = moved(in.logp, kStep), below.logp = moved(in.logp, -kStep);
    const double in_logp = (value(above) - value(below)) / (2 * kStep);
    CHECK(found.logp.const_data_ptr<double>()[i] == doctest::Approx(in_logp).epsilon(kDifferences));

    above = below = in;
    above.entropy = moved(*in.entropy, kStep), below.entropy = moved(*in.entropy, -kStep);
    const double in_entropy = (value(above) - value(below)) / (2 * kStep);
    CHECK(found.entropy.const_data_ptr<double>()[i] == doctest::Approx(in_entropy).epsilon(kDifferences));
  }

  Batch leaf = in;
  leaf.logp = in.logp.clone().requires_grad_(true);
  loss(leaf, 4, kAll).loss.mul(-3).backward();
  CHECK(leaf.logp.grad().allclose(found.logp.mul(-3), kTolerance64, kTolerance64));
}

TEST_CASE("poison: masked positions may hold anything, in values and in gradients") {
  Batch clean = inputs(), poisoned = inputs();
  clean.advantages = poisoned.advantages = uniform({kB, kT}, -2, 2, 6);
  const at::Tensor hidden = clean.mask.logical_not();
  const std::vector<double> poisons = {kNan, kInf, -kInf, 1e300};
  for (const double poison : poisons) {
    for (at::Tensor* tensor :
         {&poisoned.logp, &poisoned.old_logp, &poisoned.advantages, &*poisoned.ref_logp, &*poisoned.entropy})
      *tensor = tensor->masked_fill(hidden, poison);
    const Gradients expected = gradients(clean, 4, kAll), found = gradients(poisoned, 4, kAll);
    CHECK(found.loss == expected.loss);
    CHECK(found.logp.equal(expected.logp));
    CHECK(found.entropy.equal(expected.entropy));
    CHECK(found.logp.masked_select(hidden).count_nonzero().item<std::int64_t>() == 0);
    const Loss monitors = loss(poisoned, 4, kAll), plain = loss(clean, 4, kAll);
    CHECK(monitors.kl() == plain.kl());
    CHECK(monitors.ratio_mean() == plain.ratio_mean());
    CHECK(monitors.ratio_max() == plain.ratio_max());
    CHECK(monitors.entropy() == plain.entropy());
    CHECK(monitors.clip_fraction() == plain.clip_fraction());
  }
}

TEST_CASE("on-policy, a log-probability that is not a number reaches the loss") {
  const at::Tensor mask = at::ones({1, 1}, at::kBool), advantages = at::ones({1}, at::kDouble);
  for (const double value : {kNan, -kInf}) {
    const Loss result = grpo::loss(at::full({1, 1}, value, at::kDouble), {advantages, mask}, std::nullopt,
                                   at::ones({}, at::kDouble), kTrl);
    CHECK(std::isnan(result.loss.item<double>()));
    CHECK(std::isnan(result.ratio_max()));
  }
}

TEST_CASE("empty and fully masked batches are legal and add 0") {
  for (const auto& sizes : std::vector<std::vector<std::int64_t>>{{0, 4}, {3, 0}, {0, 0}, {3, 4}}) {
    const at::Tensor logp = at::zeros(sizes, at::kDouble).requires_grad_(true);
    const Batch in{.logp = logp,
                   .old_logp = logp.detach(),
                   .advantages = at::ones({sizes[0]}),
                   .mask = at::zeros(sizes, at::kBool)};
    const Loss result = loss(in, normalizer(in.mask, Reduction::dapo), kTrl);
    result.loss.backward();
    CHECK(result.loss.item<double>() == 0);
    CHECK(logp.grad().count_nonzero().item<std::int64_t>() == 0);
    CHECK(result.tokens() == 0);
    CHECK(std::isnan(result.ratio_mean()));
    CHECK(std::isnan(result.ratio_max()));
  }
}

TEST_CASE("the loss of a window is the sum over its micro-batches") {
  const Batch whole = inputs();
  const double window = normalizer(whole.mask, Reduction::dapo);
  LossOptions options = kAll;
  options.reduction = Reduction::dapo;
  double sum = 0;
  for (std::int64_t b = 0; b < kB; ++b) {
    const auto row = [&](const at::Tensor& tensor) { return tensor.slice(0, b, b + 1); };
    sum += loss({row(whole.logp), row(whole.old_logp), row(whole.advantages), row(whole.mask), row(*whole.ref_logp),
                 row(*whole.entropy)},
                window, options)
               .loss.item<double>();
  }
  CHECK(sum == doctest::Approx(loss(whole, window, options).loss.item<double>()).epsilon(kTolerance64));
}

TEST_CASE("a normalizer per sequence divides each sequence by its own") {
  const Batch in = inputs();
  LossOptions options = kAll;
  options.reduction = Reduction::dapo;
  const at::Tensor tokens = in.mask.sum(1);  // int64, and 0 for the fully masked row
  const double means = loss(in, tokens, options).loss.item<double>();
  CHECK(means == doctest::Approx(loss(in, 1, kAll).loss.item<double>()).epsilon(kTolerance64));
}

TEST_CASE("monitors are token means, NaN for what was not given") {
  Batch in = inputs();
  const Loss all = loss(in, 4, kAll);
  double k3 = 0, ratio = 0, clipped = 0, largest = 0;
  for (std::int64_t b = 0; b < kB; ++b)
    for (std::int64_t t = 0; t < kT; ++t) {
      if (!in.mask[b][t].item<bool>()) continue;
      const double logp = element(in.logp, b, t), d = element(*in.ref_logp, b, t) - logp;
      const double r = std::exp(logp - element(in.old_logp, b, t)), a = in.advantages[b].item<double>();
      k3 += std::exp(d) - d - 1, ratio += r, largest = std::max(largest, r);
      clipped += (a > 0 && r > 1.3) || (a < 0 && r < 0.8);
    }
  const auto tokens = static_cast<double>(all.tokens());
  CHECK(all.tokens() == in.mask.sum().item<std::int64_t>());
  CHECK(all.kl() == doctest::Approx(k3 / tokens).epsilon(kTolerance64));
  CHECK(all.ratio_mean() == doctest::Approx(ratio / tokens).epsilon(kTolerance64));
  CHECK(all.ratio_max() == doctest::Approx(largest).epsilon(kTolerance64));
  CHECK(all.clip_fraction() == doctest::Approx(clipped / tokens).epsilon(kTolerance64));
  CHECK(all.entropy() ==
        doctest::Approx(in.entropy->masked_select(in.mask).mean().item<double>()).epsilon(kTolerance64));

  in.ref_logp.reset(), in.entropy.reset();
  const Loss bare = loss(in, 4, kTrl);
  CHECK(std::isnan(bare.kl()));
  CHECK(std::isnan(bare.entropy()));
  CHECK(bare.ratio_mean() == all.ratio_mean());
}

TEST_CASE("strided inputs give the same loss") {
  const Batch in = inputs();
  const auto strided = [](const at::Tensor& tensor) { return tensor.t().contiguous().t(); };
  const Batch other{strided(in.logp), strided(in.old_logp),  in.advantages,
                    strided(in.mask), strided(*in.ref_logp), strided(*in.entropy)};
  CHECK(loss(other, 4, kAll).loss.equal(loss(in, 4, kAll).loss));
}

TEST_CASE("a second derivative is refused") {
  Batch in = inputs();
  in.logp = in.logp.clone().requires_grad_(true);
  const at::Tensor value = loss(in, 4, kAll).loss;
  CHECK(thrown([&] { torch::autograd::grad({value}, {in.logp}, {}, std::nullopt, true); }) ==
        "[grpo::loss] backward: expected create_graph=False, the loss is differentiable once");
}

TEST_CASE("presets and names of reductions") {
  CHECK((kPaper == LossOptions{}));
  CHECK(kPaper.surrogate.beta == 1e-2);
  CHECK(kTrl.surrogate.beta == 0);
  CHECK(kTrl.reduction == Reduction::dapo);
  for (const auto text : {"grpo", "bnpo", "dapo", "dr_grpo"}) CHECK(name(reduction(text)) == text);
  CHECK(thrown([] { reduction("mean"); }) ==
        "[grpo::loss] reduction: expected one of grpo, bnpo, dapo, dr_grpo, got 'mean'");
  for (const auto text : {"clip", "cispo", "sapo"}) CHECK(name(policy(text)) == text);
  for (const auto text : {"token", "sequence"}) CHECK(name(ratio_level(text)) == text);
  for (const auto text : {"k1", "k2", "k3"}) CHECK(name(kl_estimator(text)) == text);
}

TEST_CASE("options survive packing, and numbers that are no options are refused") {
  const LossOptions odd{.surrogate = {.policy = Policy::sapo,
                                      .ratio = RatioLevel::sequence,
                                      .clip_low = 0.1,
                                      .clip_high = 0.9,
                                      .dual_clip = 3,
                                      .delta = 4,
                                      .sapo_positive = 2,
                                      .sapo_negative = 0.5,
                                      .beta = 0.3,
                                      .kl = KlEstimator::k1,
                                      .kl_straight_through = true,
                                      .kl_weighted = true,
                                      .entropy_weight = 0.7},
                        .reduction = Reduction::dr_grpo};
  for (const LossOptions& options : {odd, kPaper, kTrl, kVerl, kOpenRlhf, kDrGrpo, kGspo})
    CHECK((unpack(pack(options), "op") == options));
  PackedOptions packed = pack(odd);
  packed[0] = 3;
  CHECK(thrown([&] { unpack(packed, "op"); }) == "[op] options: expected policy in 0 to 2, got 3");
  packed[0] = 0.5;
  CHECK(thrown([&] { unpack(packed, "op"); }) == "[op] options: expected policy in 0 to 2, got 0.5");
  CHECK(thrown([&] { unpack(std::span<const double>(packed).first(3), "op"); }) ==
        "[op] options: expected 14 numbers, got 3");
}

TEST_CASE("errors of the loss name the argument, what was expected and what came") {
  const auto error = [](auto&& change, double normalizer = 4, LossOptions options = kAll) {
    Batch in = inputs();
    change(in);
    return thrown([&] { loss(in, normalizer, options); });
  };
  const auto nothing = [](Batch&) {};
  CHECK(error(nothing) == "");
  CHECK(error([](Batch& in) { in.advantages = at::zeros({3}); }) ==
        "[grpo::loss] advantages: expected shape [B], got [3] (B=5 was set by logp)");
  CHECK(error([](Batch& in) { in.advantages = at::zeros({5, 1}); }) ==
        "[grpo::loss] advantages: expected shape [B, T], got [5, 1] (T=7 was set by logp)");
  CHECK(error([](Batch& in) { in.mask = in.mask.to(at::kLong); }) == "[grpo::loss] mask: expected bool, got Long");
  CHECK(error([](Batch& in) { in.logp = in.logp.to(at::kBFloat16); }) ==
        "[grpo::loss] logp: expected float32 or float64, got BFloat16");
  CHECK(error([](Batch& in) { in.old_logp = in.old_logp.to(at::kFloat); }) ==
        "[grpo::loss] old_logp: expected Double as logp, got Float");
  CHECK(error([](Batch& in) { in.ref_logp.reset(); }) ==
        "[grpo::loss] ref_logp: expected a tensor, because beta is 0.05, got none");
  CHECK(error([](Batch& in) { in.entropy.reset(); }) ==
        "[grpo::loss] entropy: expected a tensor, because entropy_weight is 0.02, got none");
  CHECK(error([](Batch& in) { in.advantages[1] = kNan; }) ==
        "[grpo::loss] advantages: row 1 is not finite where the mask is true");
  CHECK(error([](Batch& in) { in.advantages[2] = kNan; }) == "");  // row 2 is masked throughout
  CHECK(error([](Batch& in) { in.mask = in.mask.to(at::kMeta); }) ==
        "[grpo::loss] mask: expected a tensor on cpu as logp, got meta");
  CHECK(error(nothing, -1) == "[grpo::loss] normalizer must be in [0, inf), got -1");
  CHECK(error(nothing, kNan) == "[grpo::loss] normalizer must be in [0, inf), got nan");
  CHECK(error(nothing, 4, {.surrogate = {.clip_low = 2}}) == "[grpo::loss] clip_low must be in [0, 1), got 2");
  CHECK(thrown([] { loss(inputs(), at::ones({2}), kAll); }) ==
        "[grpo::loss] normalizer: expected shape [B], got [2] (B=5 was set by logp)");
  CHECK(thrown([] { normalizer(at::zeros({2, 2}, at::kBool), Reduction::dr_grpo); }) ==
        "[grpo::normalizer] max_length: expected a number, because the reduction is dr_grpo, got none");
  CHECK(thrown([] { normalizer(at::zeros({2, 2}, at::kBool), Reduction::dr_grpo, 0); }) ==
        "[grpo::normalizer] max_length must be at least 1, got 0");
}
