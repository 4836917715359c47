#include "vlmprobe/memory/approximate_bank.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "../kernels.h"
#include "../parallel.h"
#include "nearest.h"
#include "row_store.h"
#include "shortlist.h"

#include "../../core/tensor/defined.h"

#include "vlmprobe/core/error.h"

#ifdef VLMPROBE_WITH_FAISS
#include <faiss/Clustering.h>
#include <faiss/IndexFlat.h>
#endif

namespace vlmprobe::memory {
namespace {

constexpr auto kOp = "memory::ApproximateBank";
constexpr std::int64_t kBlock = 64;  // queries whose nearest centres a thread looks for at a time

using Places = std::vector<std::int64_t>;

// A row is named by its list and its place in it.
constexpr int kPlaceBits = 40;
constexpr std::int64_t name_of(std::int64_t list, std::int64_t place) {
  return list << kPlaceBits | place;
}

// Centres [lists, D] of unit length.
std::vector<float> centres_of(Matrix rows, std::int64_t lists) {
  std::vector<float> centres(static_cast<std::size_t>(lists * rows.dim));
#ifdef VLMPROBE_WITH_FAISS
  faiss::ClusteringParameters options;
  options.niter = 10;
  options.spherical = true;
  options.min_points_per_centroid = 1;  // fewer only make FAISS print a warning
  options.max_points_per_centroid = 40;
  faiss::IndexFlatIP index(rows.dim);
  faiss::Clustering clustering(static_cast<int>(rows.dim), static_cast<int>(lists), options);
  clustering.train(rows.rows, rows.data, index);
  std::copy_n(clustering.centroids.begin(), centres.size(), centres.begin());
#endif
  return centres;
}

// The `count` nearest centres of each row, [rows, count].
Places nearest_centres(Matrix rows, Matrix centres, std::int64_t count) {
  Places places(static_cast<std::size_t>(rows.rows * count));
  std::vector<double> scores(places.size());
  const std::int64_t blocks = (rows.rows + kBlock - 1) / kBlock;
  const double work = static_cast<double>(rows.rows) * static_cast<double>(centres.rows * centres.dim);
  for_each_index(static_cast<std::size_t>(blocks), threads_for(work, blocks), [&](std::size_t block) {
    const std::int64_t first = static_cast<std::int64_t>(block) * kBlock;
    const auto some = row_pointers({rows.row(first), std::min(kBlock, rows.rows - first), rows.dim});
    nearest(some, centres, count, resolve(kOp, Backend::automatic), scores.data() + first * count,
            places.data() + first * count);
  });
  return places;
}

}  // namespace

struct ApproximateBank::State {
  State(std::int64_t dim, std::int64_t probed) : probes(probed), rows(dim) {}

  Matrix centre_rows() const { return {centres.data(), static_cast<std::int64_t>(ids.size()), rows.dim()}; }
  void add(Matrix fresh) {
    const Places list = nearest_centres(fresh, centre_rows(), 1);
    for (std::int64_t i = 0; i < fresh.rows; ++i) {
      rows.append(list[i], fresh.row(i));
      ids[list[i]].push_back(size++);
    }
  }
  // The k best of each query; `probed` has `count` lists per query.
  void search(Matrix queries, std::int64_t k, const std::int64_t* probed, std::int64_t count, double* score,
              std::int64_t* id) const;

  std::int64_t probes, size = 0;
  std::vector<float> centres;
  RowStore rows;            // by list
  std::vector<Places> ids;  // by list: places in the order of adding

 private:
  std::vector<Places> queries_by_list(std::int64_t queries, std::int64_t k, const std::int64_t* probed,
                                      std::int64_t count) const;
};

// A query whose lists hold fewer than k rows goes to all.
std::vector<Places> ApproximateBank::State::queries_by_list(std::int64_t queries, std::int64_t k,
                                                            const std::int64_t* probed, std::int64_t count) const {
  std::vector<Places> members(ids.size());
  for (std::int64_t q = 0; q < queries; ++q) {
    const std::int64_t *first = probed + q * count, *last = first + count;
    const std::int64_t held = std::accumulate(
        first, last, std::int64_t{0}, [&](std::int64_t sum, std::int64_t list) { return sum + rows.rows(list).rows; });
    if (held >= k)
      std::for_each(first, last, [&](std::int64_t list) { members[list].push_back(q); });
    else
      for (Places& list : members) list.push_back(q);
  }
  return members;
}

// List by list, all queries that probe it, so that a list is read once for kLanes of them.
void ApproximateBank::State::search(Matrix queries, std::int64_t k, const std::int64_t* probed, std::int64_t count,
                                    double* score, std::int64_t* id) const {
  std::vector<Shortlist> best(static_cast<std::size_t>(queries.rows), Shortlist(k, margin(rows.dim())));
  ScanBlock block(Backend::native, rows.dim(), kLanes);
  const std::vector<Places> members = queries_by_list(queries.rows, k, probed, count);
  for (std::size_t list = 0; list < members.size(); ++list)
    for (std::size_t first = 0; first < members[list].size(); first += kLanes) {
      std::vector<const float*> some;
      std::vector<Shortlist*> lists;
      for (std::size_t i = first; i < std::min<std::size_t>(first + kLanes, members[list].size()); ++i) {
        some.push_back(queries.row(members[list][i]));
        lists.push_back(&best[members[list][i]]);
      }
      const auto label = static_cast<std::int64_t>(list);
      block.pack(some);
      block.scan(rows.rows(label), name_of(label, 0), lists);
    }
  std::vector<Candidate> found;
  for (std::int64_t q = 0; q < queries.rows; ++q) {
    found.clear();
    for (const Candidate& row : best[q].rows()) {
      const std::int64_t list = row.id >> kPlaceBits, place = row.id - name_of(list, 0);
      found.push_back({inner_product(queries.row(q), rows.rows(list).row(place), rows.dim()), ids[list][place]});
    }
    write_best(found, k, score + q * k, id + q * k);
  }
}

ApproximateBank::ApproximateBank(const at::Tensor& rows, const ApproximateOptions& options) {
  expect_faiss(kOp, "a build with FAISS");
  expect_defined(kOp, {{"rows", rows}});
  expect(rows.dim() == 2 && rows.size(1) >= 1 && rows.size(1) <= kMaxDim, kOp,
         "rows: expected shape [N, D] with D from 1 to {}, got [{}]", kMaxDim, joined(rows.sizes(), ", "));
  const std::int64_t dim = rows.size(1);
  const at::Tensor flat = unit_rows(kOp, "rows", rows, dim);
  const std::int64_t count = flat.size(0);
  expect(count >= 1, kOp, "rows: expected at least 1, got 0");
  expect(options.lists >= 0 && options.lists <= count, kOp, "lists: expected 0 to {} (rows given), got {}", count,
         options.lists);
  expect(options.probes >= 1, kOp, "probes: expected at least 1, got {}", options.probes);

  const auto wanted = static_cast<std::int64_t>(4 * std::sqrt(static_cast<double>(count)));
  const std::int64_t lists = options.lists > 0 ? options.lists : std::min(wanted, (count + 3) / 4);
  state_ = std::make_unique<State>(dim, std::min(options.probes, lists));
  const Matrix all{flat.const_data_ptr<float>(), count, dim};
  state_->centres = centres_of(all, lists);
  state_->ids.resize(static_cast<std::size_t>(lists));
  state_->add(all);
}

ApproximateBank::ApproximateBank(ApproximateBank&&) noexcept = default;
ApproximateBank& ApproximateBank::operator=(ApproximateBank&&) noexcept = default;
ApproximateBank::~ApproximateBank() = default;

void ApproximateBank::add(const at::Tensor& rows) {
  const at::Tensor flat = unit_rows("memory::ApproximateBank::add", "rows", rows, dim());
  state_->add({flat.const_data_ptr<float>(), flat.size(0), dim()});
}

Neighbours ApproximateBank::nearest(const at::Tensor& queries, std::int64_t k) const {
  return search(queries, k, probes());
}

double ApproximateBank::recall(const at::Tensor& queries, std::int64_t k) const {
  const at::Tensor found = search(queries, k, probes()).id, exact = search(queries, k, lists()).id;
  const auto *a = found.const_data_ptr<std::int64_t>(), *b = exact.const_data_ptr<std::int64_t>();
  std::int64_t hits = 0;
  for (std::int64_t q = 0; q < found.size(0); ++q)
    hits += std::count_if(b + q * k, b + (q + 1) * k, [&](std::int64_t id) {
      return std::find(a + q * k, a + (q + 1) * k, id) != a + (q + 1) * k;
    });
  return found.numel() == 0 ? 1.0 : static_cast<double>(hits) / static_cast<double>(found.numel());
}

Neighbours ApproximateBank::search(const at::Tensor& queries, std::int64_t k, std::int64_t probes) const {
  constexpr auto kSearch = "memory::ApproximateBank::nearest";
  check_k(kSearch, k, size());
  const at::Tensor flat = unit_rows(kSearch, "queries", queries, dim());

  const Matrix rows{flat.const_data_ptr<float>(), flat.size(0), dim()};
  Neighbours found{at::empty({rows.rows, k}, at::kDouble), at::empty({rows.rows, k}, at::kLong)};
  auto* score = found.score.mutable_data_ptr<double>();
  auto* id = found.id.mutable_data_ptr<std::int64_t>();
  const Places probed = nearest_centres(rows, state_->centre_rows(), probes);
  const double work = static_cast<double>(rows.rows) * static_cast<double>(size() / lists() * probes * dim());
  const int threads = threads_for(work, (rows.rows + kLanes - 1) / kLanes);
  const std::int64_t share = (rows.rows + threads - 1) / threads;
  for_each_index(static_cast<std::size_t>(threads), threads, [&](std::size_t part) {
    const std::int64_t first = std::min(rows.rows, static_cast<std::int64_t>(part) * share);
    const Matrix some{rows.row(first), std::min(share, rows.rows - first), rows.dim};
    state_->search(some, k, probed.data() + first * probes, probes, score + first * k, id + first * k);
  });
  return found;
}

std::int64_t ApproximateBank::size() const {
  return state_->size;
}

std::int64_t ApproximateBank::dim() const {
  return state_->rows.dim();
}

std::int64_t ApproximateBank::lists() const {
  return static_cast<std::int64_t>(state_->ids.size());
}

std::int64_t ApproximateBank::probes() const {
  return state_->probes;
}

}  // namespace vlmprobe::memory
