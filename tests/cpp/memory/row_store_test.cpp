#include "../../../src/memory/tensor/row_store.h"

#include <map>
#include <vector>

#include "support.h"
#include "vlmprobe/core/random.h"

using namespace vlmprobe;
using memory::RowStore;

namespace {

std::vector<float> row_of(std::int64_t number, std::int64_t dim) {
  std::vector<float> row(static_cast<std::size_t>(dim));
  for (std::int64_t d = 0; d < dim; ++d) row[d] = static_cast<float>(number * dim + d);
  return row;
}

}  // namespace

TEST_CASE("slices that grow among each other hold what a map of vectors holds") {
  constexpr std::int64_t kDim = 8, kRows = 200000;
  RowStore store(kDim);
  std::map<std::int64_t, std::vector<float>> expected;
  random::Sequence draw(1, random::Stream::kFault, 0);
  for (std::int64_t i = 0; i < kRows; ++i) {
    const std::int64_t label = draw.below(i < kRows / 2 ? 100 : 10) - 50;  // later, a few slices outgrow the others
    const auto row = row_of(i % 1000003, kDim);
    store.append(label, row.data());
    expected[label].insert(expected[label].end(), row.begin(), row.end());
  }
  CHECK(store.labels() == 100);
  for (const auto& [label, rows] : expected) {
    const memory::Matrix found = store.rows(label);
    REQUIRE(found.rows * kDim == static_cast<std::int64_t>(rows.size()));
    CHECK(std::equal(rows.begin(), rows.end(), found.data));
  }
  CHECK(store.rows(1000).rows == 0);
}

TEST_CASE("a reserved slice stays in its place until it is full") {
  RowStore store(3);
  store.reserve(7, 5);
  CHECK(store.rows(7).rows == 0);
  store.append(7, row_of(0, 3).data());
  const float* place = store.rows(7).data;
  for (std::int64_t i = 1; i < 8; ++i) store.append(7, row_of(i, 3).data());
  CHECK(store.rows(7).data == place);  // 5 are rounded up to 8
  for (std::int64_t i = 8; i < 9; ++i) store.append(7, row_of(i, 3).data());
  store.reserve(7, 2);
  for (std::int64_t i = 0; i < 9; ++i) CHECK(store.rows(7).row(i)[2] == static_cast<float>(3 * i + 2));
}

TEST_CASE("a store that is moved keeps its rows") {
  RowStore store(2);
  for (std::int64_t i = 0; i < 5; ++i) store.append(1, row_of(i, 2).data());
  RowStore other = std::move(store);
  CHECK(other.rows(1).row(4)[1] == 9);
}
