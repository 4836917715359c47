#include "sign_flip.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "vlmprobe/core/random.h"

namespace vlmprobe::metrics {
namespace {

const double kMostTried = std::log(65536.5);
constexpr double kTie = 1e-9;  // of the largest part

// What can be exchanged; images whose sign says nothing are left out.
struct Parts {
  double n_a, n_b;             // rows
  std::vector<double> paired;  // e_ac / n_a - e_bc / n_b
  std::vector<double> alone;   // e_c of images with rows of one method
  std::size_t of_a = 0;        // of these
  double difference = 0, largest = 0;

  Parts(const ClusterSums& a, const ClusterSums& b)
      : n_a(std::reduce(a.totals.begin(), a.totals.end())), n_b(std::reduce(b.totals.begin(), b.totals.end())) {
    const double rate_a = std::reduce(a.successes.begin(), a.successes.end()) / n_a;
    const double rate_b = std::reduce(b.successes.begin(), b.successes.end()) / n_b;
    const double middle = (rate_a + rate_b) / 2;
    for (std::size_t c = 0; c < a.totals.size(); ++c) {
      const double of_image_a = a.successes[c] - middle * a.totals[c];
      const double of_image_b = b.successes[c] - middle * b.totals[c];
      const double part = of_image_a / n_a - of_image_b / n_b;
      difference += part, largest = std::max(largest, std::abs(part));
      if (a.totals[c] > 0 && b.totals[c] > 0) {
        if (std::abs(part) > kTie * largest) paired.push_back(part);
      } else if (a.totals[c] > 0 || b.totals[c] > 0) {
        alone.push_back(of_image_a + of_image_b), of_a += a.totals[c] > 0;
      }
    }
  }

  double log_ways() const {
    const auto count = static_cast<double>(alone.size()), chosen = static_cast<double>(of_a);
    return static_cast<double>(paired.size()) * std::log(2.0) + std::lgamma(count + 1) - std::lgamma(chosen + 1) -
           std::lgamma(count - chosen + 1);
  }
};

// How many ways there are, and how many have as large a difference.
struct Tally {
  double sign, least, ways = 0, beyond = 0, same_side = 0;

  Tally(const Parts& parts, double direction)
      : sign(direction), least(direction * parts.difference - kTie * parts.largest) {}

  void add(double difference) {
    ways += 1, beyond += std::abs(difference) >= least, same_side += sign * difference >= least;
  }
};

// The ways from image i on, `left` of the images of one method alone still to go to a.
void try_all(const Parts& parts, std::size_t i, std::size_t left, double sum, Tally& tally) {
  if (i < parts.paired.size()) {
    try_all(parts, i + 1, left, sum + parts.paired[i], tally);
    return try_all(parts, i + 1, left, sum - parts.paired[i], tally);
  }
  const std::size_t place = i - parts.paired.size(), rest = parts.alone.size() - place;
  if (rest == 0) return tally.add(sum);
  if (left > 0) try_all(parts, i + 1, left - 1, sum + parts.alone[place] / parts.n_a, tally);
  if (left < rest) try_all(parts, i + 1, left, sum - parts.alone[place] / parts.n_b, tally);
}

void draw(const Parts& parts, const Flips& flips, Tally& tally) {
  tally.add(parts.difference);
  for (std::int64_t draw = 0; draw < flips.draws; ++draw) {
    random::Sequence sequence(flips.seed, random::Stream::kBootstrap, static_cast<std::uint32_t>(draw), 1);
    double sum = 0;
    for (const double part : parts.paired) sum += sequence.uniform() < 0.5 ? part : -part;
    auto left = static_cast<double>(parts.of_a), rest = static_cast<double>(parts.alone.size());
    for (const double part : parts.alone) {
      const bool to_a = sequence.uniform() * rest < left;
      sum += to_a ? part / parts.n_a : -part / parts.n_b;
      left -= to_a, rest -= 1;
    }
    tally.add(sum);
  }
}

}  // namespace

double sign_flip_p(const ClusterSums& a, const ClusterSums& b, const Flips& flips) {
  const Parts parts(a, b);
  Tally tally(parts, parts.difference < 0 ? -1 : 1);
  const bool symmetric = parts.alone.empty();
  const double ways = parts.log_ways(), least = (symmetric ? 2 : 1) * std::exp(-ways);
  if (ways <= kMostTried)
    try_all(parts, 0, parts.of_a, 0, tally);
  else
    draw(parts, flips, tally);
  const double found = symmetric ? tally.beyond : std::max(tally.beyond, 2 * tally.same_side);
  return std::min(1.0, std::max(found / tally.ways, least));
}

double sign_flip_p_higher(const ClusterSums& a, const ClusterSums& b) {
  const Parts parts(a, b);
  const double ways = parts.log_ways();
  if (ways > kMostTried) return std::exp(-ways);
  Tally tally(parts, 1);
  try_all(parts, 0, parts.of_a, 0, tally);
  return tally.same_side / tally.ways;
}

}  // namespace vlmprobe::metrics
