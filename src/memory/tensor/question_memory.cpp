#include "vlmprobe/memory/question_memory.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/ones.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <utility>

#include "../parallel.h"
#include "question_state.h"

#include "../../core/tensor/defined.h"

#include "vlmprobe/core/error.h"
#include "vlmprobe/memory/lexical.h"

namespace vlmprobe::memory {
namespace {

using RowList = std::vector<std::size_t>;
using Order = StepKeys::Order;

const std::int64_t* integers(std::string_view op, std::string_view name, const at::Tensor& column, std::int64_t size) {
  expect_defined(op, {{name, column}});
  expect(column.scalar_type() == at::kLong, op, "{}: expected int64, got {}", name,
         c10::toString(column.scalar_type()));
  expect(column.is_cpu() && column.dim() == 1 && column.size(0) == size && column.is_contiguous(), op,
         "{}: expected shape [{}], contiguous on the CPU, got [{}] on {}", name, size, joined(column.sizes(), ", "),
         column.device().str());
  return column.const_data_ptr<std::int64_t>();
}

// The columns of a batch, checked.
struct Batch {
  Batch(std::string_view op, const at::Tensor& images, const at::Tensor& rows, std::int64_t dim)
      : embeddings(unit_rows(op, "embeddings", rows, dim)), image(integers(op, "image", images, embeddings.size(0))) {}
  Batch(std::string_view op, const QuestionRows& rows, std::int64_t dim, bool keyed)
      : Batch(op, rows.image, rows.embeddings, dim) {
    texts = rows.texts;
    const std::int64_t count = embeddings.size(0);
    expect(static_cast<std::int64_t>(texts.size()) == count, op,
           "texts: expected {}, one per row of embeddings, got {}", count, texts.size());
    if (!keyed) return;
    const auto *sequence = integers(op, "sequence", rows.sequence, count),
               *slot = integers(op, "slot", rows.slot, count);
    for (std::int64_t q = 0; q < count; ++q) order.emplace_back(sequence[q], slot[q]);
  }
  std::size_t size() const { return static_cast<std::size_t>(embeddings.size(0)); }
  const float* row(std::size_t q) const {
    return embeddings.const_data_ptr<float>() + static_cast<std::int64_t>(q) * embeddings.size(1);
  }

  at::Tensor embeddings;
  const std::int64_t* image;
  std::span<const std::string> texts;
  std::vector<Order> order;  // empty unless keyed
};

// Rows in the order of their keys; of equal keys the first row comes first.
RowList by_key(const Batch& batch) {
  RowList rows(batch.size());
  std::iota(rows.begin(), rows.end(), std::size_t{0});
  std::stable_sort(rows.begin(), rows.end(), [&](auto a, auto b) { return batch.order[a] < batch.order[b]; });
  return rows;
}

std::vector<std::pair<std::int64_t, RowList>> by_image(const Batch& batch) {
  std::map<std::int64_t, RowList> rows;
  for (std::size_t q = 0; q < batch.size(); ++q) rows[batch.image[q]].push_back(q);
  return {rows.begin(), rows.end()};
}

double clamped(double novelty) {
  return std::clamp(novelty, 0.0, 1.0);
}

// The k nearest of the rows, all on one image, in the places of the rows.
void search_image(const Batch& batch, const RowList& rows, Matrix bank, std::int64_t k, Backend backend, double* score,
                  std::int64_t* id) {
  std::vector<const float*> queries;
  for (const std::size_t q : rows) queries.push_back(batch.row(q));
  std::vector<double> scores(rows.size() * static_cast<std::size_t>(k));
  std::vector<std::int64_t> ids(scores.size());
  memory::nearest(queries, bank, k, backend, scores.data(), ids.data());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto from = static_cast<std::int64_t>(i) * k, to = static_cast<std::int64_t>(rows[i]) * k;
    std::copy_n(scores.begin() + from, k, score + to);
    std::copy_n(ids.begin() + from, k, id + to);
  }
}

// Calls search(rows of the batch, their bank) for each image that has one, on several threads where that pays.
template <class Search>
void each_image(const Batch& batch, const RowStore& store, Search search) {
  auto groups = by_image(batch);
  std::erase_if(groups, [&](const auto& group) { return store.rows(group.first).rows == 0; });
  double work = 0;
  for (const auto& [image, rows] : groups)
    work += static_cast<double>(rows.size()) * static_cast<double>(store.rows(image).rows * batch.embeddings.size(1));
  for_each_index(groups.size(), threads_for(work, static_cast<std::int64_t>(groups.size())),
                 [&](std::size_t g) { search(groups[g].second, store.rows(groups[g].first)); });
}

// Lowers the novelties by the earlier questions of the batch itself; `rows` is the batch in the order of its keys.
void add_earlier(const Batch& batch, const RowList& rows, Within within, const PrefixCounts& prefixes, std::int64_t dim,
                 double* semantic, double* lexical) {
  std::map<std::string, std::int64_t> counts;
  std::map<std::int64_t, RowList> earlier;  // by image
  for (std::size_t i = 0; i < rows.size();) {
    const Order key = batch.order[rows[i]];
    if (within == Within::sequence && i > 0 && batch.order[rows[i - 1]].first != key.first)
      counts.clear(), earlier.clear();
    const std::size_t first = i;
    for (; i < rows.size() && batch.order[rows[i]] == key; ++i) {
      const std::size_t q = rows[i];
      const std::string prefix = text::prefix(batch.texts[q], prefixes.length());
      lexical[q] = lexical_novelty(prefixes.count_prefix(prefix) + counts[prefix]);
      for (const std::size_t other : earlier[batch.image[q]])
        semantic[q] = std::min(semantic[q], clamped(1.0 - inner_product(batch.row(q), batch.row(other), dim)));
    }
    ++counts[text::prefix(batch.texts[rows[first]], prefixes.length())];
    earlier[batch.image[rows[first]]].push_back(rows[first]);
  }
}

}  // namespace

QuestionMemory::State::State(std::int64_t width, std::int64_t prefix_length, Backend chosen)
    : dim(width), backend(chosen), prefixes(prefix_length), rows(width) {}

void QuestionMemory::State::enter(const Key& key, std::int64_t image, std::int64_t prefix, const float* embedding) {
  entries.push_back({key, image, rows.rows(image).rows, prefix});
  rows.append(image, embedding);
}

std::int64_t QuestionMemory::State::index_keys() {
  std::vector<std::int64_t> order(entries.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(),
            [&](auto a, auto b) { return std::pair(entries[a].key, a) < std::pair(entries[b].key, b); });
  auto twice = static_cast<std::int64_t>(entries.size());
  keys.clear();
  for (std::size_t first = 0, last = 0; first < order.size(); first = last) {
    const Key& head = entries[order[first]].key;
    std::vector<Order> step;
    for (; last < order.size(); ++last) {
      const Key& key = entries[order[last]].key;
      if (key.run != head.run || key.step != head.step) break;
      if (last > first && key == entries[order[last - 1]].key) twice = std::min(twice, order[last]);
      step.emplace_back(key.sequence, key.slot);
    }
    keys[{head.run, head.step}].add(step);
  }
  return twice == static_cast<std::int64_t>(entries.size()) ? -1 : twice;
}

QuestionMemory::QuestionMemory(std::int64_t dim, std::int64_t prefix_length, Backend backend) {
  constexpr auto kOp = "memory::QuestionMemory";
  expect(dim >= 1 && dim <= kMaxDim, kOp, "dim: expected 1 to {}, got {}", kMaxDim, dim);
  state_ = std::make_unique<State>(dim, prefix_length, resolve(kOp, backend));
}

QuestionMemory::QuestionMemory(QuestionMemory&&) noexcept = default;
QuestionMemory& QuestionMemory::operator=(QuestionMemory&&) noexcept = default;
QuestionMemory::~QuestionMemory() = default;

Novelty QuestionMemory::novelty(const QuestionRows& rows, Within within) const {
  const Batch batch("memory::novelty", rows, state_->dim, within != Within::none);

  const auto count = static_cast<std::int64_t>(batch.size());
  Novelty out{at::ones({count}, at::kDouble), at::empty({count}, at::kDouble)};
  auto *semantic = out.semantic.mutable_data_ptr<double>(), *lexical = out.lexical.mutable_data_ptr<double>();
  std::vector<std::int64_t> id(batch.size());
  const std::shared_lock lock(state_->mutex);
  each_image(batch, state_->rows, [&](const RowList& members, Matrix bank) {
    search_image(batch, members, bank, 1, state_->backend, semantic, id.data());
    for (const std::size_t q : members) semantic[q] = clamped(1.0 - semantic[q]);
  });
  const std::vector<double> found = lexical_novelty<std::string>(state_->prefixes, batch.texts);
  std::copy(found.begin(), found.end(), lexical);
  if (within != Within::none)
    add_earlier(batch, by_key(batch), within, state_->prefixes, state_->dim, semantic, lexical);
  return out;
}

Neighbours QuestionMemory::nearest(const at::Tensor& image, const at::Tensor& embeddings, std::int64_t k) const {
  constexpr auto kOp = "memory::nearest";
  expect(k >= 1, kOp, "k: expected at least 1, got {}", k);
  const Batch batch(kOp, image, embeddings, state_->dim);

  const auto count = static_cast<std::int64_t>(batch.size());
  const std::shared_lock lock(state_->mutex);
  for (std::int64_t q = 0; q < count; ++q) {
    const std::int64_t stored = state_->rows.rows(batch.image[q]).rows;
    expect(stored > 0, kOp, "image: row {}: expected an image with questions, got {}", q, batch.image[q]);
    check_k(kOp, k, stored);
  }
  Neighbours found{at::empty({count, k}, at::kDouble), at::empty({count, k}, at::kLong)};
  auto* score = found.score.mutable_data_ptr<double>();
  auto* id = found.id.mutable_data_ptr<std::int64_t>();
  each_image(batch, state_->rows, [&](const RowList& members, Matrix bank) {
    search_image(batch, members, bank, k, state_->backend, score, id);
  });
  return found;
}

std::int64_t QuestionMemory::commit(std::string_view run, std::int64_t step, const QuestionRows& rows) {
  expect(!run.empty(), "memory::commit", "run: expected a name, got an empty text");
  const Batch batch("memory::commit", rows, state_->dim, true);
  const RowList ordered = by_key(batch);
  if (ordered.empty()) return 0;

  const std::unique_lock lock(state_->mutex);
  const std::int64_t run_id = state_->run(run);
  StepKeys& keys = state_->keys[{run_id, step}];
  const auto fresh = [&](std::size_t q, std::size_t before) {
    return (before == ordered.size() || batch.order[q] != batch.order[before]) && !keys.contains(batch.order[q]);
  };
  std::vector<Order> entered;
  std::size_t before = ordered.size();
  for (const std::size_t q : ordered) {
    if (fresh(q, before)) {
      const std::int64_t prefix = state_->prefixes.add(batch.texts[q]);
      state_->enter({run_id, step, batch.order[q].first, batch.order[q].second}, batch.image[q], prefix, batch.row(q));
      entered.push_back(batch.order[q]);
    }
    before = q;
  }
  keys.add(entered);
  return static_cast<std::int64_t>(entered.size());
}

std::int64_t QuestionMemory::size() const {
  const std::shared_lock lock(state_->mutex);
  return static_cast<std::int64_t>(state_->entries.size());
}

std::int64_t QuestionMemory::count(std::int64_t image) const {
  const std::shared_lock lock(state_->mutex);
  return state_->rows.rows(image).rows;
}

std::int64_t QuestionMemory::images() const {
  const std::shared_lock lock(state_->mutex);
  return state_->rows.labels();
}

std::int64_t QuestionMemory::dim() const {
  return state_->dim;
}

Backend QuestionMemory::backend() const {
  return state_->backend;
}

PrefixCounts QuestionMemory::prefixes() const {
  const std::shared_lock lock(state_->mutex);
  return state_->prefixes;
}

std::int64_t QuestionMemory::bytes() const {
  const std::shared_lock lock(state_->mutex);
  const std::int64_t row = state_->dim * static_cast<std::int64_t>(sizeof(float)) +
                           static_cast<std::int64_t>(sizeof(State::Entry) + sizeof(Order));
  std::int64_t total = static_cast<std::int64_t>(state_->entries.size()) * row;
  for (const std::string& prefix : state_->prefixes.prefixes())
    total += static_cast<std::int64_t>(prefix.size() + sizeof(std::int64_t));
  return total;
}

}  // namespace vlmprobe::memory
