// Ratios of sums over images, and their differences between two methods on the same images, with an interval by
// resampling images. A rate is such a ratio; so is the mean number of skills per question, or calls per failure.
//
//   r(w)        = sum_c w_c s_c / sum_c w_c n_c          s_c over n_c in cluster c (an image), weights w
//   value       = r(1), or r_a(1) - r_b(1)
//   draw b      = r(w), or r_a(w) - r_b(w); w_c: how often cluster c is among m clusters drawn with replacement, the
//                 same for a and b, so that what an image does to both methods cancels
//   expanded    = value + sqrt(k/(k - 1)) t/z (draw - value)    k: clusters with a row, of the method that has the
//                 fewest; t, z: quantiles of Student's t with k - 1 degrees of freedom and of the normal distribution
//                 at (1 + confidence)/2
//   [low, high] = quantiles of the expanded draws at (1 -+ confidence)/2
//   p           = two-sided, of no difference: 2 (min(#{expanded <= 0}, #{expanded >= 0}) + 1)/(draws + 1), at most 1;
//                 and never below that of the exact test in which chance says which method is which: each image's part
//                 has a random sign, and images of one method alone change places (Fisher's, where there are no others)
//
//   successes, totals  [m] per cluster, finite, n_c >= 0; a cluster may be empty for one method. For
//                      paired_difference, that of two rates, 0 <= s_c <= n_c
//   seed               of the counter-based draws: cluster i of draw b is floor(m u(seed, kBootstrap, b, i))
//   draws              at least 1, below 2^32
//
// One draw costs O(m), and the result depends on the seed alone. Draws in which a sum of totals is 0 are left out. The
// widening is that of Hesterberg's "expanded percentile": the draws' variance is (k - 1)/k of what it should be, and
// few images know theirs badly. p is below 1 - confidence exactly where the interval leaves 0 out: where one of the two
// says that nothing is shown, both do.
//
// Draws of images that do not differ do not differ either, which is no knowledge: with u(n) = t^2/(n + t^2), Wilson's
// upper bound of a rate that was 0 in n rows, the interval of paired_difference reaches at least
// sqrt(u(n_a)^2 + u(n_b)^2) beyond the value (without the side on which a rate is 0 or 1 already: Newcombe's "square
// and add" of two rates at their bounds), and those of ratio and ratio_difference, where all images are equal, u(k) if
// the sums are whole numbers (one more in the images that could have been unlike the others unseen), else everything.
// Where a sum has rows on fewer than two clusters nothing is known: the interval is [-inf, inf], or [-1, 1] for
// paired_difference, and p is 1; the ratio of nothing is NaN. Throws InvalidArgument on unequal lengths, values
// outside what is said, a confidence outside (0, 1). Source: Efron and Tibshirani 1993, chapters 8 and 13;
// Hesterberg, The American Statistician 69(4), 2015; the p-value that is never 0, Phipson and Smyth 2010; Newcombe,
// Statistics in Medicine 17, 1998; the sign test, McNemar 1947.
#pragma once

#include <cstdint>
#include <span>

namespace vlmprobe::metrics {

struct Ratio {
  double value;
  double low, high;
  std::int64_t clusters;
  std::int64_t draws;  // that count
};

struct Difference {
  double value;
  double low, high;  // of paired_difference in [-1, 1]
  double p;          // in (0, 1]
  std::int64_t clusters;
  std::int64_t draws;  // that count
};

// What one method did on each cluster.
struct ClusterSums {
  std::span<const double> successes, totals;
};

Ratio ratio(const ClusterSums& sums, std::uint64_t seed, std::int64_t draws = 10000, double confidence = 0.95);

// Of two rates.
Difference paired_difference(const ClusterSums& a, const ClusterSums& b, std::uint64_t seed, std::int64_t draws = 10000,
                             double confidence = 0.95);

// Of two ratios of any size.
Difference ratio_difference(const ClusterSums& a, const ClusterSums& b, std::uint64_t seed, std::int64_t draws = 10000,
                            double confidence = 0.95);

// One-sided p of a first rate that is no higher than the second, by the exact test alone: 1 where either has rows on
// fewer than two clusters; where there are more than 65536 ways, the least that the test can give, 1 over their number.
double exact_p_higher(const ClusterSums& a, const ClusterSums& b);

}  // namespace vlmprobe::metrics
