// Counts of question prefixes over the data set: Count(prefix(q), H) of the paper's lexical term,
//
//   delta_ifreq(q) = 1 / (1 + Count(prefix(q), H))
//
// Counts add up: merging the counts of two disjoint sets of questions, in either order, gives the counts of their
// union. A question without words has the prefix "", which counts like any other. Header-only, no torch. Reading from
// several threads is safe while nobody writes.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

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

  void add(std::string_view question) { add_prefix(text::prefix(question, length_), 1); }
  std::int64_t count(std::string_view question) const { return count_prefix(text::prefix(question, length_)); }

  // The same for a prefix that the caller has cut.
  void add_prefix(const std::string& prefix, std::int64_t times) {
    expect(times >= 1, "memory::PrefixCounts", "times: expected at least 1, got {}", times);
    counts_[prefix] += times;
    total_ += times;
  }
  std::int64_t count_prefix(std::string_view prefix) const {
    const auto found = counts_.find(prefix);
    return found == counts_.end() ? 0 : found->second;
  }

  // Throws InvalidArgument when the lengths differ.
  void merge(const PrefixCounts& other) {
    expect(other.length_ == length_, "memory::PrefixCounts", "other: expected prefixes of length {}, got {}", length_,
           other.length_);
    for (const auto& [prefix, times] : std::map(other.counts_)) add_prefix(prefix, times);
  }

  const std::map<std::string, std::int64_t, std::less<>>& counts() const { return counts_; }
  std::int64_t length() const { return length_; }
  std::int64_t total() const { return total_; }  // questions added

 private:
  std::int64_t length_;
  std::int64_t total_ = 0;
  std::map<std::string, std::int64_t, std::less<>> counts_;
};

}  // namespace vlmprobe::memory
