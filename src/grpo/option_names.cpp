#include "vlmprobe/grpo/option_names.h"

#include "names.h"

namespace vlmprobe::grpo {
namespace {

constexpr std::string_view kLoss = "grpo::loss";
constexpr std::array<std::string_view, 4> kReductions = {"grpo", "bnpo", "dapo", "dr_grpo"};
constexpr std::array<std::string_view, 3> kPolicies = {"clip", "cispo", "sapo"};
constexpr std::array<std::string_view, 2> kRatios = {"token", "sequence"};
constexpr std::array<std::string_view, 3> kEstimators = {"k1", "k2", "k3"};

constexpr std::string_view kAdvantages = "grpo::AdvantageOptions";
constexpr std::array<std::string_view, 3> kScales = {"group", "batch", "none"};
constexpr std::array<std::string_view, 2> kBaselines = {"mean", "leave_one_out"};
constexpr std::array<std::string_view, 2> kSingletons = {"zero", "raw"};

constexpr std::string_view kImportance = "grpo::importance_weights";
constexpr std::array<std::string_view, 2> kLevels = {"token", "sequence"};
constexpr std::array<std::string_view, 2> kModes = {"truncate", "mask"};

}  // namespace

Reduction reduction(std::string_view name) {
  return parse<Reduction>(kReductions, kLoss, "reduction", name);
}
Policy policy(std::string_view name) {
  return parse<Policy>(kPolicies, kLoss, "policy", name);
}
RatioLevel ratio_level(std::string_view name) {
  return parse<RatioLevel>(kRatios, kLoss, "ratio", name);
}
KlEstimator kl_estimator(std::string_view name) {
  return parse<KlEstimator>(kEstimators, kLoss, "kl", name);
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

Scale scale(std::string_view name) {
  return parse<Scale>(kScales, kAdvantages, "scale", name);
}
Baseline baseline(std::string_view name) {
  return parse<Baseline>(kBaselines, kAdvantages, "baseline", name);
}
Singleton singleton(std::string_view name) {
  return parse<Singleton>(kSingletons, kAdvantages, "singleton", name);
}

std::string_view name(Scale scale) {
  return name_of(kScales, scale);
}
std::string_view name(Baseline baseline) {
  return name_of(kBaselines, baseline);
}
std::string_view name(Singleton singleton) {
  return name_of(kSingletons, singleton);
}

ImportanceLevel importance_level(std::string_view name) {
  return parse<ImportanceLevel>(kLevels, kImportance, "level", name);
}
ImportanceMode importance_mode(std::string_view name) {
  return parse<ImportanceMode>(kModes, kImportance, "mode", name);
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

PackedAdvantageOptions pack(const AdvantageOptions& options) {
  const auto number = [](auto value) { return static_cast<double>(value); };
  return {options.epsilon, number(options.scale), number(options.baseline), options.minimum_std,
          number(options.singleton)};
}

AdvantageOptions unpack_advantage(std::span<const double> packed, std::string_view op) {
  expect(packed.size() == kPackedAdvantageOptions, op, "options: expected {} numbers, got {}", kPackedAdvantageOptions,
         packed.size());
  const AdvantageOptions options{.epsilon = packed[0],
                                 .scale = enumerator<Scale>(kScales, packed[1], op, "scale"),
                                 .baseline = enumerator<Baseline>(kBaselines, packed[2], op, "baseline"),
                                 .minimum_std = packed[3],
                                 .singleton = enumerator<Singleton>(kSingletons, packed[4], op, "singleton")};
  check(options, op);
  return options;
}

}  // namespace vlmprobe::grpo
