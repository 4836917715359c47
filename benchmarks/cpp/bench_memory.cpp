// The question memory at work: neighbours over images, a step's score and commit beside many stored questions, the
// file. Arguments are in the names. Compare commit_score/images:10 with images:1000: a step touches 10 images in both.
#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <benchmark/benchmark.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "vlmprobe/core/random.h"
#include "vlmprobe/memory/approximate_bank.h"
#include "vlmprobe/memory/question_memory.h"

namespace {

using namespace vlmprobe;

constexpr std::int64_t kDim = 384;

// Unit rows around `centres` directions; noise as long as its centre where there are any.
at::Tensor unit_rows(std::int64_t rows, std::uint64_t seed, std::int64_t centres = 0) {
  at::Tensor out = at::empty({rows, kDim}, at::kFloat);
  float* data = out.mutable_data_ptr<float>();
  std::uint64_t state = seed * 0x9E3779B97F4A7C15 + 1;
  const auto draw = [](std::uint64_t& at) {
    at ^= at << 13, at ^= at >> 7, at ^= at << 17;
    return static_cast<double>(at >> 11) * 0x1p-53 - 0.5;
  };
  for (std::int64_t i = 0; i < rows; ++i) {
    float* row = data + i * kDim;
    std::uint64_t centre = centres ? static_cast<std::uint64_t>(i * 7919 % centres) * 0x2545F4914F6CDD1D + 7 : 0;
    double square = 0;
    for (std::int64_t d = 0; d < kDim; ++d) {
      const double value = draw(state) + (centres ? draw(centre) : 0);
      row[d] = static_cast<float>(value), square += value * value;
    }
    for (std::int64_t d = 0; d < kDim; ++d)
      row[d] = static_cast<float>(static_cast<double>(row[d]) / std::sqrt(square));
  }
  return out;
}

// `count` questions, `each` per image from image `first` on.
struct Step {
  Step(std::int64_t count, std::int64_t each, std::int64_t first, std::uint64_t seed) {
    image = at::empty({count}, at::kLong), sequence = at::empty({count}, at::kLong),
    slot = at::empty({count}, at::kLong);
    for (std::int64_t q = 0; q < count; ++q) {
      image.mutable_data_ptr<std::int64_t>()[q] = first + q / each;
      sequence.mutable_data_ptr<std::int64_t>()[q] = q / 8, slot.mutable_data_ptr<std::int64_t>()[q] = q % 8;
      texts.push_back("word" + std::to_string((q * 7919 + static_cast<std::int64_t>(seed)) % 5000) + " thing is this?");
    }
    rows = {image, unit_rows(count, seed), texts, sequence, slot};
  }
  at::Tensor image, sequence, slot;
  std::vector<std::string> texts;
  memory::QuestionRows rows;
};

// 1000 questions on each image; ten images a commit.
void fill(memory::QuestionMemory& memory, std::int64_t images) {
  const Step step(10000, 1000, 0, 1);
  for (std::int64_t first = 0; first < images; first += 10) {
    std::int64_t* image = step.image.mutable_data_ptr<std::int64_t>();
    for (std::int64_t q = 0; q < 10000; ++q) image[q] = first + q / 1000;
    memory.commit("past", first, step.rows);
  }
}

// What a benchmark reads and never changes is made once for all of its repetitions.
template <class Made, class Make>
const Made& kept(const std::vector<std::int64_t>& key, const Make& make) {
  static std::map<std::vector<std::int64_t>, Made> made;
  const auto found = made.find(key);
  return found != made.end() ? found->second : made.emplace(key, make()).first->second;
}

const memory::QuestionMemory& filled(std::int64_t images, memory::Backend backend = memory::Backend::automatic) {
  return kept<memory::QuestionMemory>({images, static_cast<std::int64_t>(backend)}, [&] {
    memory::QuestionMemory memory(kDim, 2, backend);
    fill(memory, images);
    return memory;
  });
}

// The rows of a bank, and 1024 more like them.
const at::Tensor& clustered(std::int64_t rows) {
  return kept<at::Tensor>({rows}, [&] { return unit_rows(rows + 1024, 4, rows / 100); });
}

void neighbours(benchmark::State& state) {
  at::set_num_threads(static_cast<int>(state.range(1)));
  const memory::QuestionMemory& memory = filled(260, static_cast<memory::Backend>(state.range(0)));
  const Step step(4096, 16, 0, 2);
  for (auto _ : state) benchmark::DoNotOptimize(memory.novelty(step.rows));
}

void commit_score(benchmark::State& state) {
  at::set_num_threads(1);
  memory::QuestionMemory memory(kDim);
  fill(memory, state.range(0));
  const Step step(160, 16, 0, 3);
  std::int64_t number = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(memory.novelty(step.rows));
    benchmark::DoNotOptimize(memory.commit("now", number++, step.rows));
  }
}

void save_load(benchmark::State& state) {
  const memory::QuestionMemory& memory = filled(state.range(0));
  const auto folder = std::filesystem::temp_directory_path() / ("bench-memory-" + std::to_string(::getpid()));
  for (auto _ : state) {
    memory.save(folder.string());
    benchmark::DoNotOptimize(memory::QuestionMemory::load(folder.string()).size());
  }
  std::filesystem::remove_all(folder);
}

void approximate(benchmark::State& state) {
  at::set_num_threads(1);
  const std::int64_t k = state.range(2);
  const at::Tensor& all = clustered(state.range(0));
  const at::Tensor rows = all.slice(0, 0, state.range(0)), queries = all.slice(0, state.range(0));
  const auto& bank = kept<memory::ApproximateBank>({state.range(0), state.range(1)},
                                                   [&] { return memory::ApproximateBank(rows, {0, state.range(1)}); });
  for (auto _ : state) benchmark::DoNotOptimize(bank.nearest(queries, k));
  state.counters["recall"] = kept<double>({state.range(0), state.range(1), k}, [&] { return bank.recall(queries, k); });
}

void exact(benchmark::State& state) {
  at::set_num_threads(1);
  const at::Tensor& all = clustered(state.range(0));
  const auto& bank = kept<memory::EmbeddingBank>({state.range(0)}, [&] {
    memory::EmbeddingBank made(kDim);
    made.add(all.slice(0, 0, state.range(0)));
    return made;
  });
  for (auto _ : state) benchmark::DoNotOptimize(bank.nearest(all.slice(0, state.range(0)), state.range(1)));
}

BENCHMARK(neighbours)
    ->ArgNames({"backend", "threads"})
    ->ArgsProduct({{1, 2, 3}, {1, 2}})
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();
BENCHMARK(commit_score)->ArgName("images")->Arg(10)->Arg(100)->Arg(1000)->Unit(benchmark::kMillisecond)->Iterations(20);
BENCHMARK(save_load)->ArgName("images")->Arg(10)->Arg(100)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(approximate)
    ->ArgNames({"rows", "probes", "k"})
    ->ArgsProduct({{100000}, {4, 16, 64}, {1, 10}})
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();
BENCHMARK(exact)->ArgNames({"rows", "k"})->Args({100000, 10})->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace
