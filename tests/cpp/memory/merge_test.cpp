// Joining memories, and reading while somebody writes.
#include <ATen/ops/index_select.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <limits>
#include <map>
#include <thread>

#include "memory/history.h"
#include "support.h"

using namespace vlmprobe;
using memory::QuestionMemory;
using memory::Within;

TEST_CASE("a merged memory by hand") {
  // a: keys (run, 0, 0..2, .), b: the same first two sequences and a third run. 6 questions of b are known, 3 are new.
  const Batch first(9, 1), more(3, 2);
  QuestionMemory a(16), b(16);
  a.commit("run", 0, first.rows);
  const Batch same(6, 1);
  b.commit("run", 0, same.rows), b.commit("other", 0, more.rows);
  CHECK(a.merge(b) == 3);
  CHECK(a.size() == 12);
  CHECK(a.prefixes().total() == 12);
  CHECK(a.commit("other", 0, more.rows) == 0);
  CHECK(a.commit("run", 0, first.rows) == 0);
  CHECK(a.merge(a) == 0);
  CHECK(a.merge(QuestionMemory(16)) == 0);
  CHECK(a.size() == 12);
}

TEST_CASE("random histories: merging in any order, with what they share, equals committing all") {
  for (std::uint64_t seed = 0; seed < 12; ++seed) {
    random::Sequence draw(seed, random::Stream::kFault, 3);
    std::vector<QuestionMemory> parts;
    for (int i = 0; i < 3; ++i) parts.emplace_back(16);
    QuestionMemory whole(16);
    for (int commit = 0; commit < 14; ++commit) {
      const int step = draw.below(4), run = draw.below(3);
      const auto size = 3 * (1 + draw.below(4));
      const Batch batch(size, static_cast<std::uint64_t>(100 * run + step), 5);  // one step's batches begin alike
      const std::string name = "run " + std::to_string(run);
      const int owner = draw.below(3);
      parts[owner].commit(name, step, batch.rows);
      if (draw.chance(0.4)) parts[(owner + 1) % 3].commit(name, step, batch.rows);
      whole.commit(name, step, batch.rows);
    }
    whole.merge(QuestionMemory(16));  // puts it in the order of keys
    const std::string expected = saved(whole);
    for (const auto& order : std::vector<std::vector<int>>{{0, 1, 2}, {2, 0, 1}, {1, 2, 0}}) {
      QuestionMemory merged(16);
      for (const int part : order) merged.merge(parts[part]);
      REQUIRE(saved(merged) == expected);
      QuestionMemory inner(16);  // a + (b + c)
      inner.merge(parts[order[1]]), inner.merge(parts[order[2]]);
      QuestionMemory outer = QuestionMemory::from_bytes(saved(parts[order[0]]));
      outer.merge(inner), outer.merge(inner);
      REQUIRE(saved(outer) == expected);
    }
    const Batch query(9, 77, 5);
    QuestionMemory merged = QuestionMemory::from_bytes(expected);
    const auto a = whole.novelty(query.rows, Within::step), b = merged.novelty(query.rows, Within::step);
    CHECK(values<double>(a.semantic) == values<double>(b.semantic));
    CHECK(values<double>(a.lexical) == values<double>(b.lexical));
  }
}

TEST_CASE("memories that do not fit are refused, and nothing changes") {
  const Batch batch(6, 3);
  QuestionMemory a(16);
  a.commit("run", 0, batch.rows);
  const std::string before = saved(a);
  CHECK(thrown([&] { a.merge(QuestionMemory(8)); }) == "[memory::merge] other: expected embeddings of width 16, got 8");
  CHECK(thrown([&] { a.merge(QuestionMemory(16, 3)); }) ==
        "[memory::merge] other: expected prefixes of length 2, got 3");
  CHECK(saved(a) == before);
}

TEST_CASE("a commit that is refused leaves the memory as it was") {
  const Batch past(9, 4), batch(30, 5);
  QuestionMemory memory(16);
  memory.commit("run", 0, past.rows);
  const std::string before = saved(memory);
  for (const float wrong : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(), 7.0F}) {
    auto rows = batch.rows;
    rows.embeddings = rows.embeddings.clone();
    rows.embeddings.mutable_data_ptr<float>()[17 * 16 + 3] = wrong;
    CHECK(thrown([&] { memory.commit("new run", 1, rows); }).starts_with("[memory::commit] embeddings: row 17"));
  }
  auto rows = batch.rows;
  rows.slot = column({1});
  CHECK(!thrown([&] { memory.commit("new run", 1, rows); }).empty());
  rows = batch.rows;
  rows.embeddings = random_unit_rows(30, 15, 1);
  CHECK(thrown([&] { memory.commit("new run", 1, rows); }) ==
        "[memory::commit] embeddings: expected shape [N, 16], got [30, 15]");
  CHECK(saved(memory) == before);
}

TEST_CASE("nearest questions of an image, by hand and against a bank of its own") {
  const Batch past(60, 6), query(9, 7);
  QuestionMemory memory(16);
  memory.commit("run", 0, past.rows);
  std::map<std::int64_t, memory::EmbeddingBank> banks;
  const auto image = values<std::int64_t>(past.rows.image), asked = values<std::int64_t>(query.rows.image);
  for (std::int64_t i = 0; i < 60; ++i)
    banks.try_emplace(image[i], 16).first->second.add(past.rows.embeddings.slice(0, i, i + 1));
  const auto found = memory.nearest(query.rows.image, query.rows.embeddings, 4);
  for (std::int64_t q = 0; q < 9; ++q) {
    const auto expected = banks.at(asked[q]).nearest(query.rows.embeddings.slice(0, q, q + 1), 4);
    CHECK(values<double>(found.score[q].contiguous()) == values<double>(expected.score));
    CHECK(values<std::int64_t>(found.id[q].contiguous()) == values<std::int64_t>(expected.id));
  }
  CHECK(memory.nearest(column({}), random_unit_rows(0, 16, 1), 4).id.size(0) == 0);
  const at::Tensor four = query.rows.embeddings.slice(0, 0, 4);
  CHECK(thrown([&] { memory.nearest(column({100, 101, 102, 7}), four, 1); }) ==
        "[memory::nearest] image: row 3: expected an image with questions, got 7");
  CHECK(thrown([&] { memory.nearest(column({100, 101, 102, 103}), four, 16); }) ==
        "[memory::nearest] k: expected at most 15 (rows stored), got 16");
  CHECK(thrown([&] { memory.nearest(column({100, 101, 102, 103}), four, 0); }) ==
        "[memory::nearest] k: expected at least 1, got 0");
}

TEST_CASE("who reads sees a commit entirely or not at all") {
  // Every step enters the same 40 questions under new keys, ten on each image: the count of a prefix is a multiple of
  // what one step brings, and novelties that see the same steps agree in every row.
  const Batch batch(120, 8);
  QuestionMemory memory(16);
  const auto once = [&] {
    QuestionMemory one(16);
    one.commit("run", 0, batch.rows);
    return values<double>(one.novelty(batch.rows).lexical);
  }();
  std::atomic<bool> stop = false;
  std::atomic<int> torn = 0, reads = 0;
  const auto read = [&] {
    while (!stop) {
      const auto lexical = values<double>(memory.novelty(batch.rows).lexical);
      const auto steps = [&](std::size_t q) { return (1 / lexical[q] - 1) / (1 / once[q] - 1); };
      for (std::size_t q = 0; q < lexical.size(); ++q)
        torn += std::abs(steps(q) - steps(0)) > 1e-6 || std::abs(steps(q) - std::round(steps(q))) > 1e-6;
      torn += memory.size() % 120 != 0;
      ++reads;
    }
  };
  std::thread first(read), second(read), saver([&] {
    while (!stop) torn += QuestionMemory::from_bytes(saved(memory)).size() % 120 != 0;
  });
  for (int step = 0; step < 40; ++step) memory.commit("run", step, batch.rows);
  QuestionMemory other(16);
  other.commit("other", 0, batch.rows);
  memory.merge(other);
  while (reads < 20) std::this_thread::yield();
  stop = true;
  first.join(), second.join(), saver.join();
  CHECK(torn == 0);
  CHECK(memory.size() == 41 * 120);
}
