#include <ATen/ops/mm.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <mutex>
#include <set>
#include <shared_mutex>

#include "../parallel.h"
#include "question_state.h"

#include "vlmprobe/core/error.h"

namespace vlmprobe::memory {

at::Tensor QuestionMemory::crowding(const at::Tensor& embeddings, double floor) const {
  constexpr auto kOp = "memory::crowding";
  expect(floor >= 0 && floor < 1, kOp, "floor: expected a cosine in [0, 1), got {}", floor);
  const at::Tensor queries = unit_rows(kOp, "embeddings", embeddings, state_->dim);
  const std::int64_t count = queries.size(0), dim = state_->dim;
  at::Tensor found = at::zeros({count}, at::kDouble);
  auto* sum = found.mutable_data_ptr<double>();

  const std::shared_lock lock(state_->mutex);
  std::set<std::int64_t> images;
  for (const auto& entry : state_->entries) images.insert(entry.image);
  const auto least = static_cast<float>(floor - margin(dim));  // what is below it in float32 is below the floor
  const OneThread guard;
  for (const std::int64_t image : images) {
    const Matrix bank = state_->rows.rows(image);
    const at::Tensor scores = at::mm(queries, view(bank).t()).contiguous();
    const auto* score = scores.const_data_ptr<float>();
    for (std::int64_t q = 0; q < count; ++q) {
      const float* query = queries.const_data_ptr<float>() + q * dim;
      for (std::int64_t row = 0; row < bank.rows; ++row) {
        if (*score++ < least) continue;
        const double cosine = std::min(inner_product(query, bank.row(row), dim), 1.0);
        sum[q] += std::max(cosine - floor, 0.0) / (1.0 - floor);
      }
    }
  }
  return found;
}

}  // namespace vlmprobe::memory
