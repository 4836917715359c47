// What a QuestionMemory holds, for the sources that work on it.
#pragma once

#include <algorithm>
#include <array>
#include <compare>
#include <filesystem>
#include <map>
#include <shared_mutex>
#include <string>
#include <utility>
#include <vector>

#include "nearest.h"
#include "row_store.h"

#include "vlmprobe/memory/question_memory.h"

namespace vlmprobe::memory {

// The keys of one step of one run, sorted: a step's size decides what a look-up costs, not the memory's.
class StepKeys {
 public:
  using Order = std::pair<std::int64_t, std::int64_t>;  // (sequence, slot)

  bool contains(const Order& key) const { return std::binary_search(keys_.begin(), keys_.end(), key); }
  // Sorted, and none of them contained.
  void add(const std::vector<Order>& fresh) {
    const auto middle = static_cast<std::ptrdiff_t>(keys_.size());
    keys_.insert(keys_.end(), fresh.begin(), fresh.end());
    std::inplace_merge(keys_.begin(), keys_.begin() + middle, keys_.end());
  }

 private:
  std::vector<Order> keys_;
};

struct QuestionMemory::State {
  struct Key {
    std::int64_t run, step, sequence, slot;  // run: its place in `runs`
    auto operator<=>(const Key&) const = default;
  };
  struct Entry {
    Key key;
    std::int64_t image, row;  // the row of its embedding among its image's
    std::int64_t prefix;      // its number in `prefixes`
  };

  State(std::int64_t width, std::int64_t prefix_length, Backend chosen);

  const float* embedding(const Entry& entry) const { return rows.rows(entry.image).row(entry.row); }
  // The place of the run, which is made when it is new.
  std::int64_t run(std::string_view name) {
    const auto known = std::find(runs.begin(), runs.end(), name);
    const std::int64_t place = known - runs.begin();
    if (known == runs.end()) runs.emplace_back(name);
    return place;
  }
  // Puts an entry behind the others; its key and prefix are counted by the caller.
  void enter(const Key& key, std::int64_t image, std::int64_t prefix, const float* embedding);
  // Makes `keys` from the entries; the first entry whose key came before, or -1.
  std::int64_t index_keys();
  void write(const std::filesystem::path& target) const;
  static std::unique_ptr<State> merged(const State& mine, const State& theirs);
  void take(State& other) {
    std::swap(prefixes, other.prefixes), std::swap(runs, other.runs), std::swap(entries, other.entries);
    std::swap(keys, other.keys), std::swap(rows, other.rows);
  }

  std::int64_t dim;
  Backend backend;
  PrefixCounts prefixes;
  std::vector<std::string> runs;                                   // in the order in which they came
  std::vector<Entry> entries;                                      // in the order of entering
  std::map<std::pair<std::int64_t, std::int64_t>, StepKeys> keys;  // by (run, step)
  RowStore rows;                                                   // by image
  mutable std::shared_mutex mutex;  // of all above but dim and backend, which never change
};

}  // namespace vlmprobe::memory
