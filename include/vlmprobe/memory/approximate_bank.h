// Nearest neighbours of one very large bank, such as all failures: most of the nearest rows, in a fraction of the time.
//
// Rows are put into lists by the nearest of `lists` centres (spherical k-means by FAISS, over a sample of the first
// rows); a query is compared with the rows of the `probes` lists whose centres are nearest to it.
//
//   rows, queries  [N, D], [Q, D]  float32 unit rows on the CPU, as in embedding_bank.h
//   k              1 to N
//   lists          1 to N; 0: four times the square root of N, at most a quarter of N (rounded up)
//   probes         1 or more; more than there are lists: all, and the search is exact
//   result         as in embedding_bank.h: float64 scores, descending; places in the order of adding
//
// Only which rows are looked at is approximate: scores are those of the exact search, bit for bit, and ties go to the
// lower id. Always k rows per query: where the probed lists hold fewer, all lists are searched. `recall` says what
// share of the exact k nearest is found, measured against the search over all lists.
//
// Rows that are added later go to the centres that are there; build a new bank when it has grown several times over.
// The same rows give the same lists on one machine with one number of threads. Throws InvalidArgument as
// embedding_bank.h does, and always in a build without FAISS. Searching from several threads is safe while nobody adds.
// Source: inverted lists as in Jegou, Douze, Schmid, "Product quantization for nearest neighbor search", 2011, without
// the quantisation of rows.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>

#include "vlmprobe/memory/embedding_bank.h"

namespace vlmprobe::memory {

struct ApproximateOptions {
  std::int64_t lists = 0;
  std::int64_t probes = 16;
};

class ApproximateBank {
 public:
  explicit ApproximateBank(const at::Tensor& rows, const ApproximateOptions& options = {});
  ApproximateBank(ApproximateBank&&) noexcept;
  ApproximateBank& operator=(ApproximateBank&&) noexcept;
  ~ApproximateBank();

  void add(const at::Tensor& rows);
  Neighbours nearest(const at::Tensor& queries, std::int64_t k) const;
  double recall(const at::Tensor& queries, std::int64_t k) const;  // in [0, 1]; 1 for no queries

  std::int64_t size() const;
  std::int64_t dim() const;
  std::int64_t lists() const;
  std::int64_t probes() const;  // at most `lists`

 private:
  struct State;
  Neighbours search(const at::Tensor& queries, std::int64_t k, std::int64_t probes) const;
  std::unique_ptr<State> state_;
};

}  // namespace vlmprobe::memory
