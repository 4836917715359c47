#include "nearest.h"

#include <ATen/Parallel.h>
#include <ATen/ops/from_blob.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "../kernels.h"
#include "../parallel.h"
#include "shortlist.h"

#include "../../core/tensor/defined.h"

#include "vlmprobe/core/error.h"

#ifdef VLMPROBE_WITH_FAISS
#include <faiss/utils/distances.h>
#endif

namespace vlmprobe::memory {
namespace {

constexpr std::int64_t kAtenLanes = 64;  // queries of one product; a BLAS likes more than `scan` does

// Scores the shortlist in float64 and writes its best; false when a rough score was off by more than the margin.
bool finish(const float* query, Matrix bank, Shortlist& list, std::int64_t k, double* score, std::int64_t* id) {
  bool close = true;
  std::vector<Candidate> rows = list.rows();
  for (Candidate& row : rows) {
    const double exact = inner_product(query, bank.row(row.id), bank.dim);
    close = close && std::abs(exact - row.score) <= margin(bank.dim);
    row.score = exact;
  }
  write_best(rows, k, score, id);
  return close;
}

bool scan_block(ScanBlock& block, std::span<const float* const> queries, Matrix bank, std::int64_t k, double* score,
                std::int64_t* id) {
  std::vector<Shortlist> lists(queries.size(), Shortlist(k, margin(bank.dim)));
  std::vector<Shortlist*> each;
  for (Shortlist& list : lists) each.push_back(&list);
  block.pack(queries);
  block.scan(bank, 0, each);
  bool close = true;
  for (std::size_t q = 0; q < queries.size(); ++q) {
    const auto at = static_cast<std::int64_t>(q) * k;
    close = finish(queries[q], bank, lists[q], k, score + at, id + at) && close;
  }
  return close;
}

void nearest_scan(std::span<const float* const> queries, Matrix bank, std::int64_t k, Backend backend, double* score,
                  std::int64_t* id) {
  const auto count = static_cast<std::int64_t>(queries.size());
  const std::int64_t wanted = (count + kLanes - 1) / kLanes * kLanes;
  const std::int64_t lanes = backend == Backend::native ? kLanes : std::min(wanted, kAtenLanes);
  ScanBlock block(backend, bank.dim, lanes);
  for (std::int64_t first = 0; first < count; first += lanes) {
    const auto some =
        queries.subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(std::min(lanes, count - first)));
    // Torch may have been told to multiply in less than float32: then the margins do not hold.
    if (!scan_block(block, some, bank, k, score + first * k, id + first * k) && backend != Backend::native)
      nearest_scan(some, bank, k, Backend::native, score + first * k, id + first * k);
  }
}

#ifdef VLMPROBE_WITH_FAISS
// FAISS proposes a few rows more than k. Rows that it did not propose have at most the lowest proposed score: where
// that is near the k-th, the query is searched again by a scan.
void nearest_faiss(std::span<const float* const> queries, Matrix bank, std::int64_t k, double* score,
                   std::int64_t* id) {
  constexpr std::int64_t kSpare = 8;
  const auto size = [](std::int64_t n) { return static_cast<std::size_t>(n); };
  // Below 20 queries FAISS 1.7.3 leaves BLAS for scalar loops that are many times slower.
  static const int threshold = faiss::distance_compute_blas_threshold = 1;
  static_cast<void>(threshold);
  const std::int64_t proposed = std::min(k + kSpare, bank.rows), count = static_cast<std::int64_t>(queries.size());
  std::vector<float> gathered, rough(size(count * proposed));
  std::vector<std::int64_t> places(rough.size());
  for (const float* query : queries) gathered.insert(gathered.end(), query, query + bank.dim);
  faiss::knn_inner_product(gathered.data(), bank.data, size(bank.dim), queries.size(), size(bank.rows), size(proposed),
                           rough.data(), places.data());
  for (std::int64_t q = 0; q < count; ++q) {
    Shortlist list(k, margin(bank.dim));
    for (std::int64_t i = q * proposed; i < (q + 1) * proposed; ++i)
      list.offer(static_cast<double>(rough[i]), places[i]);
    const double lowest = *std::min_element(rough.begin() + q * proposed, rough.begin() + (q + 1) * proposed);
    list.rows();  // now its threshold is the k-th score's
    const bool whole = proposed == bank.rows || lowest < list.threshold();
    if (!whole || !finish(queries[q], bank, list, k, score + q * k, id + q * k))
      nearest_scan(queries.subspan(size(q), 1), bank, k, Backend::native, score + q * k, id + q * k);
  }
}
#endif

}  // namespace

bool has_faiss() {
#ifdef VLMPROBE_WITH_FAISS
  return true;
#else
  return false;
#endif
}

void expect_faiss(std::string_view op, std::string_view allowed) {
  expect(has_faiss(), op,
         "backend: expected {}, got faiss, which this build does not have (install FAISS, Debian's libfaiss-dev, and "
         "build again with VLMPROBE_WITH_FAISS=ON)",
         allowed);
}

Backend resolve(std::string_view op, Backend backend) {
  if (backend == Backend::faiss) expect_faiss(op, "automatic, native or aten");
  if (backend != Backend::automatic) return backend;
  return kernels().wide ? Backend::native : Backend::aten;
}

void check_k(std::string_view op, std::int64_t k, std::int64_t stored) {
  expect(k >= 1, op, "k: expected at least 1, got {}", k);
  expect(k <= stored, op, "k: expected at most {} (rows stored), got {}", stored, k);
}

at::Tensor view(Matrix matrix) {
  return at::from_blob(const_cast<float*>(matrix.data), {matrix.rows, matrix.dim}, at::kFloat);
}

std::vector<const float*> row_pointers(Matrix matrix) {
  std::vector<const float*> rows;
  for (std::int64_t i = 0; i < matrix.rows; ++i) rows.push_back(matrix.row(i));
  return rows;
}

at::Tensor unit_rows(std::string_view op, std::string_view name, const at::Tensor& rows, std::int64_t dim) {
  expect_defined(op, {{name, rows}});
  expect(rows.scalar_type() == at::kFloat, op, "{}: expected float32, got {}", name, c10::toString(rows.scalar_type()));
  expect(rows.is_cpu(), op, "{}: expected a tensor on the CPU, got {}", name, rows.device().str());
  expect(rows.dim() == 2 && rows.size(1) == dim, op, "{}: expected shape [N, {}], got [{}]", name, dim,
         joined(rows.sizes(), ", "));

  const at::Tensor flat = rows.detach().contiguous();
  check_unit(op, name, {flat.const_data_ptr<float>(), flat.size(0), dim});
  return flat;
}

void check_unit(std::string_view op, std::string_view name, Matrix rows, std::int64_t first) {
  for (std::int64_t i = 0; i < rows.rows; ++i) {
    const double length = std::sqrt(inner_product(rows.row(i), rows.row(i), rows.dim));
    if (std::abs(length - 1) <= kUnitTolerance) [[likely]]
      continue;
    const auto finite = [](float value) { return std::isfinite(value); };
    expect(std::all_of(rows.row(i), rows.row(i) + rows.dim, finite), op, "{}: row {} is not finite", name, first + i);
    expect(false, op, "{}: row {}: expected length 1 (to within {}), got {}", name, first + i, kUnitTolerance,
           static_cast<float>(length));
  }
}

double inner_product(const float* a, const float* b, std::int64_t dim) {
  static const InnerProduct chosen = kernels().inner_product;
  return chosen(a, b, dim);
}

double margin(std::int64_t dim) {
  return 1.01 * static_cast<double>(dim) * 0x1p-24;
}

int threads_for(double products, std::int64_t pieces) {
  constexpr double kThreadedWork = 5e7;
  if (products < kThreadedWork) return 1;
  return static_cast<int>(std::clamp<std::int64_t>(pieces, 1, at::get_num_threads()));
}

void nearest(std::span<const float* const> queries, Matrix bank, std::int64_t k, Backend backend, double* score,
             std::int64_t* id) {
  const OneThread guard;
#ifdef VLMPROBE_WITH_FAISS
  if (backend == Backend::faiss) return nearest_faiss(queries, bank, k, score, id);
#endif
  nearest_scan(queries, bank, k, backend, score, id);
}

}  // namespace vlmprobe::memory
