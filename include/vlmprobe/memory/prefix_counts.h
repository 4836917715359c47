// Counts of question prefixes over the data set: Count(prefix(q), H) of the paper's lexical term,
//
//   delta_ifreq(q) = 1 / (1 + Count(prefix(q), H))
//
// Counts add up: merging the counts of two disjoint sets of questions, in either order, gives the counts of their
// union. A question without words has the prefix "", which counts like any other. Adding and looking up take constant
// time; `counts` sorts. Header-only, no torch. Reading from several threads is safe while nobody writes.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "vlmprobe/core/error.h"
#include "vlmprobe/core/text_column.h"
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
  std::int64_t add_prefix(std::string_view prefix, std::int64_t times) {
    return add_prefix(prefix, text::prefix_hash(prefix), times);
  }
  // `hash` is text::prefix_hash(prefix), here and below.
  std::int64_t add_prefix(std::string_view prefix, std::uint64_t hash, std::int64_t times) {
    expect(times >= 1, "memory::PrefixCounts", "times: expected at least 1, got {}", times);
    if (2 * (prefixes_.size() + 1) > places_.size()) grow();
    Place& place = places_[find(prefix, hash)];
    if (place.number < 0) {
      place = {hash, static_cast<std::int64_t>(times_.size())};
      prefixes_.push_back(prefix);
      times_.push_back(0);
    }
    times_[static_cast<std::size_t>(place.number)] += times;
    total_ += times;
    return place.number;
  }

  // How often it was added; 0 if never.
  std::int64_t count(std::string_view question) const { return count_prefix(text::prefix(question, length_)); }
  std::int64_t count_prefix(std::string_view prefix) const { return count_prefix(prefix, text::prefix_hash(prefix)); }
  std::int64_t count_prefix(std::string_view prefix, std::uint64_t hash) const {
    if (places_.empty()) return 0;
    const std::int64_t number = places_[find(prefix, hash)].number;
    return number < 0 ? 0 : times_[static_cast<std::size_t>(number)];
  }

  // Throws InvalidArgument when the lengths differ.
  void merge(const PrefixCounts& other) {
    expect(other.length_ == length_, "memory::PrefixCounts", "other: expected prefixes of length {}, got {}", length_,
           other.length_);
    for (const auto& [prefix, times] : other.counts()) add_prefix(prefix, times);
  }

  std::map<std::string, std::int64_t> counts() const {
    std::map<std::string, std::int64_t> sorted;
    for (std::size_t number = 0; number < times_.size(); ++number) sorted.emplace(prefixes_[number], times_[number]);
    return sorted;
  }
  std::vector<std::string> prefixes() const { return prefixes_.strings(); }  // by number
  std::int64_t length() const { return length_; }
  std::int64_t total() const { return total_; }  // questions added

 private:
  // Where a prefix is entered; number -1: free.
  struct Place {
    std::uint64_t hash = 0;
    std::int64_t number = -1;
  };

  // The prefix's place, or the free one where it would be entered: the first fitting one from its hash on.
  std::size_t find(std::string_view prefix, std::uint64_t hash) const {
    const std::size_t mask = places_.size() - 1;
    for (std::size_t at = hash & mask;; at = (at + 1) & mask) {
      const Place& place = places_[at];
      if (place.number < 0) return at;
      if (place.hash == hash && prefixes_[static_cast<std::size_t>(place.number)] == prefix) return at;
    }
  }
  void grow() {
    const std::vector<Place> old =
        std::exchange(places_, std::vector<Place>(std::max<std::size_t>(16, 2 * places_.size())));
    const std::size_t mask = places_.size() - 1;
    for (const Place& place : old) {
      if (place.number < 0) continue;
      std::size_t at = place.hash & mask;
      while (places_[at].number >= 0) at = (at + 1) & mask;
      places_[at] = place;
    }
  }

  std::int64_t length_;
  std::int64_t total_ = 0;
  std::vector<Place> places_;        // a power of two of them, at most half in use
  TextColumn prefixes_;              // by number
  std::vector<std::int64_t> times_;  // by number
};

}  // namespace vlmprobe::memory
