#include "shortlist.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>

#include <algorithm>

#include "../kernels.h"

namespace vlmprobe::memory {
namespace {

constexpr std::int64_t kPiece = 1024;  // rows whose scores are in the cache at a time
constexpr std::int64_t kBlock = 32;    // rows that share one maximum

}  // namespace

void Shortlist::prune() {
  if (static_cast<std::int64_t>(rows_.size()) <= k_) return;
  std::nth_element(rows_.begin(), rows_.begin() + (k_ - 1), rows_.end());
  raise(rows_[k_ - 1].score);
  std::erase_if(rows_, [&](const Candidate& row) { return row.score < threshold_; });
  limit_ = std::max(limit_, 2 * static_cast<std::int64_t>(rows_.size()));
}

ScanBlock::ScanBlock(Backend backend, std::int64_t dim, std::int64_t lanes)
    : backend_(backend),
      dim_(dim),
      lanes_(lanes),
      packed_(at::empty({dim, lanes}, at::kFloat)),
      scores_(at::empty({kPiece, lanes}, at::kFloat)),
      highest_(at::empty({kPiece / kBlock, lanes}, at::kFloat)) {}

void ScanBlock::pack(std::span<const float* const> queries) {
  float* packed = packed_.mutable_data_ptr<float>();
  const auto count = static_cast<std::int64_t>(queries.size());
  for (std::int64_t d = 0; d < dim_; ++d) {
    float* column = packed + d * lanes_;
    for (std::int64_t lane = 0; lane < count; ++lane) column[lane] = queries[lane][d];
    std::fill(column + count, column + lanes_, 0.0F);
  }
}

void ScanBlock::multiply(Matrix rows) {
  if (backend_ == Backend::native)
    return kernels().scan(rows.data, rows.rows, dim_, packed_.const_data_ptr<float>(),
                          scores_.mutable_data_ptr<float>());
  at::Tensor scores = scores_.narrow(0, 0, rows.rows);
  at::mm_out(scores, view(rows), packed_);
}

void ScanBlock::scan(Matrix rows, std::int64_t first_id, std::span<Shortlist* const> lists) {
  for (std::int64_t first = 0; first < rows.rows; first += kPiece) {
    const Matrix piece{rows.row(first), std::min(kPiece, rows.rows - first), dim_};
    multiply(piece);
    const float* scores = scores_.const_data_ptr<float>();
    float* highest = highest_.mutable_data_ptr<float>();
    for (std::int64_t i = 0; i < piece.rows; ++i) {
      float* block = highest + i / kBlock * lanes_;
      const float* row = scores + i * lanes_;
      if (i % kBlock == 0) std::copy_n(row, lanes_, block);
      for (std::int64_t lane = 0; lane < lanes_; ++lane)
        block[lane] = block[lane] < row[lane] ? row[lane] : block[lane];
    }
    for (std::size_t lane = 0; lane < lists.size(); ++lane)
      offer(piece.rows, static_cast<std::int64_t>(lane), first_id + first, *lists[lane]);
  }
}

void ScanBlock::offer(std::int64_t rows, std::int64_t lane, std::int64_t first_id, Shortlist& list) {
  const float *scores = scores_.const_data_ptr<float>() + lane, *highest = highest_.const_data_ptr<float>() + lane;
  const std::int64_t blocks = (rows + kBlock - 1) / kBlock, k = list.k();
  if (blocks >= k) {  // the maxima of k blocks are k rows
    column_.clear();
    for (std::int64_t b = 0; b < blocks; ++b) column_.push_back(highest[b * lanes_]);
    std::nth_element(column_.begin(), column_.begin() + (k - 1), column_.end(), std::greater<>());
    list.raise(static_cast<double>(column_[k - 1]));
  }
  for (std::int64_t b = 0; b < blocks; ++b) {
    if (static_cast<double>(highest[b * lanes_]) < list.threshold()) continue;
    for (std::int64_t i = b * kBlock; i < std::min(rows, (b + 1) * kBlock); ++i)
      list.offer(static_cast<double>(scores[i * lanes_]), first_id + i);
  }
}

void write_best(std::vector<Candidate>& rows, std::int64_t k, double* score, std::int64_t* id) {
  const auto kept = std::min<std::int64_t>(k, static_cast<std::int64_t>(rows.size()));
  std::partial_sort(rows.begin(), rows.begin() + kept, rows.end());
  for (std::int64_t i = 0; i < k; ++i) {
    score[i] = i < kept ? rows[i].score : -std::numeric_limits<double>::infinity();
    id[i] = i < kept ? rows[i].id : -1;
  }
}

}  // namespace vlmprobe::memory
