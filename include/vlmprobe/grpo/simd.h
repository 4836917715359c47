// The instruction sets that the loops over the vocabulary can use. The fastest one that this machine runs is taken; a
// limit, process-wide, is for tests and benchmarks.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

namespace vlmprobe::grpo {

// "aten" (torch's own operators, always there), then what the build and this machine have of "baseline", "avx2" and
// "avx512", from slowest to fastest.
std::vector<std::string_view> simd_targets();

// Uses nothing faster than `target` from now on; nullopt lifts the limit. Throws InvalidArgument with the targets there
// are. Not for use while a kernel runs in another thread.
void limit_simd(std::optional<std::string_view> target);

}  // namespace vlmprobe::grpo
