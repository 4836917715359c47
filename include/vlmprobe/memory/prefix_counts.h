// Counts of question prefixes over the data set: Count(prefix(q), H) of the paper's lexical term,
//
//   delta_ifreq(q) = 1 / (1 + Count(prefix(q), H))
//
// Counts add up: merging the counts of two disjoint sets of questions, in either order, gives the counts of their
// union. A question without words has the prefix "", which counts like any other. Adding and looking up take constant
// time; `counts` sorts. Header-only, no torch. Reading from several threads is safe while nobody writes.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "vlmprobe/core/error.h"
#include "vlmprobe/text/prefix.h"

namespace vlmprobe::memory {

inline double lexical_novelty(std::int64_t count) {
  return 1.0 / (1.0 + static_cast<double>(count));
}

class PrefixCounts {
 public:
  // Throws InvalidArgument for length < 1.
  explicit PrefixCounts(std::int64_t length = text::kPrefixLength) : length_(length) {
    expect(length >= 1, "memory::PrefixCounts", "length: expected at least 1, got {}", length);
  }

  // Both return the prefix's number, 0, 1, ... in the order in which prefixes came.
  std::int64_t add(std::string_view question) { return add_prefix(text::prefix(question, length_), 1); }
  std::int64_t add_prefix(const std::string& prefix, std::int64_t times) {
    expect(times >= 1, "memory::PrefixCounts", "times: expected at least 1, got {}", times);
    const auto number = static_cast<std::int64_t>(times_.size());
    const auto [entry, fresh] = numbers_.try_emplace(prefix, number);
    if (fresh) times_.push_back(0);
    times_[static_cast<std::size_t>(entry->second)] += times;
    total_ += times;
    return entry->second;
  }

  // How often it was added; 0 if never.
  std::int64_t count(std::string_view question) const { return count_prefix(text::prefix(question, length_)); }
  std::int64_t count_prefix(std::string_view prefix) const {
    const auto found = numbers_.find(prefix);
    return found == numbers_.end() ? 0 : times_[static_cast<std::size_t>(found->second)];
  }

  // Throws InvalidArgument when the lengths differ.
  void merge(const PrefixCounts& other) {
    expect(other.length_ == length_, "memory::PrefixCounts", "other: expected prefixes of length {}, got {}", length_,
           other.length_);
    for (const auto& [prefix, times] : other.counts()) add_prefix(prefix, times);
  }

  std::map<std::string, std::int64_t> counts() const {
    std::map<std::string, std::int64_t> sorted;
    for (const auto& [prefix, number] : numbers_) sorted.emplace(prefix, times_[static_cast<std::size_t>(number)]);
    return sorted;
  }
  // By number.
  std::vector<std::string> prefixes() const {
    std::vector<std::string> out(times_.size());
    for (const auto& [prefix, number] : numbers_) out[static_cast<std::size_t>(number)] = prefix;
    return out;
  }
  std::int64_t length() const { return length_; }
  std::int64_t total() const { return total_; }  // questions added

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };

  std::int64_t length_;
  std::int64_t total_ = 0;
  std::unordered_map<std::string, std::int64_t, Hash, std::equal_to<>> numbers_;
  std::vector<std::int64_t> times_;  // by number
};

}  // namespace vlmprobe::memory
