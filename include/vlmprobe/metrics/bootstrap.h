// The difference of two rates on the same images, with an interval by resampling images.
//
//   r(w)        = sum_c w_c s_c / sum_c w_c n_c          s_c of n_c successes in cluster c (an image), weights w
//   difference  = r_a(1) - r_b(1)
//   draw b      = r_a(w) - r_b(w), w_c: how often cluster c is among m clusters drawn with replacement, the same for
//                 a and b, so that what an image does to both methods cancels
//   [low, high] = difference + sqrt(m/(m - 1)) (q - difference), q the quantiles of the draws at (1 -+ confidence)/2
//   p           = two-sided: 2 min(#{draw <= 0}, #{draw >= 0}) + 1 over draws + 1, at most 1
//
//   successes, totals  [m] per cluster, 0 <= s_c <= n_c, finite; a cluster may be empty for one method
//   seed               of the counter-based draws: cluster i of draw b is floor(m u(seed, kBootstrap, b, i))
//   draws              at least 1, below 2^32
//
// Draws in which a method has no row are left out. The widening, which makes the draws' variance that of m - 1 degrees
// of freedom, is Hesterberg's "expanded percentile". With one cluster, or without rows for a method, the interval is
// [-1, 1] and p is 1; the difference of nothing is NaN. Throws InvalidArgument on unequal lengths, values outside what
// is said, a confidence outside (0, 1).
// Source: Efron and Tibshirani 1993, chapters 8 and 13; Hesterberg, The American Statistician 69(4), 2015.
#pragma once

#include <cstdint>
#include <span>

namespace vlmprobe::metrics {

struct Difference {
  double value;
  double low, high;  // in [-1, 1]
  double p;          // in (0, 1]
  std::int64_t clusters;
  std::int64_t draws;  // that count
};

// What one method did on each cluster.
struct ClusterSums {
  std::span<const double> successes, totals;
};

Difference paired_difference(const ClusterSums& a, const ClusterSums& b, std::uint64_t seed, std::int64_t draws = 10000,
                             double confidence = 0.95);

}  // namespace vlmprobe::metrics
