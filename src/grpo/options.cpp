#include "vlmprobe/grpo/options.h"

#include "names.h"

namespace vlmprobe::grpo {
namespace {

constexpr std::string_view kOp = "grpo::loss";
constexpr std::array<std::string_view, 4> kReductions = {"grpo", "bnpo", "dapo", "dr_grpo"};
constexpr std::array<std::string_view, 3> kPolicies = {"clip", "cispo", "sapo"};
constexpr std::array<std::string_view, 2> kRatios = {"token", "sequence"};
constexpr std::array<std::string_view, 3> kEstimators = {"k1", "k2", "k3"};

}  // namespace

Reduction reduction(std::string_view name) {
  return parse<Reduction>(kReductions, kOp, "reduction", name);
}
Policy policy(std::string_view name) {
  return parse<Policy>(kPolicies, kOp, "policy", name);
}
RatioLevel ratio_level(std::string_view name) {
  return parse<RatioLevel>(kRatios, kOp, "ratio", name);
}
KlEstimator kl_estimator(std::string_view name) {
  return parse<KlEstimator>(kEstimators, kOp, "kl", name);
}

std::string_view name(Reduction reduction) {
  return name_of(kReductions, reduction);
}
std::string_view name(Policy policy) {
  return name_of(kPolicies, policy);
}
std::string_view name(RatioLevel level) {
  return name_of(kRatios, level);
}
std::string_view name(KlEstimator estimator) {
  return name_of(kEstimators, estimator);
}

PackedOptions pack(const LossOptions& options) {
  const SurrogateOptions& s = options.surrogate;
  const auto number = [](auto value) { return static_cast<double>(value); };
  return {number(s.policy),
          number(s.ratio),
          s.clip_low,
          s.clip_high,
          s.dual_clip,
          s.delta,
          s.sapo_positive,
          s.sapo_negative,
          s.beta,
          number(s.kl),
          number(s.kl_straight_through),
          number(s.kl_weighted),
          s.entropy_weight,
          number(options.reduction)};
}

LossOptions unpack(std::span<const double> packed, std::string_view op) {
  expect(packed.size() == kPackedOptions, op, "options: expected {} numbers, got {}", kPackedOptions, packed.size());
  const LossOptions options{
      .surrogate = {.policy = enumerator<Policy>(kPolicies, packed[0], op, "policy"),
                    .ratio = enumerator<RatioLevel>(kRatios, packed[1], op, "ratio"),
                    .clip_low = packed[2],
                    .clip_high = packed[3],
                    .dual_clip = packed[4],
                    .delta = packed[5],
                    .sapo_positive = packed[6],
                    .sapo_negative = packed[7],
                    .beta = packed[8],
                    .kl = enumerator<KlEstimator>(kEstimators, packed[9], op, "kl"),
                    .kl_straight_through = packed[10] != 0,
                    .kl_weighted = packed[11] != 0,
                    .entropy_weight = packed[12]},
      .reduction = enumerator<Reduction>(kReductions, packed[13], op, "reduction"),
  };
  check(options.surrogate, op);
  return options;
}

}  // namespace vlmprobe::grpo
