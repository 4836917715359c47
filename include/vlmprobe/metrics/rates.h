// A rate with its interval, for questions that come in clusters: several questions on one image are not independent.
//
//   p             = successes / n, over the scored
//   design_effect = max(1, V_clustered / V_simple)
//                   V_clustered = m/(m - 1) sum_c (s_c - p n_c)^2 / n^2     (m clusters; s_c of n_c successes in
//                   cluster c) V_simple    = p (1 - p) / (n - 1)
//   n_effective   = n / design_effect
//   df            = 2 (m - 1)/m (sum_c r_c^2)^2 / (sum_C r_c^4 - (sum_C r_c^2)^2 / |C|), held to [min(4, m - 1), m - 1]
//                   r_c = s_c - p n_c; C: the clusters of more than one row
//   [low, high]   = Wilson's interval for p at n_effective, with t_df in the place of the normal quantile
//
//   successes  [N]  1 success, 0 failure, -1 unscored
//   cluster    [N]  int64, any labels: the image of each question
//
// With one question per cluster the design effect is exactly 1. It is floored at 1: clusters that agree less than
// chance are taken for chance. df says how well V_clustered is known: where a few clusters hold most of what varies
// (rates near 0 or 1, clusters of very different sizes) it is known badly. It is matched to the spread of the squared
// residuals, where a row alone in its cluster adds none; with normal residuals it is m - 1. Without a success, or
// without a failure, the design effect is 1 and df m - 1. With one cluster nothing is known about other images: [0, 1],
// n_effective 1, design_effect n, df 0. n = 0: value and design_effect NaN, [0, 1], n_effective and df 0. Unscored rows
// count in n_unscored only. Throws InvalidArgument on unequal lengths, another value, or a confidence
// outside (0, 1). Source: Wilson 1927; effective sample size with t quantile, Korn and Graubard 1998 (there for
// Clopper-Pearson, df m - 1); Kish 1965; df from the variance of the variance, Satterthwaite 1946.
#pragma once

#include <cstdint>
#include <span>

namespace vlmprobe::metrics {

struct Rate {
  double value;      // p
  double low, high;  // in [0, 1]
  std::int64_t n;    // scored rows
  std::int64_t n_unscored;
  double n_effective;
  double design_effect;
  double df;
  std::int64_t clusters;  // with at least one scored row
};

Rate rate(std::span<const std::int8_t> successes, std::span<const std::int64_t> cluster, double confidence = 0.95);

}  // namespace vlmprobe::metrics
