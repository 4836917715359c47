// The fields of the options that come from outside, by name, in the order of their flat form: one list, which packing,
// unpacking and the bindings go through. Header-only, no torch.
#pragma once

#include <concepts>
#include <cstddef>
#include <string_view>
#include <type_traits>

#include "vlmprobe/grpo/advantage.h"
#include "vlmprobe/grpo/options.h"

namespace vlmprobe::grpo::detail {

// Calls visit(name, field) for each field; `options` may be const.
template <class Options, class Visit>
  requires std::same_as<std::remove_const_t<Options>, LossOptions>
constexpr void each_field(Options& options, Visit&& visit) {
  auto& surrogate = options.surrogate;
  visit("policy", surrogate.policy);
  visit("ratio", surrogate.ratio);
  visit("clip_low", surrogate.clip_low);
  visit("clip_high", surrogate.clip_high);
  visit("dual_clip", surrogate.dual_clip);
  visit("delta", surrogate.delta);
  visit("sapo_positive", surrogate.sapo_positive);
  visit("sapo_negative", surrogate.sapo_negative);
  visit("beta", surrogate.beta);
  visit("kl", surrogate.kl);
  visit("kl_straight_through", surrogate.kl_straight_through);
  visit("kl_weighted", surrogate.kl_weighted);
  visit("entropy_weight", surrogate.entropy_weight);
  visit("reduction", options.reduction);
}

template <class Options, class Visit>
  requires std::same_as<std::remove_const_t<Options>, AdvantageOptions>
constexpr void each_field(Options& options, Visit&& visit) {
  visit("epsilon", options.epsilon);
  visit("scale", options.scale);
  visit("baseline", options.baseline);
  visit("minimum_std", options.minimum_std);
  visit("singleton", options.singleton);
}

template <class Options>
constexpr std::size_t field_count() {
  Options options{};
  std::size_t count = 0;
  each_field(options, [&](std::string_view, auto&) { ++count; });
  return count;
}

}  // namespace vlmprobe::grpo::detail
