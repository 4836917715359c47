// Asks the system for large pages under a big tensor that is about to be filled: touching hundreds of megabytes for the
// first time costs as much as writing them twice, nearly all of it in page faults of 4 kB. A hint; for src/grpo only.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#ifdef __linux__
#include <sys/mman.h>
#endif

namespace vlmprobe::grpo {

inline at::Tensor on_huge_pages(at::Tensor tensor) {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
  constexpr std::uintptr_t kPage = 2 << 20;
  if (tensor.device().is_cpu() && tensor.nbytes() >= 4 * kPage) {
    const auto begin = reinterpret_cast<std::uintptr_t>(tensor.mutable_data_ptr());
    const std::uintptr_t first = (begin + kPage - 1) / kPage * kPage, last = (begin + tensor.nbytes()) / kPage * kPage;
    madvise(reinterpret_cast<void*>(first), last - first, MADV_HUGEPAGE);
  }
#endif
  return tensor;
}

}  // namespace vlmprobe::grpo
