#include "vlmprobe/grpo/surrogate.h"

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

struct Point {
  double logp, old_logp, ref_logp, advantage, entropy;
};

// One token with a ratio of its own: d_logp is the whole derivative.
template <class T>
Surrogate<T> token_surrogate(T logp, T old_logp, T ref_logp, T advantage, T entropy, const SurrogateOptions& options) {
  Surrogate<T> token = surrogate<T>(logp, logp - old_logp, ref_logp, advantage, entropy, options);
  token.d_logp += token.d_log_ratio;
  return token;
}

Surrogate<double> at(const Point& p, const SurrogateOptions& options) {
  return token_surrogate<double>(p.logp, p.old_logp, p.ref_logp, p.advantage, p.entropy, options);
}

// Equation 1 for one token, in long double, for moderate arguments.
double reference(const Point& p, const SurrogateOptions& options) {
  const long double ratio = std::exp(static_cast<long double>(p.logp) - p.old_logp);
  const long double clipped = std::min(std::max(ratio, 1.0L - options.clip_low), 1.0L + options.clip_high);
  const long double d = static_cast<long double>(p.ref_logp) - p.logp;
  return static_cast<double>(-std::min(ratio * p.advantage, clipped * p.advantage) +
                             options.beta * (std::expm1(d) - d) - options.entropy_weight * p.entropy);
}

std::vector<Point> points(std::uint32_t seed) {
  random::Sequence draws(seed, random::Stream::kQuestion, 1);
  std::vector<Point> points;
  for (int i = 0; i < 300; ++i) {
    const double logp = -3 * draws.uniform();
    points.push_back({logp, logp + draws.uniform() - 0.5, logp + 8 * draws.uniform() - 4, 4 * draws.uniform() - 2,
                      3 * draws.uniform()});
  }
  return points;
}

constexpr SurrogateOptions kOptions{.clip_low = 0.2, .clip_high = 0.3, .beta = 0.05, .entropy_weight = 0.02};

}  // namespace

TEST_CASE("the surrogate by hand") {
  // ratio e^0.5 = 1.648721, above 1.2: clipped, loss -1.2 * 2 = -2.4, no gradient. d = 0.5 - (-0.5) = ... = -1 - (-0.5)
  // = -0.5: k3 = e^-0.5 + 0.5 - 1 = 0.106531; its gradient in logp is -(e^-0.5 - 1) = 0.393469.
  const SurrogateOptions options{.clip_low = 0.2, .clip_high = 0.2, .beta = 0.1, .entropy_weight = 0.5};
  const auto token = at({-0.5, -1.0, -1.0, 2.0, 3.0}, options);
  CHECK(token.ratio == doctest::Approx(1.6487212707).epsilon(1e-9));
  CHECK(token.clipped);
  CHECK(token.kl == doctest::Approx(0.1065306597).epsilon(1e-9));
  CHECK(token.loss == doctest::Approx(-2.4 + 0.01065306597 - 1.5).epsilon(1e-9));
  CHECK(token.d_logp == doctest::Approx(0.0393469340).epsilon(1e-9));
  CHECK(token.d_entropy == -0.5);

  // The same ratio with a negative advantage is not clipped: the minimum is the larger loss.
  const auto negative = at({-0.5, -1.0, -0.5, -2.0, 0.0}, options);
  CHECK_FALSE(negative.clipped);
  CHECK(negative.loss == doctest::Approx(2 * 1.6487212707).epsilon(1e-9));
  CHECK(negative.d_logp == doctest::Approx(2 * 1.6487212707).epsilon(1e-9));
}

TEST_CASE("the surrogate agrees with equation 1 in both precisions") {
  for (const Point& p : points(1)) {
    const auto token = at(p, kOptions);
    CHECK(token.loss == doctest::Approx(reference(p, kOptions)).epsilon(kTolerance64));
    const auto f = [](double value) { return static_cast<float>(value); };
    const auto narrow =
        token_surrogate<float>(f(p.logp), f(p.old_logp), f(p.ref_logp), f(p.advantage), f(p.entropy), kOptions);
    // absolute on the scale of the terms: rounding of logp (3) by 2^-24 becomes an error of the ratio
    CHECK(std::abs(narrow.loss - token.loss) <= 2 * kTolerance32 * (1 + std::abs(token.loss)));
  }
}

TEST_CASE("the gradients agree with central differences") {
  constexpr double kStep = 1e-6;
  for (const Point& p : points(2)) {
    Point above = p, below = p;
    above.logp += kStep, below.logp -= kStep;
    if (at(above, kOptions).clipped != at(below, kOptions).clipped) continue;  // the kink itself has no derivative
    const double in_logp = (at(above, kOptions).loss - at(below, kOptions).loss) / (2 * kStep);
    CHECK(at(p, kOptions).d_logp == doctest::Approx(in_logp).epsilon(kDifferences));

    above = p, below = p;
    above.entropy += kStep, below.entropy -= kStep;
    const double in_entropy = (at(above, kOptions).loss - at(below, kOptions).loss) / (2 * kStep);
    CHECK(at(p, kOptions).d_entropy == doctest::Approx(in_entropy).epsilon(kDifferences));
  }
}

TEST_CASE("at logp == old_logp the ratio is exactly 1 and the gradient is minus the advantage") {
  const auto token = token_surrogate<float>(-1.3F, -1.3F, -1.3F, 0.7F, 0.0F, {});
  CHECK(token.ratio == 1);
  CHECK(token.kl == 0);
  CHECK(token.d_logp == -0.7F);
  CHECK_FALSE(token.clipped);
}

TEST_CASE("k3 keeps its relative precision near 0 in float32") {
  for (const double d : {1e-7, -1e-6, 1e-4, -1e-3, 0.01, 0.12499, -0.12499, 0.12501, -0.12501, 0.5, -2.0, 4.9}) {
    const auto rounded = static_cast<float>(d);
    const long double wide = rounded, expected = std::expm1(wide) - wide;
    const double exact =
        std::abs(d) < 1e-2
            ? static_cast<double>(wide * wide *
                                  (0.5L + wide * (1 / 6.0L + wide * (1 / 24.0L + wide * (1 / 120.0L + wide / 720)))))
            : static_cast<double>(expected);
    // relative to the value alone: doctest's Approx is absolute below 1
    CHECK(std::abs(k3_divergence(rounded).value - exact) <= kTolerance32 * exact);
    CHECK(std::abs(k3_divergence<double>(rounded).value - exact) <= kTolerance64 * exact);
  }
  CHECK(k3_divergence(0.0F).value == 0);
  CHECK(k3_divergence(0.0F).slope == 0);
}

TEST_CASE("k3 continues as its tangent: no overflow, no jump, and the gradient stays alive") {
  const double slope = std::exp(5.0) - 1;
  CHECK(k3_divergence(std::nextafter(5.0, 6.0)).value == doctest::Approx(std::exp(5.0) - 6).epsilon(kTolerance64));
  CHECK(k3_divergence(105.0).value == doctest::Approx(std::exp(5.0) - 6 + 100 * slope).epsilon(kTolerance64));
  CHECK(k3_divergence(105.0).slope == doctest::Approx(slope).epsilon(kTolerance64));
  CHECK(std::isfinite(k3_divergence(1e30F).value));
  CHECK(k3_divergence(-200.0F).value == doctest::Approx(199).epsilon(kTolerance32));
  CHECK(k3_divergence(-200.0F).slope == -1);
  CHECK(std::isnan(k3_divergence(kNan).value));
}

TEST_CASE("a far log-ratio gives finite numbers and passes no gradient beyond its limit") {
  for (const float gap : {25.0F, 200.0F, -25.0F, -200.0F})
    for (const float advantage : {1.0F, -1.0F}) {
      const auto token = token_surrogate<float>(gap, 0, gap, advantage, 0, {});
      CHECK(std::isfinite(token.loss));
      CHECK(token.ratio == std::exp(gap > 0 ? 20.0F : -20.0F));
      CHECK(token.d_logp == 0);
    }
}

TEST_CASE("a term of weight 0 is left out even where it is not finite") {
  const auto token = token_surrogate<double>(-1, -1, -kInf, 1, kNan, {.beta = 0});
  CHECK(token.loss == -1);
  CHECK(token.d_logp == -1);
  CHECK(token.kl == kInf);
}

TEST_CASE("dual clip, delta, cispo and sapo by hand") {
  const auto value = [](double log_ratio, double advantage, const SurrogateOptions& options) {
    return surrogate<double>(-2, log_ratio, -2, advantage, 0, options);
  };
  const double log4 = std::log(4.0);
  // ratio 4, A = -1: the clip keeps the larger loss 4; dual clip 3 holds it to 3, without a gradient.
  CHECK(value(log4, -1, {}).loss == doctest::Approx(4));
  const auto dual = value(log4, -1, {.dual_clip = 3});
  CHECK(dual.loss == doctest::Approx(3));
  CHECK(dual.d_log_ratio == 0);
  CHECK(dual.clipped);
  CHECK(value(log4, 1, {.dual_clip = 3}).loss == doctest::Approx(-1.2));  // A > 0: as ever
  // delta 2 holds the unclipped ratio to 2: loss max(2, 1.2) for A = -1.
  const auto held = value(log4, -1, {.delta = 2});
  CHECK(held.loss == doctest::Approx(2));
  CHECK(held.d_log_ratio == 0);
  // delta inside the clip: for A = -1 and ratio 1.15 the branches are 1.1 and 1.15, the larger loss moves.
  CHECK(value(std::log(1.15), -1, {.delta = 1.1}).d_log_ratio == doctest::Approx(1.15));
  // cispo: weight min(4, 1.2) = 1.2, times A = 0.5, times logp = -2.
  const auto cispo = value(log4, 0.5, {.policy = Policy::cispo});
  CHECK(cispo.loss == doctest::Approx(1.2 * 0.5 * 2));
  CHECK(cispo.d_logp == doctest::Approx(-0.6));
  CHECK(cispo.d_log_ratio == 0);
  CHECK(cispo.clipped);
  // sapo at ratio 1: the gate is 1/2, so 4/tau/2 A = 2 A / tau, and its slope 4/4 A.
  const auto sapo = value(0, 3, {.policy = Policy::sapo, .sapo_positive = 2});
  CHECK(sapo.loss == doctest::Approx(-3));
  CHECK(sapo.d_log_ratio == doctest::Approx(-3));
  CHECK(value(0, -3, {.policy = Policy::sapo, .sapo_negative = 4}).loss == doctest::Approx(1.5));
}

TEST_CASE("k1 and k2 by hand, and the straight-through form") {
  const auto kl = [](double d, KlEstimator estimator, bool straight = false) {
    return kl_divergence<double>(d, estimator, straight);
  };
  CHECK(kl(0.5, KlEstimator::k1).value == -0.5);
  CHECK(kl(0.5, KlEstimator::k1).slope == -1);
  CHECK(kl(0.5, KlEstimator::k2).value == 0.125);
  CHECK(kl(0.5, KlEstimator::k2).slope == 0.5);
  CHECK(kl(0.5, KlEstimator::k3, true).value == kl(0.5, KlEstimator::k3).value);
  CHECK(kl(0.5, KlEstimator::k3, true).slope == 0.5);
  CHECK(kl(30, KlEstimator::k3, true).slope == 30);
}

TEST_CASE("every policy's gradients agree with central differences, in logp and in the log-ratio") {
  constexpr double kStep = 1e-6;
  for (const Policy policy : {Policy::clip, Policy::cispo, Policy::sapo})
    for (const KlEstimator estimator : {KlEstimator::k1, KlEstimator::k2, KlEstimator::k3})
      for (const bool weighted : {false, true}) {
        SurrogateOptions options = kOptions;
        options.policy = policy, options.kl = estimator, options.kl_weighted = weighted;
        options.dual_clip = 1.3, options.delta = 1.25;
        for (const Point& p : points(5)) {
          const double log_ratio = p.logp - p.old_logp;
          const auto value = [&](double logp, double ratio) {
            return surrogate<double>(logp, ratio, p.ref_logp, p.advantage, p.entropy, options);
          };
          const auto here = value(p.logp, log_ratio);
          const auto up = value(p.logp, log_ratio + kStep), down = value(p.logp, log_ratio - kStep);
          if (up.clipped != down.clipped) continue;  // the kink itself has no derivative
          const double difference = (up.loss - down.loss) / (2 * kStep);
          // cispo's weight is a constant of the derivative, but moves with the ratio: only its KL is left
          const double moved =
              policy == Policy::cispo && !here.clipped ? -std::exp(log_ratio) * p.advantage * p.logp : 0;
          CHECK(here.d_log_ratio == doctest::Approx(difference - moved).epsilon(kDifferences));
          const double in_logp =
              (value(p.logp + kStep, log_ratio).loss - value(p.logp - kStep, log_ratio).loss) / (2 * kStep);
          CHECK(here.d_logp == doctest::Approx(in_logp).epsilon(kDifferences));
        }
      }
}

TEST_CASE("options out of range are refused by name") {
  const auto error = [](const SurrogateOptions& options) { return thrown([&] { check(options, "op"); }); };
  CHECK(error({}) == "");
  CHECK(error({.clip_low = 2}) == "[op] clip_low must be in [0, 1), got 2");
  CHECK(error({.clip_low = 1}) == "[op] clip_low must be in [0, 1), got 1");
  CHECK(error({.dual_clip = 1}) == "[op] dual_clip must be in (1, inf], got 1");
  CHECK(error({.delta = 0}) == "[op] delta must be in (0, inf], got 0");
  CHECK(error({.sapo_positive = 0}) == "[op] sapo_positive must be in (0, inf), got 0");
  CHECK(error({.sapo_negative = kInf}) == "[op] sapo_negative must be in (0, inf), got inf");
  CHECK(error({.clip_high = -0.5}) == "[op] clip_high must be in [0, inf), got -0.5");
  CHECK(error({.beta = kInf}) == "[op] beta must be in [0, inf), got inf");
  CHECK(error({.entropy_weight = kNan}) == "[op] entropy_weight must be in [0, inf), got nan");
}
