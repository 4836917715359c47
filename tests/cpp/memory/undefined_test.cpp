#include "undefined.h"

#include <ATen/ops/eye.h>
#include <ATen/ops/zeros.h>

#include "vlmprobe/memory/approximate_bank.h"
#include "vlmprobe/memory/embedding_bank.h"
#include "vlmprobe/memory/question_memory.h"

using namespace vlmprobe::memory;

namespace {

at::Tensor rows() {
  return at::eye(4, at::kFloat);
}
at::Tensor integers() {
  return at::zeros({4}, at::kLong);
}

}  // namespace

TEST_CASE("banks name a tensor that is not there") {
  EmbeddingBank bank(4);
  each_undefined("memory::EmbeddingBank::add", {{"rows", rows()}}, [&](const Arguments& a) { bank.add(a[0].value); });
  each_undefined("memory::EmbeddingBank::nearest", {{"queries", rows()}},
                 [&](const Arguments& a) { bank.nearest(a[0].value, 1); });
  each_undefined("memory::ApproximateBank", {{"rows", rows()}},
                 [](const Arguments& a) { ApproximateBank(a[0].value, {.lists = 1}); });
}

TEST_CASE("a memory of questions names a tensor that is not there") {
  QuestionMemory memory(4);
  const std::vector<std::string> texts = {"a", "b", "c", "d"};
  const auto rows_of = [&](const Arguments& a) {
    return QuestionRows{a[2].value, a[3].value, texts, a[0].value, a[1].value};
  };
  const Arguments columns = {
      {"sequence", integers()}, {"slot", integers()}, {"image", integers()}, {"embeddings", rows()}};
  each_undefined("memory::novelty", columns, [&](const Arguments& a) { memory.novelty(rows_of(a), Within::step); });
  each_undefined("memory::commit", columns, [&](const Arguments& a) { memory.commit("r", 0, rows_of(a)); });
  each_undefined("memory::nearest", {{"image", integers()}, {"embeddings", rows()}},
                 [&](const Arguments& a) { memory.nearest(a[0].value, a[1].value, 1); });
}
