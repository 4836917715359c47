// The exact test of a difference that is paired by image.
#pragma once

#include <cstdint>
#include <span>

#include "vlmprobe/metrics/bootstrap.h"

namespace vlmprobe::metrics {

struct Flips {
  std::uint64_t seed;
  std::int64_t draws;  // where there are too many signs to try all of them
};

// Two-sided p of no difference: how often as large a difference comes about when each image's part has a random sign.
//
//   u_c = i_c + w_c d      i_c: the image's influence on the difference d = r_a - r_b, sum 0
//                          w_c = (n_ac / n_a + n_bc / n_b) / 2, sum 1; so that sum_c u_c = d
//   p   = share of signs with |sum_c +-u_c| >= |d|, over the k images with u_c other than 0
//
// With as many rows of both methods on each image u_c is half of what swapping the methods there would change; with one
// row each this is the sign test over discordant pairs, McNemar's exact test. Images of one method alone have no pair:
// p is then at least the least that an exact test can give, 2 over the number of ways in which signs and labels can
// fall. All signs are tried up to 12 images, else `draws` of them, counter-based, with one more for what was seen.
double sign_flip_p(const ClusterSums& a, const ClusterSums& b, std::span<const double> influences, double difference,
                   const Flips& flips);

}  // namespace vlmprobe::metrics
