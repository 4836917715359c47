// Rows by group: each distinct label's rows, in index order. On spans, no torch. Labels may be any numbers in any
// order. Throws InvalidArgument for numbers that are no group's, and for values that are not one per row.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "vlmprobe/core/error.h"

namespace vlmprobe::grpo {

class Groups {
 public:
  // Groups are numbered in order of first appearance.
  explicit Groups(std::span<const std::int64_t> labels) {
    std::unordered_map<std::int64_t, std::int64_t> number;
    std::vector<std::int64_t> numbers(labels.size());
    for (std::size_t i = 0; i < labels.size(); ++i)
      numbers[i] = number.try_emplace(labels[i], static_cast<std::int64_t>(number.size())).first->second;
    sort(numbers, number.size());
  }

  // `numbers` are groups already, in [0, count).
  Groups(std::span<const std::int64_t> numbers, std::size_t count) {
    for (const std::int64_t number : numbers)
      expect(number >= 0 && static_cast<std::size_t>(number) < count, "grpo::Groups",
             "numbers: expected groups in [0, {}), got {}", count, number);
    sort(numbers, count);
  }

  std::size_t count() const { return begin_.size() - 1; }

  // The entries of a group's rows, in index order; they are in `buffer`, which the next call overwrites.
  template <class T>
  std::span<const T> gather(std::span<const T> values, std::size_t group, std::vector<T>& buffer) const {
    expect(values.size() == order_.size(), "grpo::Groups", "values: expected {}, one per row, got {}", order_.size(),
           values.size());
    buffer.clear();
    each(group, [&](std::size_t row) { buffer.push_back(values[row]); });
    return buffer;
  }

  // Calls visit(row) for the rows of a group, in index order.
  template <class Visit>
  void each(std::size_t group, Visit&& visit) const {
    expect(group < count(), "grpo::Groups", "group: expected one in [0, {}), got {}", count(), group);
    for (std::size_t i = begin_[group]; i < begin_[group + 1]; ++i) visit(order_[i]);
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
  std::vector<std::size_t> order_;  // rows, sorted by group
};

}  // namespace vlmprobe::grpo
