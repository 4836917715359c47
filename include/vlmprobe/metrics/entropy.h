// Diversity of labels (prefixes, families, programs): entropy, effective number, duplicates. Header-only, no torch.
//
//   entropy            H = -sum_v f_v log f_v, in nats, f_v = share of the labels that equal v
//   normalized_entropy H / log(n), in [0, 1]; 1 when all n labels differ
//   effective_number   exp(H): as many equally frequent kinds would have this entropy; in [1, n]
//   duplicates         share of the labels that occurred earlier: 1 - distinct / n
//
//   labels  [n]  any ordered type: std::int64_t, std::string, std::string_view
//
// All depend on the labels' counts only, bit for bit: order does not matter. n = 0: NaN. n = 1: H = 0, effective number
// 1, duplicates 0, and the normalised entropy is NaN (0/0). H grows with n: compare at equal n. Source: paper, "LD",
// the entropy of the first two words; which unit it prints is not said (docs/departures.md).
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <span>
#include <vector>

namespace vlmprobe::metrics {

// How often each distinct label occurs, largest count first.
template <class Label>
std::vector<std::int64_t> label_counts(std::span<const Label> labels) {
  std::vector<Label> sorted(labels.begin(), labels.end());
  std::ranges::sort(sorted);
  std::vector<std::int64_t> counts;
  for (auto first = sorted.begin(); first != sorted.end();) {
    const auto last = std::upper_bound(first, sorted.end(), *first);
    counts.push_back(last - first);
    first = last;
  }
  std::ranges::sort(counts, std::greater{});
  return counts;
}

// H = log n - (1/n) sum_v c_v log c_v: exactly log n when all labels differ, exactly 0 when all are equal.
template <class Label>
double entropy(std::span<const Label> labels) {
  if (labels.empty()) return std::numeric_limits<double>::quiet_NaN();
  const std::vector<std::int64_t> counts = label_counts(labels);
  if (counts.size() == 1) return 0;
  double sum = 0;
  for (const std::int64_t count : counts) sum += static_cast<double>(count) * std::log(static_cast<double>(count));
  const auto n = static_cast<double>(labels.size());
  return std::log(n) - sum / n;
}

template <class Label>
double normalized_entropy(std::span<const Label> labels) {
  if (labels.size() < 2) return std::numeric_limits<double>::quiet_NaN();
  return entropy(labels) / std::log(static_cast<double>(labels.size()));
}

template <class Label>
double effective_number(std::span<const Label> labels) {
  return std::exp(entropy(labels));
}

template <class Label>
double duplicates(std::span<const Label> labels) {
  if (labels.empty()) return std::numeric_limits<double>::quiet_NaN();
  return 1 - static_cast<double>(label_counts(labels).size()) / static_cast<double>(labels.size());
}

}  // namespace vlmprobe::metrics
