#include "nearest.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/topk.h>
#include <fmt/ranges.h>
#include <omp.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <vector>

#include "vlmprobe/core/error.h"

#ifdef VLMPROBE_WITH_FAISS
#include <faiss/utils/distances.h>
#endif

namespace vlmprobe::memory {
namespace {

constexpr std::int64_t kSpare = 8;     // candidates beyond k
constexpr std::int64_t kBlock = 1024;  // queries whose [block, N] scores are in memory at a time

struct Candidate {
  double score;
  std::int64_t id;
  // Best first: the higher score, then the lower id.
  bool operator<(const Candidate& other) const { return score != other.score ? score > other.score : id < other.id; }
};

// FAISS and BLAS wake OpenMP's threads for every call; here the threads are over images.
class OneThread {
 public:
  OneThread() : before_(omp_get_max_threads()) { omp_set_num_threads(1); }
  ~OneThread() { omp_set_num_threads(before_); }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  int before_;
};

// The `count` best rows of each query in float32, in no promised order among near-equals.
void propose_aten(Matrix queries, Matrix bank, std::int64_t count, float* score, std::int64_t* id) {
  const auto view = [](Matrix m) { return at::from_blob(const_cast<float*>(m.data), {m.rows, m.dim}, at::kFloat); };
  const auto [values, places] = at::topk(at::mm(view(queries), view(bank).t()), count, 1);
  std::copy_n(values.const_data_ptr<float>(), queries.rows * count, score);
  std::copy_n(places.const_data_ptr<std::int64_t>(), queries.rows * count, id);
}

#ifdef VLMPROBE_WITH_FAISS
void propose_faiss(Matrix queries, Matrix bank, std::int64_t count, float* score, std::int64_t* id) {
  // Below 20 queries FAISS 1.7.3 leaves BLAS for scalar loops that are many times slower.
  static const int threshold = faiss::distance_compute_blas_threshold = 1;
  static_cast<void>(threshold);
  const auto size = [](std::int64_t n) { return static_cast<std::size_t>(n); };
  faiss::knn_inner_product(queries.data, bank.data, size(bank.dim), size(queries.rows), size(bank.rows), size(count),
                           score, id);
}
#endif

void propose(Backend backend, Matrix queries, Matrix bank, std::int64_t count, float* score, std::int64_t* id) {
#ifdef VLMPROBE_WITH_FAISS
  if (backend == Backend::faiss) return propose_faiss(queries, bank, count, score, id);
#endif
  static_cast<void>(backend);
  propose_aten(queries, bank, count, score, id);
}

// The k best of `found`, padded to k.
void write_best(std::vector<Candidate>& found, std::int64_t k, double* score, std::int64_t* id) {
  const auto kept = std::min<std::int64_t>(k, static_cast<std::int64_t>(found.size()));
  std::partial_sort(found.begin(), found.begin() + kept, found.end());
  for (std::int64_t i = 0; i < k; ++i) {
    score[i] = i < kept ? found[i].score : -std::numeric_limits<double>::infinity();
    id[i] = i < kept ? found[i].id : -1;
  }
}

void search_rows(const float* query, Matrix bank, std::int64_t k, std::vector<Candidate>& found, double* score,
                 std::int64_t* id) {
  found.clear();
  for (std::int64_t i = 0; i < bank.rows; ++i) found.push_back({inner_product(query, bank.row(i), bank.dim), i});
  write_best(found, k, score, id);
}

}  // namespace

bool has_faiss() {
#ifdef VLMPROBE_WITH_FAISS
  return true;
#else
  return false;
#endif
}

Backend resolve(std::string_view op, Backend backend) {
  expect(backend != Backend::faiss || has_faiss(), op,
         "backend: expected automatic or aten, got faiss, which this build does not have (install FAISS, Debian's "
         "libfaiss-dev, and build again with VLMPROBE_WITH_FAISS=ON)");
  return backend != Backend::automatic ? backend : has_faiss() ? Backend::faiss : Backend::aten;
}

at::Tensor unit_rows(std::string_view op, std::string_view name, const at::Tensor& rows, std::int64_t dim) {
  expect(rows.defined() && rows.scalar_type() == at::kFloat, op, "{}: expected float32, got {}", name,
         rows.defined() ? c10::toString(rows.scalar_type()) : "nothing");
  expect(rows.is_cpu(), op, "{}: expected a tensor on the CPU, got {}", name, rows.device().str());
  expect(rows.dim() == 2 && rows.size(1) == dim, op, "{}: expected shape [N, {}], got [{}]", name, dim,
         fmt::join(rows.sizes(), ", "));

  const at::Tensor flat = rows.detach().contiguous();
  const Matrix matrix{flat.const_data_ptr<float>(), flat.size(0), dim};
  for (std::int64_t i = 0; i < matrix.rows; ++i) {
    const double length = std::sqrt(inner_product(matrix.row(i), matrix.row(i), dim));
    if (std::abs(length - 1) <= kUnitTolerance) [[likely]]
      continue;
    const auto finite = [](float value) { return std::isfinite(value); };
    expect(std::all_of(matrix.row(i), matrix.row(i) + dim, finite), op, "{}: row {} is not finite", name, i);
    expect(false, op, "{}: row {}: expected length 1 (to within {}), got {:.6g}", name, i, kUnitTolerance, length);
  }
  return flat;
}

double inner_product(const float* a, const float* b, std::int64_t dim) {
  std::array<double, 8> sums{};
  std::int64_t i = 0;
  for (; i + 8 <= dim; i += 8)
    for (std::int64_t lane = 0; lane < 8; ++lane)
      sums[lane] += static_cast<double>(a[i + lane]) * static_cast<double>(b[i + lane]);
  for (; i < dim; ++i) sums[0] += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  return ((sums[0] + sums[4]) + (sums[1] + sums[5])) + ((sums[2] + sums[6]) + (sums[3] + sums[7]));
}

void nearest(Matrix queries, Matrix bank, std::int64_t k, Backend backend, double* score, std::int64_t* id) {
  std::vector<Candidate> found;
  const std::int64_t count = k + kSpare;
  if (bank.rows <= 4 * count) {  // proposing would cost as much as the search
    for (std::int64_t q = 0; q < queries.rows; ++q)
      search_rows(queries.row(q), bank, k, found, score + q * k, id + q * k);
    return;
  }

  const OneThread guard;
  // A float32 sum of D products of unit rows is off by at most D 2^-24 |a||b|, in any order.
  const double margin = 1.01 * static_cast<double>(bank.dim) * 0x1p-24;
  std::vector<float> rough(static_cast<std::size_t>(std::min(queries.rows, kBlock) * count));
  std::vector<std::int64_t> places(rough.size());
  for (std::int64_t first = 0; first < queries.rows; first += kBlock) {
    const Matrix block{queries.row(first), std::min(kBlock, queries.rows - first), queries.dim};
    propose(backend, block, bank, count, rough.data(), places.data());
    for (std::int64_t q = 0; q < block.rows; ++q) {
      const std::int64_t at = (first + q) * k;
      const float* proposed = rough.data() + q * count;
      found.clear();
      double off = 0;
      for (std::int64_t c = 0; c < count; ++c) {
        const std::int64_t place = places[q * count + c];
        found.push_back({inner_product(block.row(q), bank.row(place), bank.dim), place});
        off = std::max(off, std::abs(found.back().score - proposed[c]));
      }
      write_best(found, k, score + at, id + at);
      // Rows that were not proposed have at most the lowest proposed score. Where that is near the k-th, look at all;
      // so too where torch was told to multiply in less than float32.
      const double lowest = *std::min_element(proposed, proposed + count);
      if (off > margin || lowest + margin >= score[at + k - 1])
        search_rows(block.row(q), bank, k, found, score + at, id + at);
    }
  }
}

}  // namespace vlmprobe::memory
