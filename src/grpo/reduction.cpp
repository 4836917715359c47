#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "check.h"
#include "vlmprobe/core/shape.h"
#include "vlmprobe/grpo/loss.h"

namespace vlmprobe::grpo {
namespace {

constexpr std::array<std::string_view, 4> kReductions = {"grpo", "bnpo", "dapo", "dr_grpo"};

}  // namespace

Reduction reduction(std::string_view name) {
  const auto found = std::ranges::find(kReductions, name);
  expect(found != kReductions.end(), "grpo::loss", "reduction: expected one of {}, got '{}'",
         fmt::join(kReductions, ", "), name);
  return static_cast<Reduction>(found - kReductions.begin());
}

std::string_view name(Reduction reduction) {
  return kReductions.at(static_cast<std::size_t>(reduction));
}

double normalizer(const at::Tensor& mask, Reduction reduction, std::optional<std::int64_t> max_length) {
  constexpr std::string_view kNormalizer = "grpo::normalizer";
  Shapes shapes(kNormalizer);
  shapes.require("mask", mask.sizes(), {"B", "T"});
  expect_dtype(mask, at::kBool, kNormalizer, "mask");
  expect(!max_length || *max_length >= 1, kNormalizer, "max_length must be at least 1, got {}", max_length.value_or(0));
  expect(max_length || reduction != Reduction::dr_grpo, kNormalizer,
         "max_length: expected a number, because the reduction is dr_grpo, got none");

  const auto sequences = static_cast<double>(mask.size(0));
  if (reduction == Reduction::grpo) return sequences;
  if (reduction == Reduction::dr_grpo) return sequences * static_cast<double>(*max_length);
  return mask.sum().item<double>();
}

}  // namespace vlmprobe::grpo
