// The rows that may be among the k nearest of one query, by scores that are off by at most `margin`.
//
// A row of the true k nearest has a rough score of at least the k-th best rough score less two margins: the k best
// rough ones have at least the k-th less one margin, so has it, and its own rough score may be one margin lower.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "nearest.h"

namespace vlmprobe::memory {

struct Candidate {
  double score;
  std::int64_t id;
  // Best first: the higher score, then the lower id.
  bool operator<(const Candidate& other) const { return score != other.score ? score > other.score : id < other.id; }
};

class Shortlist {
 public:
  Shortlist(std::int64_t k, double margin) : k_(k), margin_(margin) {}

  // k rows with at least this rough score are known to exist.
  void raise(double score) { threshold_ = score - 2 * margin_ > threshold_ ? score - 2 * margin_ : threshold_; }
  double threshold() const { return threshold_; }
  std::int64_t k() const { return k_; }
  void offer(double rough, std::int64_t id) {
    if (rough < threshold_) return;
    rows_.push_back({rough, id});
    if (static_cast<std::int64_t>(rows_.size()) >= limit_) prune();
  }
  // What is left of the rows offered, in no order.
  const std::vector<Candidate>& rows() {
    prune();
    return rows_;
  }

 private:
  void prune();

  std::int64_t k_;
  double margin_;
  double threshold_ = -std::numeric_limits<double>::infinity();
  std::int64_t limit_ = 2 * k_ + 64;
  std::vector<Candidate> rows_;
};

// Up to `lanes` queries against many rows, on one thread: the scores of a piece of the rows are in the cache when the
// shortlists read them.
class ScanBlock {
 public:
  ScanBlock(Backend backend, std::int64_t dim, std::int64_t lanes);  // lanes: a multiple of kLanes

  // Columns that are not given are zero.
  void pack(std::span<const float* const> queries);
  // Offers to lists[i] what the i-th query scores with the rows first_id, first_id + 1, ...
  void scan(Matrix rows, std::int64_t first_id, std::span<Shortlist* const> lists);

 private:
  void multiply(Matrix rows);
  void offer(std::int64_t rows, std::int64_t lane, std::int64_t first_id, Shortlist& list);

  Backend backend_;
  std::int64_t dim_, lanes_;
  at::Tensor packed_, scores_, highest_;  // [dim, lanes], [piece, lanes], [blocks, lanes]
  std::vector<float> column_;
};

// The k best in float64 of rows that are scored in float64; padded where there are fewer.
void write_best(std::vector<Candidate>& rows, std::int64_t k, double* score, std::int64_t* id);

}  // namespace vlmprobe::memory
