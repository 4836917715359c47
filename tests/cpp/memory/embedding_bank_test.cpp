// One contract, held by every backend of the build.
#include "vlmprobe/memory/embedding_bank.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/ops/ones.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <utility>

#include "memory/rows.h"
#include "support.h"
#include "vlmprobe/core/error.h"

using namespace vlmprobe;
using memory::Backend;
using memory::EmbeddingBank;

namespace {

std::vector<Backend> backends() {
  std::vector<Backend> out = {Backend::native, Backend::aten};
  if (memory::has_faiss()) out.push_back(Backend::faiss);
  return out;
}

// All scores in double, row after row, then a stable sort: ties keep the lower id first.
std::vector<std::pair<double, std::int64_t>> reference(const at::Tensor& rows, const at::Tensor& query,
                                                       std::int64_t k) {
  std::vector<std::pair<double, std::int64_t>> all;
  const auto data = values<float>(rows), point = values<float>(query);
  for (std::size_t i = 0; i * point.size() < data.size(); ++i) {
    double score = 0;
    for (std::size_t d = 0; d < point.size(); ++d)
      score += static_cast<double>(data[i * point.size() + d]) * static_cast<double>(point[d]);
    all.emplace_back(score, static_cast<std::int64_t>(i));
  }
  std::stable_sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
  all.resize(std::min(all.size(), static_cast<std::size_t>(k)));
  return all;
}

}  // namespace

TEST_CASE("a bank of three by hand") {
  for (const Backend backend : backends()) {
    EmbeddingBank bank(2, backend);
    at::Tensor rows = at::empty({3, 2}, at::kFloat), query = at::empty({1, 2}, at::kFloat);
    const float points[] = {1, 0, 0, 1, 0.6F, 0.8F};
    std::copy_n(points, 6, rows.mutable_data_ptr<float>());
    std::copy_n(points, 2, query.mutable_data_ptr<float>());
    bank.add(rows);
    const auto found = bank.nearest(query, 3);  // 1*1, 1*0.6, 1*0
    CHECK(values<std::int64_t>(found.id) == std::vector<std::int64_t>{0, 2, 1});
    const auto score = values<double>(found.score);
    CHECK(score[0] == 1.0);
    CHECK(score[1] == static_cast<double>(0.6F));
    CHECK(score[2] == 0.0);
  }
}

TEST_CASE("every backend finds what a loop in double finds") {
  for (const Backend backend : backends())
    for (const std::int64_t size : {1, 2, 35, 36, 37, 300, 1024, 1025, 2000})
      for (const std::int64_t dim : {1, 7, 384})
        for (const std::int64_t k : {1, 3, 40}) {
          if (k > size) continue;
          EmbeddingBank bank(dim, backend);
          const at::Tensor rows = random_unit_rows(size, dim, 1), queries = random_unit_rows(17, dim, 2);
          bank.add(rows);
          const auto found = bank.nearest(queries, k);
          const auto score = values<double>(found.score);
          const auto id = values<std::int64_t>(found.id);
          for (std::int64_t q = 0; q < 17; q += size > 300 ? 8 : 1) {
            const auto expected = reference(rows, queries[q], k);
            for (std::int64_t i = 0; i < k; ++i)
              if (id[q * k + i] != expected[i].second || std::abs(score[q * k + i] - expected[i].first) > 1e-12)
                FAIL("size " << size << " dim " << dim << " k " << k << " query " << q << " place " << i);
          }
        }
}

TEST_CASE("k is at most what is stored") {
  for (const Backend backend : backends()) {
    EmbeddingBank bank(4, backend);
    const at::Tensor rows = random_unit_rows(3, 4, 9);
    CHECK(thrown([&] { bank.nearest(rows, 1); }) ==
          "[memory::EmbeddingBank::nearest] k: expected at most 0 (rows stored), got 1");
    bank.add(rows.slice(0, 0, 0));
    bank.add(rows);
    CHECK(bank.nearest(rows, 3).id.sizes() == at::IntArrayRef{3, 3});
    CHECK(bank.nearest(rows.slice(0, 0, 0), 3).id.sizes() == at::IntArrayRef{0, 3});
    CHECK(thrown([&] { bank.nearest(rows, 4); }) ==
          "[memory::EmbeddingBank::nearest] k: expected at most 3 (rows stored), got 4");
    CHECK(thrown([&] { bank.nearest(rows, 0); }) == "[memory::EmbeddingBank::nearest] k: expected at least 1, got 0");
  }
}

TEST_CASE("of equal rows the first added wins, however many there are") {
  for (const Backend backend : backends()) {
    const at::Tensor row = random_unit_rows(1, 384, 3), noise = random_unit_rows(500, 384, 4);
    EmbeddingBank bank(384, backend);
    bank.add(noise);
    for (int i = 0; i < 100; ++i) bank.add(row);
    bank.add(noise);
    CHECK(values<std::int64_t>(bank.nearest(row, 3).id) == std::vector<std::int64_t>{500, 501, 502});
    CHECK(values<std::int64_t>(bank.nearest(noise.slice(0, 7, 8), 2).id) == std::vector<std::int64_t>{7, 607});
  }
}

TEST_CASE("rows that differ by less than float32 can tell are all told apart") {
  // 600 rows that differ from the query in one coordinate by a few units in the last place.
  const at::Tensor row = random_unit_rows(1, 384, 10);
  at::Tensor rows = row.repeat({600, 1});
  for (std::int64_t i = 0; i < 600; ++i) {
    float& value = rows.mutable_data_ptr<float>()[i * 384 + i % 384];
    for (std::int64_t step = 0; step < (i * 7) % 5; ++step) value = std::nextafter(value, i % 2 ? 2.0F : -2.0F);
  }
  for (const Backend backend : backends())
    for (const std::int64_t k : {1, 5, 100}) {
      EmbeddingBank bank(384, backend);
      bank.add(rows);
      const auto found = values<std::int64_t>(bank.nearest(row, k).id);
      const auto expected = reference(rows, row, k);
      const auto score = values<double>(bank.nearest(row, k).score);
      for (std::int64_t i = 0; i < k; ++i) REQUIRE(std::abs(score[i] - expected[i].first) < 1e-15 * 384);
      REQUIRE(std::set<std::int64_t>(found.begin(), found.end()).size() == static_cast<std::size_t>(k));
    }
}

TEST_CASE("threads and backends change no bit of a bank's answer") {
  const at::Tensor rows = random_unit_rows(1500, 384, 11), queries = random_unit_rows(130, 384, 12);
  std::vector<std::vector<double>> results;
  for (const Backend backend : backends())
    for (const int threads : {1, 2, 3}) {
      EmbeddingBank bank(384, backend);
      bank.add(rows);
      const int before = at::get_num_threads();
      at::set_num_threads(threads);
      results.push_back(values<double>(bank.nearest(queries, 7).score));
      at::set_num_threads(before);
    }
  for (const auto& result : results) CHECK(result == results[0]);
}

TEST_CASE("a product in less than float32 changes nothing") {
  const at::Tensor rows = random_unit_rows(3000, 384, 13), queries = random_unit_rows(20, 384, 14);
  EmbeddingBank exact(384, Backend::native), bank(384, Backend::aten);
  exact.add(rows), bank.add(rows);
  at::globalContext().setFloat32MatmulPrecision("medium");
  const auto found = bank.nearest(queries, 5);
  at::globalContext().setFloat32MatmulPrecision("highest");
  CHECK(values<double>(found.score) == values<double>(exact.nearest(queries, 5).score));
  CHECK(values<std::int64_t>(found.id) == values<std::int64_t>(exact.nearest(queries, 5).id));
}

TEST_CASE("results do not depend on the backend or on the batch, bit for bit") {
  const at::Tensor rows = random_unit_rows(1500, 384, 5), queries = random_unit_rows(33, 384, 6);
  EmbeddingBank whole(384, Backend::aten);
  whole.add(rows);
  const auto expected = values<double>(whole.nearest(queries, 2).score);
  for (const Backend backend : backends()) {
    EmbeddingBank bank(384, backend);
    for (std::int64_t i = 0; i < 1500; i += 500) bank.add(rows.slice(0, i, i + 500));
    for (std::int64_t q = 0; q < 33; ++q) {
      const auto found = values<double>(bank.nearest(queries.slice(0, q, q + 1), 2).score);
      REQUIRE(found[0] == expected[2 * q]);
      REQUIRE(found[1] == expected[2 * q + 1]);
    }
  }
}

TEST_CASE("rows that are no unit rows are named") {
  EmbeddingBank bank(4);
  CHECK(bank.backend() != Backend::automatic);
  at::Tensor rows = random_unit_rows(20, 4, 7);
  rows.mutable_data_ptr<float>()[17 * 4 + 1] = std::numeric_limits<float>::quiet_NaN();
  CHECK(thrown([&] { bank.add(rows); }) == "[memory::EmbeddingBank::add] rows: row 17 is not finite");
  EmbeddingBank one(4);
  one.add(random_unit_rows(1, 4, 1));
  CHECK(thrown([&] { one.nearest(rows, 1); }) == "[memory::EmbeddingBank::nearest] queries: row 17 is not finite");
  rows.mutable_data_ptr<float>()[17 * 4 + 1] = std::numeric_limits<float>::infinity();
  CHECK(thrown([&] { bank.add(rows); }) == "[memory::EmbeddingBank::add] rows: row 17 is not finite");
  CHECK(thrown([&] { bank.add(at::ones({2, 4})); }) ==
        "[memory::EmbeddingBank::add] rows: row 0: expected length 1 (to within 0.001), got 2");
  CHECK(thrown([&] { bank.add(at::ones({2, 4}, at::kDouble)); }) ==
        "[memory::EmbeddingBank::add] rows: expected float32, got Double");
  CHECK(thrown([&] { bank.add(at::ones({2, 3})); }) ==
        "[memory::EmbeddingBank::add] rows: expected shape [N, 4], got [2, 3]");
  CHECK(thrown([&] { bank.add(at::Tensor()); }) == "[memory::EmbeddingBank::add] rows: expected a tensor, got none");
  CHECK(thrown([] { EmbeddingBank(0); }) == "[memory::EmbeddingBank] dim: expected 1 to 1048576, got 0");
  CHECK(bank.size() == 0);  // nothing of a refused batch is kept
  if (!memory::has_faiss())
    CHECK(thrown([] { EmbeddingBank(4, Backend::faiss); }).find("backend: expected automatic, native or aten") !=
          std::string::npos);
}

TEST_CASE("views and transposed rows are read as what they show") {
  const at::Tensor rows = random_unit_rows(6, 4, 8);
  const at::Tensor strided = rows.t().contiguous().t();
  EmbeddingBank bank(4), other(4);
  bank.add(rows), other.add(strided);
  CHECK(values<float>(bank.rows()) == values<float>(other.rows()));
}
