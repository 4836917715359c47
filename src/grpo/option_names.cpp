#include "vlmprobe/grpo/option_names.h"

#include <type_traits>

#include "vlmprobe/grpo/detail/names.h"
#include "vlmprobe/grpo/detail/option_fields.h"

namespace vlmprobe::grpo {
namespace {

constexpr std::string_view kLoss = "grpo::loss", kAdvantages = "grpo::AdvantageOptions";
constexpr std::string_view kImportance = "grpo::importance_weights";
constexpr std::array<std::string_view, 2> kLevels = {"token", "sequence"};
constexpr std::array<std::string_view, 2> kModes = {"truncate", "mask"};

}  // namespace

Reduction reduction(std::string_view name) {
  return detail::parse<Reduction>(kLoss, "reduction", name);
}
Policy policy(std::string_view name) {
  return detail::parse<Policy>(kLoss, "policy", name);
}
RatioLevel ratio_level(std::string_view name) {
  return detail::parse<RatioLevel>(kLoss, "ratio", name);
}
KlEstimator kl_estimator(std::string_view name) {
  return detail::parse<KlEstimator>(kLoss, "kl", name);
}

std::string_view name(Reduction reduction) {
  return detail::name_of(reduction);
}
std::string_view name(Policy policy) {
  return detail::name_of(policy);
}
std::string_view name(RatioLevel level) {
  return detail::name_of(level);
}
std::string_view name(KlEstimator estimator) {
  return detail::name_of(estimator);
}

Scale scale(std::string_view name) {
  return detail::parse<Scale>(kAdvantages, "scale", name);
}
Baseline baseline(std::string_view name) {
  return detail::parse<Baseline>(kAdvantages, "baseline", name);
}
Singleton singleton(std::string_view name) {
  return detail::parse<Singleton>(kAdvantages, "singleton", name);
}

std::string_view name(Scale scale) {
  return detail::name_of(scale);
}
std::string_view name(Baseline baseline) {
  return detail::name_of(baseline);
}
std::string_view name(Singleton singleton) {
  return detail::name_of(singleton);
}

ImportanceLevel importance_level(std::string_view name) {
  return detail::parse<ImportanceLevel>(kLevels, kImportance, "level", name);
}
ImportanceMode importance_mode(std::string_view name) {
  return detail::parse<ImportanceMode>(kModes, kImportance, "mode", name);
}

namespace {

void read_number(std::string_view, std::string_view, double number, double& out) {
  out = number;
}
void read_number(std::string_view, std::string_view, double number, bool& out) {
  out = number != 0;
}
template <class Enum>
  requires std::is_enum_v<Enum>
void read_number(std::string_view op, std::string_view field, double number, Enum& out) {
  out = detail::enumerator<Enum>(number, op, field);
}

template <class Options>
std::array<double, detail::field_count<Options>()> packed_of(const Options& options) {
  std::array<double, detail::field_count<Options>()> packed;
  std::size_t at = 0;
  detail::each_field(options, [&](std::string_view, auto value) { packed[at++] = static_cast<double>(value); });
  return packed;
}

template <class Options>
Options unpacked_of(std::span<const double> packed, std::string_view op) {
  constexpr std::size_t kFields = detail::field_count<Options>();
  expect(packed.size() == kFields, op, "options: expected {} numbers, got {}", kFields, packed.size());
  Options options;
  std::size_t at = 0;
  detail::each_field(options,
                     [&](std::string_view field, auto& value) { read_number(op, field, packed[at++], value); });
  return options;
}

}  // namespace

PackedOptions pack(const LossOptions& options) {
  return packed_of(options);
}

LossOptions unpack(std::span<const double> packed, std::string_view op) {
  const auto options = unpacked_of<LossOptions>(packed, op);
  check(options.surrogate, op);
  return options;
}

PackedAdvantageOptions pack(const AdvantageOptions& options) {
  return packed_of(options);
}

AdvantageOptions unpack_advantage(std::span<const double> packed, std::string_view op) {
  const auto options = unpacked_of<AdvantageOptions>(packed, op);
  check(options, op);
  return options;
}

}  // namespace vlmprobe::grpo
