#include "vlmprobe/memory/embedding_bank.h"

#include <ATen/ops/empty.h>

#include <algorithm>

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
  expect(k >= 1, kOp, "k: expected at least 1, got {}", k);
  const at::Tensor flat = unit_rows(kOp, "queries", queries, dim_);

  const std::int64_t count = flat.size(0);
  Neighbours found{at::empty({count, k}, at::kDouble), at::empty({count, k}, at::kLong)};
  memory::nearest({flat.const_data_ptr<float>(), count, dim_}, {store_.data(), size(), dim_}, k, backend_,
                  found.score.mutable_data_ptr<double>(), found.id.mutable_data_ptr<std::int64_t>());
  return found;
}

at::Tensor EmbeddingBank::rows() const {
  at::Tensor rows = at::empty({size(), dim_}, at::kFloat);
  std::copy(store_.begin(), store_.end(), rows.mutable_data_ptr<float>());
  return rows;
}

}  // namespace vlmprobe::memory
