// Options of advantages, losses and importance weights that come from outside: by name, and as numbers.
//
// A name that is none throws InvalidArgument with the names there are. The flat forms are the `options` argument of the
// torch operators, one number a field in the order of the fields; unpack throws InvalidArgument in the name of `op`
// unless pack could have made them and every option is in its range.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <string_view>

#include "vlmprobe/grpo/advantage.h"
#include "vlmprobe/grpo/detail/option_fields.h"
#include "vlmprobe/grpo/importance.h"
#include "vlmprobe/grpo/options.h"

namespace vlmprobe::grpo {

Reduction reduction(std::string_view name);
Policy policy(std::string_view name);
RatioLevel ratio_level(std::string_view name);
KlEstimator kl_estimator(std::string_view name);
std::string_view name(Reduction reduction);
std::string_view name(Policy policy);
std::string_view name(RatioLevel level);
std::string_view name(KlEstimator estimator);

Scale scale(std::string_view name);
Baseline baseline(std::string_view name);
Singleton singleton(std::string_view name);
std::string_view name(Scale scale);
std::string_view name(Baseline baseline);
std::string_view name(Singleton singleton);

ImportanceLevel importance_level(std::string_view name);
ImportanceMode importance_mode(std::string_view name);

inline constexpr std::size_t kPackedOptions = detail::field_count<LossOptions>();
inline constexpr std::size_t kPackedAdvantageOptions = detail::field_count<AdvantageOptions>();
using PackedOptions = std::array<double, kPackedOptions>;
using PackedAdvantageOptions = std::array<double, kPackedAdvantageOptions>;
PackedOptions pack(const LossOptions& options);
PackedAdvantageOptions pack(const AdvantageOptions& options);
LossOptions unpack(std::span<const double> packed, std::string_view op);
AdvantageOptions unpack_advantage(std::span<const double> packed, std::string_view op);

}  // namespace vlmprobe::grpo
