#include "vlmprobe/grpo/simd.h"

#include <algorithm>
#include <atomic>

#include "kernels.h"
#include "vlmprobe/core/error.h"

namespace vlmprobe::grpo {
namespace {

std::atomic<std::size_t> limit = SIZE_MAX;  // how many of simd_targets() may be used

}  // namespace

std::vector<std::string_view> simd_targets() {
  std::vector<std::string_view> names = {"aten"};
  for (const Kernels& table : runnable_kernels()) names.push_back(table.name);
  return names;
}

void limit_simd(std::optional<std::string_view> target) {
  const auto names = simd_targets();
  const auto found = target ? std::ranges::find(names, *target) : names.end() - 1;
  expect(found != names.end(), "grpo::limit_simd", "target: expected one of {}, got '{}'", joined(names, ", "),
         target.value_or(""));
  limit = static_cast<std::size_t>(found - names.begin()) + 1;
}

const Kernels* kernels() {
  const auto tables = runnable_kernels();
  const std::size_t count = std::min(limit.load(), tables.size() + 1);
  return count > 1 ? &tables[count - 2] : nullptr;
}

}  // namespace vlmprobe::grpo
