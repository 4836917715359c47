#include "vlmprobe/memory/embedding_bank.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include <algorithm>

#include "../parallel.h"
#include "nearest.h"

#include "vlmprobe/core/error.h"

namespace vlmprobe::memory {

EmbeddingBank::EmbeddingBank(std::int64_t dim, Backend backend)
    : dim_(dim), backend_(resolve("memory::EmbeddingBank", backend)) {
  expect(dim >= 1 && dim <= kMaxDim, "memory::EmbeddingBank", "dim: expected 1 to {}, got {}", kMaxDim, dim);
}

void EmbeddingBank::add(const at::Tensor& rows) {
  const at::Tensor flat = unit_rows("memory::EmbeddingBank::add", "rows", rows, dim_);
  const float* data = flat.const_data_ptr<float>();
  store_.insert(store_.end(), data, data + flat.numel());
}

Neighbours EmbeddingBank::nearest(const at::Tensor& queries, std::int64_t k) const {
  constexpr auto kOp = "memory::EmbeddingBank::nearest";
  constexpr std::int64_t kBlock = 64;  // queries that a thread takes at a time
  check_k(kOp, k, size());
  const at::Tensor flat = unit_rows(kOp, "queries", queries, dim_);

  const std::int64_t count = flat.size(0), blocks = (count + kBlock - 1) / kBlock;
  Neighbours found{at::empty({count, k}, at::kDouble), at::empty({count, k}, at::kLong)};
  auto* score = found.score.mutable_data_ptr<double>();
  auto* id = found.id.mutable_data_ptr<std::int64_t>();
  const std::vector<const float*> rows = row_pointers({flat.const_data_ptr<float>(), count, dim_});
  const double work = static_cast<double>(count) * static_cast<double>(size() * dim_);
  for_each_index(static_cast<std::size_t>(blocks), threads_for(work, blocks), [&](std::size_t block) {
    const std::int64_t first = static_cast<std::int64_t>(block) * kBlock;
    const std::span some(rows.data() + first, static_cast<std::size_t>(std::min(kBlock, count - first)));
    memory::nearest(some, {store_.data(), size(), dim_}, k, backend_, score + first * k, id + first * k);
  });
  return found;
}

at::Tensor EmbeddingBank::rows() const {
  at::Tensor rows = at::empty({size(), dim_}, at::kFloat);
  std::copy(store_.begin(), store_.end(), rows.mutable_data_ptr<float>());
  return rows;
}

}  // namespace vlmprobe::memory
