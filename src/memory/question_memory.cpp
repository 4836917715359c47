#include "vlmprobe/memory/question_memory.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <map>
#include <numeric>
#include <thread>
#include <utility>

#include "nearest.h"

#include "vlmprobe/core/error.h"

namespace vlmprobe::memory {
namespace {

constexpr double kThreadedWork = 5e7;  // products; below it threads cost more than they save

using RowList = std::vector<std::size_t>;
using Order = std::pair<std::int64_t, std::int64_t>;  // (sequence, slot)

const std::int64_t* integers(std::string_view op, std::string_view name, const at::Tensor& column, std::int64_t size) {
  expect(column.defined() && column.scalar_type() == at::kLong, op, "{}: expected int64, got {}", name,
         column.defined() ? c10::toString(column.scalar_type()) : "nothing");
  expect(column.is_cpu() && column.dim() == 1 && column.size(0) == size && column.is_contiguous(), op,
         "{}: expected shape [{}], contiguous on the CPU, got [{}] on {}", name, size, fmt::join(column.sizes(), ", "),
         column.device().str());
  return column.const_data_ptr<std::int64_t>();
}

// The columns of a batch, checked.
struct Batch {
  Batch(std::string_view op, const QuestionRows& rows, std::int64_t dim, bool keyed)
      : embeddings(unit_rows(op, "embeddings", rows.embeddings, dim)), texts(rows.texts) {
    const std::int64_t count = embeddings.size(0);
    image = integers(op, "image", rows.image, count);
    expect(static_cast<std::int64_t>(texts.size()) == count, op,
           "texts: expected {}, one per row of embeddings, got {}", count, texts.size());
    if (!keyed) return;
    const auto *sequence = integers(op, "sequence", rows.sequence, count),
               *slot = integers(op, "slot", rows.slot, count);
    for (std::int64_t q = 0; q < count; ++q) order.emplace_back(sequence[q], slot[q]);
  }
  std::size_t size() const { return texts.size(); }
  const float* row(std::size_t q) const {
    return embeddings.const_data_ptr<float>() + static_cast<std::int64_t>(q) * embeddings.size(1);
  }

  at::Tensor embeddings;
  std::span<const std::string> texts;
  const std::int64_t* image = nullptr;
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

// call(i) for i in [0, count), on `threads` threads. The first exception is thrown again here.
template <class Call>
void for_each_index(std::size_t count, int threads, Call call) {
  std::atomic<std::size_t> next = 0;
  std::vector<std::exception_ptr> failures(static_cast<std::size_t>(std::max(threads, 1)));
  const auto work = [&](std::size_t worker) {
    try {
      for (std::size_t i = next++; i < count; i = next++) call(i);
    } catch (...) {
      failures[worker] = std::current_exception();
    }
  };
  {
    std::vector<std::jthread> helpers;
    for (std::size_t worker = 1; worker < failures.size(); ++worker) helpers.emplace_back(work, worker);
    work(0);
  }
  for (const auto& failure : failures)
    if (failure) std::rethrow_exception(failure);
}

double clamped(double novelty) {
  return std::clamp(novelty, 0.0, 1.0);
}

// Best score of each of the rows, all on one image, against that image's bank.
void score_image(const Batch& batch, const RowList& rows, Matrix bank, Backend backend, double* semantic) {
  std::vector<float> queries;
  for (const std::size_t q : rows) queries.insert(queries.end(), batch.row(q), batch.row(q) + bank.dim);
  std::vector<double> score(rows.size());
  std::vector<std::int64_t> id(rows.size());
  nearest({queries.data(), static_cast<std::int64_t>(rows.size()), bank.dim}, bank, 1, backend, score.data(),
          id.data());
  for (std::size_t i = 0; i < rows.size(); ++i) semantic[rows[i]] = clamped(1.0 - score[i]);
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

QuestionMemory::QuestionMemory(std::int64_t dim, std::int64_t prefix_length, Backend backend)
    : dim_(dim), backend_(resolve("memory::QuestionMemory", backend)), prefixes_(prefix_length) {
  expect(dim >= 1 && dim <= kMaxDim, "memory::QuestionMemory", "dim: expected 1 to {}, got {}", kMaxDim, dim);
}

Novelty QuestionMemory::novelty(const QuestionRows& rows, Within within) const {
  const Batch batch("memory::novelty", rows, dim_, within != Within::none);

  const auto count = static_cast<std::int64_t>(batch.size());
  Novelty out{at::empty({count}, at::kDouble), at::empty({count}, at::kDouble)};
  auto *semantic = out.semantic.mutable_data_ptr<double>(), *lexical = out.lexical.mutable_data_ptr<double>();
  const auto groups = by_image(batch);
  std::vector<Matrix> banks;
  double work = 0;
  for (const auto& [image, members] : groups) {
    const auto found = banks_.find(image);
    banks.push_back({found == banks_.end() ? nullptr : found->second.data(), this->count(image), dim_});
    work += static_cast<double>(members.size()) * static_cast<double>(banks.back().rows * dim_);
  }
  const int threads = work < kThreadedWork ? 1 : std::min(at::get_num_threads(), static_cast<int>(groups.size()));
  for_each_index(groups.size(), threads,
                 [&](std::size_t g) { score_image(batch, groups[g].second, banks[g], backend_, semantic); });
  for (std::size_t q = 0; q < batch.size(); ++q) lexical[q] = lexical_novelty(prefixes_.count(batch.texts[q]));
  if (within != Within::none) add_earlier(batch, by_key(batch), within, prefixes_, dim_, semantic, lexical);
  return out;
}

std::int64_t QuestionMemory::commit(std::string_view run, std::int64_t step, const QuestionRows& rows) {
  expect(!run.empty(), "memory::commit", "run: expected a name, got an empty text");
  const Batch batch("memory::commit", rows, dim_, true);

  const std::int64_t before = size();
  const auto known = std::find(runs_.begin(), runs_.end(), run);
  const std::int64_t run_id = known - runs_.begin();
  if (known == runs_.end() && batch.size() > 0) runs_.emplace_back(run);
  for (const std::size_t q : by_key(batch)) {
    const Key key = {run_id, step, batch.order[q].first, batch.order[q].second};
    if (keys_.contains(key)) continue;
    prefixes_.add(batch.texts[q]);
    enter(key, batch.image[q], batch.row(q));
  }
  return size() - before;
}

void QuestionMemory::enter(const Key& key, std::int64_t image, const float* embedding) {
  keys_.insert(key);
  entries_.push_back({key, image, count(image)});
  auto& bank = banks_[image];
  bank.insert(bank.end(), embedding, embedding + dim_);
}

std::int64_t QuestionMemory::count(std::int64_t image) const {
  const auto found = banks_.find(image);
  return found == banks_.end() ? 0 : static_cast<std::int64_t>(found->second.size()) / dim_;
}

std::int64_t QuestionMemory::bytes() const {
  std::int64_t total = size() * (dim_ * static_cast<std::int64_t>(sizeof(float)) +
                                 static_cast<std::int64_t>(sizeof(Entry) + sizeof(Key)));
  for (const auto& [prefix, times] : prefixes_.counts())
    total += static_cast<std::int64_t>(prefix.size() + sizeof(times));
  return total;
}

}  // namespace vlmprobe::memory
