// Rows by group: each distinct label's rows, in index order. On spans, no torch.
//
// Labels may be any numbers in any order. Labels that never decrease (the usual case: the sequences of an image lie
// together) cost one comparison each and no sorting.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

namespace vlmprobe::grpo {

class Groups {
 public:
  // Groups are numbered in order of first appearance.
  explicit Groups(std::span<const std::int64_t> labels) {
    if (std::ranges::is_sorted(labels)) {
      for (std::size_t i = 0; i < labels.size(); ++i)
        if (i == 0 || labels[i] != labels[i - 1]) begin_.push_back(i);
      begin_.push_back(labels.size());
      return;
    }
    std::unordered_map<std::int64_t, std::int64_t> number;
    std::vector<std::int64_t> numbers(labels.size());
    for (std::size_t i = 0; i < labels.size(); ++i)
      numbers[i] = number.try_emplace(labels[i], static_cast<std::int64_t>(number.size())).first->second;
    sort(numbers, number.size());
  }

  // `numbers` are groups already, in [0, count).
  Groups(std::span<const std::int64_t> numbers, std::size_t count) { sort(numbers, count); }

  std::size_t count() const { return begin_.size() - 1; }
  std::size_t size(std::size_t group) const { return begin_[group + 1] - begin_[group]; }

  // Calls visit(row) for the rows of a group, in index order.
  template <class Visit>
  void each(std::size_t group, Visit&& visit) const {
    if (order_.empty()) {
      for (std::size_t i = begin_[group]; i < begin_[group + 1]; ++i) visit(i);
    } else {
      for (std::size_t i = begin_[group]; i < begin_[group + 1]; ++i) visit(order_[i]);
    }
  }

  // The group of each row.
  std::vector<std::int64_t> numbers() const {
    std::vector<std::int64_t> result(begin_.back());
    for (std::size_t g = 0; g < count(); ++g)
      each(g, [&](std::size_t row) { result[row] = static_cast<std::int64_t>(g); });
    return result;
  }

 private:
  void sort(std::span<const std::int64_t> numbers, std::size_t count) {
    begin_.assign(count + 1, 0);
    for (const std::int64_t number : numbers) ++begin_[static_cast<std::size_t>(number) + 1];
    for (std::size_t g = 0; g < count; ++g) begin_[g + 1] += begin_[g];
    std::vector<std::size_t> next(begin_.begin(), begin_.end() - 1);
    order_.resize(numbers.size());
    for (std::size_t i = 0; i < numbers.size(); ++i) order_[next[static_cast<std::size_t>(numbers[i])]++] = i;
  }

  std::vector<std::size_t> begin_;  // [count + 1]
  std::vector<std::size_t> order_;  // empty: the rows as they are
};

}  // namespace vlmprobe::grpo
