#include "vlmprobe/memory/approximate_bank.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/ones.h>

#include <cmath>
#include <limits>

#include "memory/rows.h"
#include "support.h"
#include "vlmprobe/memory/embedding_bank.h"

using namespace vlmprobe;
using memory::ApproximateBank;

namespace {

// `count` unit rows around 40 directions.
at::Tensor clustered(std::int64_t count, std::int64_t dim, std::uint64_t seed) {
  const at::Tensor centres = random_unit_rows(40, dim, 1), noise = random_unit_rows(count, dim, seed);
  at::Tensor out = at::empty({count, dim}, at::kFloat);
  for (std::int64_t i = 0; i < count; ++i) {
    const float *centre = centres.const_data_ptr<float>() + i % 40 * dim,
                *own = noise.const_data_ptr<float>() + i * dim;
    float* row = out.mutable_data_ptr<float>() + i * dim;
    double square = 0;
    for (std::int64_t d = 0; d < dim; ++d) row[d] = centre[d] + own[d], square += row[d] * row[d];
    for (std::int64_t d = 0; d < dim; ++d) row[d] = static_cast<float>(row[d] / std::sqrt(square));
  }
  return out;
}

}  // namespace

TEST_CASE("without FAISS the bank says what to install") {
  if (memory::has_faiss()) return;
  CHECK(thrown([] {
          ApproximateBank(random_unit_rows(3, 4, 1));
        }).starts_with("[memory::ApproximateBank] backend: expected a build with FAISS"));
}

TEST_CASE("all lists together give the exact answer, bit for bit") {
  if (!memory::has_faiss()) return;
  const at::Tensor rows = clustered(1500, 24, 2), queries = clustered(70, 24, 3);
  memory::EmbeddingBank exact(24);
  exact.add(rows);
  ApproximateBank bank(rows.slice(0, 0, 1000), {30, 1000});
  bank.add(rows.slice(0, 1000));
  CHECK(bank.size() == 1500);
  CHECK(bank.probes() == 30);
  for (const std::int64_t k : {1, 7, 200}) {
    const auto found = bank.nearest(queries, k), expected = exact.nearest(queries, k);
    CHECK(values<std::int64_t>(found.id) == values<std::int64_t>(expected.id));
    CHECK(values<double>(found.score) == values<double>(expected.score));
    CHECK(bank.recall(queries, k) == 1.0);
  }
}

TEST_CASE("some lists give most of the answer, with exact scores, and always k rows") {
  if (!memory::has_faiss()) return;
  const at::Tensor rows = clustered(4000, 24, 4), queries = clustered(70, 24, 5);
  ApproximateBank bank(rows, {0, 24});
  CHECK(bank.lists() == 252);  // 4 * 63.2
  const double share = bank.recall(queries, 5);
  CHECK(share > 0.8);
  CHECK(share <= 1.0);
  CHECK(bank.recall(rows.slice(0, 0, 50), 1) == 1.0);  // a stored row is nearest to itself, in its own list
  memory::EmbeddingBank exact(24);
  exact.add(rows);
  const auto found = bank.nearest(queries, 5), whole = exact.nearest(queries, 4000);
  for (std::int64_t q = 0; q < 70; ++q)
    for (std::int64_t i = 0; i < 5; ++i) {
      const auto ids = values<std::int64_t>(whole.id[q].contiguous());
      const auto place = std::find(ids.begin(), ids.end(), found.id[q][i].item<std::int64_t>()) - ids.begin();
      REQUIRE(found.score[q][i].item<double>() == whole.score[q][place].item<double>());
    }
  const auto all = values<std::int64_t>(bank.nearest(queries, 4000).id);
  CHECK(std::all_of(all.begin(), all.end(), [](std::int64_t id) { return id >= 0; }));
  CHECK(bank.recall(queries.slice(0, 0, 0), 1) == 1.0);
}

TEST_CASE("one row, one list, and equal rows") {
  if (!memory::has_faiss()) return;
  const at::Tensor row = random_unit_rows(1, 8, 6);
  ApproximateBank one(row);
  CHECK(one.lists() == 1);
  CHECK(values<std::int64_t>(one.nearest(row, 1).id) == std::vector<std::int64_t>{0});
  ApproximateBank equal(row.repeat({20, 1}), {4, 1});
  CHECK(values<std::int64_t>(equal.nearest(row, 3).id) == std::vector<std::int64_t>{0, 1, 2});
}

TEST_CASE("wrong input of the approximate bank is named, and nothing of it is kept") {
  if (!memory::has_faiss()) return;
  at::Tensor rows = random_unit_rows(20, 4, 7);
  CHECK(thrown([&] { ApproximateBank(rows, {21, 1}); }) ==
        "[memory::ApproximateBank] lists: expected 0 to 20 (rows given), got 21");
  CHECK(thrown([&] { ApproximateBank(rows, {2, 0}); }) ==
        "[memory::ApproximateBank] probes: expected at least 1, got 0");
  CHECK(thrown([&] { ApproximateBank(rows.slice(0, 0, 0)); }) ==
        "[memory::ApproximateBank] rows: expected at least 1, got 0");
  CHECK(thrown([&] { ApproximateBank(at::ones({4})); }) ==
        "[memory::ApproximateBank] rows: expected shape [N, D] with D from 1 to 1048576, got [4]");
  ApproximateBank bank(rows);
  CHECK(thrown([&] { bank.nearest(rows, 21); }) ==
        "[memory::ApproximateBank::nearest] k: expected at most 20 (rows stored), got 21");
  CHECK(thrown([&] { bank.nearest(rows, 0); }) == "[memory::ApproximateBank::nearest] k: expected at least 1, got 0");
  rows = rows.clone();
  rows.mutable_data_ptr<float>()[17 * 4 + 1] = std::numeric_limits<float>::quiet_NaN();
  CHECK(thrown([&] { ApproximateBank{rows}; }) == "[memory::ApproximateBank] rows: row 17 is not finite");
  CHECK(thrown([&] { bank.add(rows); }) == "[memory::ApproximateBank::add] rows: row 17 is not finite");
  CHECK(thrown([&] { bank.nearest(rows, 1); }) == "[memory::ApproximateBank::nearest] queries: row 17 is not finite");
  CHECK(bank.size() == 20);
}
