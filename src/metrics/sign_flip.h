// The exact test of a difference that is paired by image.
#pragma once

#include <cstdint>

#include "vlmprobe/metrics/bootstrap.h"

namespace vlmprobe::metrics {

struct Flips {
  std::uint64_t seed;
  std::int64_t draws;  // where there are too many ways to try all of them
};

// Two-sided p of no difference: how often as large a difference comes about when it is chance which method is which.
//
//   e(s, n) = s - n (r_a + r_b)/2            what an image has beyond the middle of the two rates
//   d       = r_a - r_b = sum_c e_ac / n_a - e_bc / n_b
//   way     image with both methods: the sign of its part is either; images with one alone: as many of them belong to
//           a as do, in any choice
//   p       = share of ways with |d'| >= |d|; with images of one method alone the larger of that and twice the share
//             with d' >= d, for then the ways need not be symmetric
//
// With one row of each method on each image this is the sign test over discordant pairs, McNemar's exact test; with one
// row on each of other images Fisher's. All ways are tried up to 65536, else `draws` of them, counter-based, with one
// more for what was seen; p is then never below 2 over the number of ways, or 1 with images of one method alone.
double sign_flip_p(const ClusterSums& a, const ClusterSums& b, const Flips& flips);

// One-sided, of a that is no higher than b: share of ways with d' >= d; of more ways, the least that it can be.
double sign_flip_p_higher(const ClusterSums& a, const ClusterSums& b);

}  // namespace vlmprobe::metrics
