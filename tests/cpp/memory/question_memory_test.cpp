#include "vlmprobe/memory/question_memory.h"

#include <ATen/Parallel.h>
#include <ATen/ops/index_select.h>
#include <algorithm>
#include <cstring>
#include <filesystem>
#include <limits>
#include <numeric>
#include <set>

#include "memory/history.h"
#include "support.h"
#include "vlmprobe/core/error.h"
#include "vlmprobe/text/safetensors.h"

using namespace vlmprobe;
using memory::PrefixCounts;
using memory::QuestionMemory;
using memory::Within;

namespace {

double dot(const at::Tensor& a, std::size_t i, const at::Tensor& b, std::size_t j) {
  double sum = 0;
  const auto dim = static_cast<std::size_t>(a.size(1));
  for (std::size_t d = 0; d < dim; ++d)
    sum += static_cast<double>(a.const_data_ptr<float>()[i * dim + d]) *
           static_cast<double>(b.const_data_ptr<float>()[j * dim + d]);
  return sum;
}

}  // namespace

TEST_CASE("counts of prefixes add up") {
  PrefixCounts a, b;
  a.add("How many cats?"), a.add("how MANY dogs"), b.add("how many"), b.add("?");
  CHECK(a.count("How many birds") == 2);
  CHECK(memory::lexical_novelty(a.count("How many birds")) == doctest::Approx(1.0 / 3));  // 1 / (1 + 2)
  a.merge(b), a.merge(a);
  CHECK(a.count("how many") == 6);
  CHECK(a.count("") == 2);
  CHECK(a.total() == 8);
  CHECK(thrown([&] { a.merge(PrefixCounts(3)); }) ==
        "[memory::PrefixCounts] other: expected prefixes of length 2, got 3");
  CHECK(thrown([] { PrefixCounts(0); }) == "[memory::PrefixCounts] length: expected at least 1, got 0");
}

TEST_CASE("novelty by hand") {
  // On image 5: (1, 0) is known, prefix "how many". A question (0.6, 0.8) there: 1 - 0.6; one (-1, 0): 1 - (-1), so 1;
  // on image 6 nothing is known: 1. "How many ..." was seen once: 1 / (1 + 1).
  QuestionMemory memory(2);
  const std::vector<std::string> known = {"How many cats?"}, texts = {"how many dogs?", "Why?", "How many?"};
  at::Tensor one = at::empty({1, 2}, at::kFloat), three = at::empty({3, 2}, at::kFloat);
  const float first[] = {1, 0}, others[] = {0.6F, 0.8F, -1, 0, 1, 0};
  std::copy_n(first, 2, one.mutable_data_ptr<float>());
  std::copy_n(others, 6, three.mutable_data_ptr<float>());
  CHECK(values<double>(memory.novelty({column({5, 5, 6}), three, texts, {}, {}}).semantic) ==
        std::vector{1.0, 1.0, 1.0});

  CHECK(memory.commit("run", 0, {column({5}), one, known, column({0}), column({0})}) == 1);
  const auto novelty = memory.novelty({column({5, 5, 6}), three, texts, {}, {}});
  CHECK(values<double>(novelty.semantic) == std::vector{1.0 - static_cast<double>(0.6F), 1.0, 1.0});
  CHECK(values<double>(novelty.lexical) == std::vector{0.5, 1.0, 0.5});
}

TEST_CASE("novelty equals a loop over all earlier questions, whatever `within` is") {
  const Batch past(60, 1), batch(45, 2);
  QuestionMemory memory(16);
  memory.commit("run", 0, past.rows);
  for (const Within within : {Within::none, Within::sequence, Within::step}) {
    const auto novelty = memory.novelty(batch.rows, within);
    for (std::size_t q = 0; q < 45; ++q) {
      double best = 0;
      std::int64_t same = 0;
      const auto image = values<std::int64_t>(batch.rows.image), past_image = values<std::int64_t>(past.rows.image);
      const std::string prefix = text::prefix(batch.texts[q]);
      for (std::size_t p = 0; p < 60; ++p) {
        same += text::prefix(past.texts[p]) == prefix;
        if (past_image[p] == image[q]) best = std::max(best, dot(batch.rows.embeddings, q, past.rows.embeddings, p));
      }
      for (std::size_t p = 0; p < q; ++p) {  // the batch is in the order of its keys
        if (within == Within::none || (within == Within::sequence && p / 3 != q / 3)) continue;
        same += text::prefix(batch.texts[p]) == prefix;
        if (image[p] == image[q]) best = std::max(best, dot(batch.rows.embeddings, q, batch.rows.embeddings, p));
      }
      REQUIRE(values<double>(novelty.semantic)[q] == doctest::Approx(std::max(0.0, 1 - best)).epsilon(1e-12));
      REQUIRE(values<double>(novelty.lexical)[q] == doctest::Approx(1.0 / (1 + static_cast<double>(same))));
    }
  }
}

TEST_CASE("the order of the rows changes nothing") {
  const Batch batch(45, 3);
  std::vector<std::int64_t> shuffled(45);
  std::iota(shuffled.begin(), shuffled.end(), 0);
  for (std::int64_t i = 0; i < 45; ++i) std::swap(shuffled[i], shuffled[(i * 17) % 45]);
  const at::Tensor index = column(shuffled);
  std::vector<std::string> texts;
  for (const auto i : shuffled) texts.push_back(batch.texts[i]);
  const auto pick = [&](const at::Tensor& tensor) { return at::index_select(tensor, 0, index); };
  const memory::QuestionRows rows = {pick(batch.rows.image), pick(batch.rows.embeddings), texts,
                                     pick(batch.rows.sequence), pick(batch.rows.slot)};
  QuestionMemory a(16), b(16);
  for (const Within within : {Within::sequence, Within::step})
    CHECK(values<double>(pick(a.novelty(batch.rows, within).semantic)) ==
          values<double>(b.novelty(rows, within).semantic));
  a.commit("run", 1, batch.rows), b.commit("run", 1, rows);
  const Folder folder;
  a.save(folder.path.string());
  const std::string bytes = content(folder.file());
  b.save(folder.path.string());
  CHECK(content(folder.file()) == bytes);
}

TEST_CASE("a key enters once") {
  const Batch batch(30, 4);
  QuestionMemory memory(16);
  CHECK(memory.commit("run", 7, batch.rows) == 30);
  const auto before = values<double>(memory.novelty(batch.rows).lexical);
  CHECK(memory.commit("run", 7, batch.rows) == 0);
  CHECK(values<double>(memory.novelty(batch.rows).lexical) == before);
  CHECK(memory.size() == 30);
  CHECK(memory.prefixes().total() == 30);
  CHECK(memory.images() == 4);
  CHECK(memory.count(100) == 9);  // sequences 0, 4, 8
  CHECK(memory.count(1) == 0);
  CHECK(memory.commit("run", 8, batch.rows) == 30);
  CHECK(memory.commit("other", 7, batch.rows) == 30);
  CHECK(memory.bytes() > 90 * 16 * 4);

  const Batch twice(2, 5);
  const memory::QuestionRows padded = {twice.rows.image, twice.rows.embeddings, twice.texts, column({0, 0}),
                                       column({0, 0})};
  CHECK(memory.commit("padded", 0, padded) == 1);
  QuestionMemory empty(16);
  CHECK(values<double>(empty.novelty(padded, Within::step).lexical) == std::vector{1.0, 1.0});
}

TEST_CASE("threads and backends change no bit") {
  const Batch past(9000, 6, 3, 384), batch(300, 7, 3, 384);
  std::vector<std::vector<double>> results;
  for (const auto backend : {memory::Backend::aten, memory::Backend::native})
    for (const int threads : {1, 3}) {
      QuestionMemory memory(384, 2, backend);
      memory.commit("run", 0, past.rows);
      const int before = at::get_num_threads();
      at::set_num_threads(threads);
      results.push_back(values<double>(memory.novelty(batch.rows).semantic));
      at::set_num_threads(before);
    }
  for (const auto& result : results) CHECK(result == results[0]);
}

TEST_CASE("a saved memory comes back whole") {
  const Folder folder;
  const Batch past(60, 8), more(30, 9), batch(30, 10);
  QuestionMemory memory(16, 3);
  memory.save(folder.path.string());  // an empty one too
  CHECK(QuestionMemory::load(folder.path.string()).size() == 0);
  memory.commit("run", 0, past.rows), memory.commit("second run", -1, more.rows);
  memory.save(folder.path.string());

  QuestionMemory loaded = QuestionMemory::load(folder.path.string());
  CHECK(loaded.size() == 90);
  CHECK(loaded.prefixes().length() == 3);
  CHECK(loaded.prefixes().counts() == memory.prefixes().counts());
  CHECK(loaded.bytes() == memory.bytes());
  const auto expected = memory.novelty(batch.rows, Within::step), found = loaded.novelty(batch.rows, Within::step);
  CHECK(values<double>(found.semantic) == values<double>(expected.semantic));
  CHECK(values<double>(found.lexical) == values<double>(expected.lexical));
  CHECK(loaded.commit("second run", -1, more.rows) == 0);
  CHECK(loaded.commit("third", 0, more.rows) == 30);

  const std::string bytes = content(folder.file());
  QuestionMemory::load(folder.path.string()).save(folder.path.string());
  CHECK(content(folder.file()) == bytes);
  CHECK(std::distance(std::filesystem::directory_iterator(folder.path), {}) == 1);  // no draft is left
}

TEST_CASE("a file that was tampered with is refused or is a whole memory") {
  const Folder folder;
  const Batch past(6, 11);
  QuestionMemory memory(16);
  memory.commit("run", 0, past.rows);
  memory.save(folder.path.string());
  const std::string good = content(folder.file());
  const auto load = [&](const std::string& bytes) {
    write(folder.file(), bytes);
    const std::string message = thrown([&] { QuestionMemory::load(folder.path.string()); });
    return message.starts_with("[memory::load] ") && message.find(": ") != std::string::npos
               ? message.substr(message.find(": ") + 2)
               : message;
  };
  const auto changed = [&](const std::string& from, const std::string& to) {
    std::string bytes = good;
    return load(bytes.replace(bytes.find(from), from.size(), to));
  };
  CHECK(load(good).empty());
  CHECK(changed("vlmprobe.memory", "vlmprobe.errors") == "expected format vlmprobe.memory, got 'vlmprobe.errors'");
  CHECK(changed("\"version\":\"2\"", "\"version\":\"1\"") == "expected version 2, got '1'");
  CHECK(changed("\"dim\":\"16\"", "\"dim\":\"-6\"") ==
        "__metadata__: expected a whole number from 1 on as dim, got '-6'");
  CHECK(changed("\"dim\":\"16\"", "\"dim\":\"15\"") == "tensor embeddings: expected F32 [6, 15], got F32 [6, 16]");
  CHECK(changed("\"image\"", "\"imags\"") == "tensor image: expected one, got none");

  std::string bytes = good;
  const std::size_t payload = 8 + static_cast<unsigned char>(good[0]) + 256 * static_cast<unsigned char>(good[1]);
  bytes[payload] = 1;  // the first key's run
  CHECK(load(bytes) == "tensor keys: row 0: expected a row of the 1 runs, got 1");
  bytes = good;
  std::copy_n(good.begin() + static_cast<std::ptrdiff_t>(payload), 32,
              bytes.begin() + static_cast<std::ptrdiff_t>(payload) + 32);
  CHECK(load(bytes) == "tensor keys: row 1: expected keys that differ, got one again");
  CHECK(load(good.substr(0, 100)).starts_with("expected a header of at most 92 bytes"));

  random::Sequence draw(12, random::Stream::kFault, 0);
  int refused = 0;
  for (int round = 0; round < 1500; ++round) {
    bytes = good;
    bytes[draw.below(static_cast<int>(bytes.size()))] = static_cast<char>(draw.below(256));
    refused += !load(bytes).empty();
  }
  CHECK(refused > 300);
  CHECK(thrown([] { QuestionMemory::load("/nowhere"); }) ==
        "[memory::load] directory: expected one that holds memory.safetensors, got /nowhere");
  write(folder.file(), good);
  CHECK(thrown([&] { memory.save(folder.file()); }).starts_with("[memory::save] directory: cannot create "));
}

TEST_CASE("forged values are named, and a width that is not the expected one") {
  const Batch past(6, 14);
  QuestionMemory memory(16);
  memory.commit("run", 0, past.rows);
  const std::string good = saved(memory);
  const auto forged = [&](const std::string& tensor, std::size_t at, const auto value) {
    std::string bytes = good;
    for (const auto& found : text::read_safetensors("op", "f", bytes).tensors)
      if (found.name == tensor)
        std::memcpy(bytes.data() + (found.bytes.data() - bytes.data()) + at * sizeof(value), &value, sizeof(value));
    return thrown([&] { QuestionMemory::from_bytes(bytes); });
  };
  const std::string begin = "[memory::load] file: tensor ";
  CHECK(forged("embeddings", 3 * 16, std::numeric_limits<float>::quiet_NaN()) ==
        begin + "embeddings: row 3 is not finite");
  CHECK(forged("embeddings", 5 * 16, 9.0F).starts_with(begin + "embeddings: row 5: expected length 1"));
  CHECK(forged("prefix", 2, std::int64_t{-1}).starts_with(begin + "prefix: row 2: expected a row of the "));
  CHECK(forged("keys", 4, std::int64_t{1} << 62).starts_with(begin + "keys: row 1: expected a row of the 1 runs"));
  CHECK(forged("runs.ends", 0, std::int64_t{2}) == begin + "runs.ends: expected the last to be 3, got 2");
  CHECK(forged("prefixes.bytes", 0, 'z') == begin + "prefixes.bytes: expected sorted texts");
  CHECK(QuestionMemory::from_bytes(good, memory::Backend::automatic, 16).size() == 6);
  CHECK(thrown([&] { QuestionMemory::from_bytes(good, memory::Backend::automatic, 384); }) ==
        "[memory::load] file: expected embeddings of width 384, got 16");
  for (std::size_t size = 0; size < good.size(); size += 7)
    REQUIRE(!thrown([&] { QuestionMemory::from_bytes(std::string_view(good).substr(0, size)); }).empty());
}

TEST_CASE("wrong columns are named") {
  const Batch batch(3, 13);
  QuestionMemory memory(16);
  auto rows = batch.rows;
  rows.image = column({1, 2});
  CHECK(thrown([&] { memory.novelty(rows); }) ==
        "[memory::novelty] image: expected shape [3], contiguous on the CPU, got [2] on cpu");
  rows.image = rows.image.to(at::kInt);
  CHECK(thrown([&] { memory.novelty(rows); }) == "[memory::novelty] image: expected int64, got Int");
  rows = batch.rows;
  rows.slot = at::Tensor();
  CHECK(thrown([&] { memory.novelty(rows); }).empty());
  CHECK(thrown([&] { memory.novelty(rows, Within::step); }) == "[memory::novelty] slot: expected a tensor, got none");
  CHECK(thrown([&] { memory.commit("run", 0, rows); }) == "[memory::commit] slot: expected a tensor, got none");
  rows = batch.rows;
  rows.texts = rows.texts.first(2);
  CHECK(thrown([&] { memory.commit("run", 0, rows); }) ==
        "[memory::commit] texts: expected 3, one per row of embeddings, got 2");
  CHECK(thrown([&] { memory.commit("", 0, batch.rows); }) ==
        "[memory::commit] run: expected a name, got an empty text");
  CHECK(thrown([] { QuestionMemory(0); }) == "[memory::QuestionMemory] dim: expected 1 to 1048576, got 0");
  CHECK(memory.size() == 0);
}

TEST_CASE("crowding adds up closeness to all questions, whatever their images, as by plain products") {
  constexpr std::int64_t kDim = 24, kStored = 60, kAsked = 9;
  const at::Tensor stored = random_unit_rows(kStored, kDim, 1), asked = random_unit_rows(kAsked, kDim, 2);
  QuestionMemory memory(kDim);
  CHECK(values<double>(memory.crowding(asked, 0.1)) == std::vector<double>(kAsked, 0.0));
  std::vector<std::int64_t> image, sequence;
  for (std::int64_t i = 0; i < kStored; ++i) image.push_back(i % 7 - 3), sequence.push_back(i);
  const std::vector<std::string> texts(kStored, "Why?");
  memory.commit("run", 0, {column(image), stored, texts, column(sequence), column(std::vector<std::int64_t>(kStored))});
  for (const double floor : {0.0, 0.1, 0.5}) {
    const std::vector<double> found = values<double>(memory.crowding(asked, floor));
    for (std::size_t q = 0; q < kAsked; ++q) {
      double sum = 0;
      for (std::size_t i = 0; i < kStored; ++i) sum += std::max(dot(asked, q, stored, i) - floor, 0.0) / (1 - floor);
      CHECK(found[q] == doctest::Approx(sum).epsilon(1e-12));
    }
  }
  // A question that is there counts one, as exactly as its length is one.
  CHECK(values<double>(memory.crowding(stored.slice(0, 0, 1), 0.99))[0] == doctest::Approx(1.0).epsilon(1e-4));
  CHECK(thrown([&] { memory.crowding(asked, 1.0); }) == "[memory::crowding] floor: expected a cosine in [0, 1), got 1");
  CHECK(thrown([&] { memory.crowding(asked, -0.1); }) ==
        "[memory::crowding] floor: expected a cosine in [0, 1), got -0.1");
  CHECK(
      thrown([&] { memory.crowding(random_unit_rows(2, 8, 3), 0.5); }).starts_with("[memory::crowding] embeddings: "));
}
