#include "vlmprobe/metrics/diversity.h"

#include <ATen/Parallel.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include <cmath>
#include <limits>
#include <vector>

#include "support.h"
#include "vlmprobe/core/random.h"

using namespace vlmprobe;
using namespace vlmprobe::metrics;

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kTolerance64 = 1e-9, kTolerance32 = 1e-5;

at::Tensor unit_rows(std::int64_t n, std::int64_t d, std::uint32_t seed) {
  random::Sequence draws(seed, random::Stream::kQuestion, 7);
  at::Tensor rows = at::zeros({n, d}, at::kDouble);
  for (std::int64_t i = 0; i < n; ++i) {
    double squares = 0, *row = rows.mutable_data_ptr<double>() + i * d;
    for (std::int64_t j = 0; j < d; ++j) row[j] = draws.uniform() - 0.3, squares += row[j] * row[j];
    for (std::int64_t j = 0; j < d; ++j) row[j] /= std::sqrt(squares);
  }
  return rows;
}

// Eigenvalues of the Gram matrix by cyclic Jacobi rotations: scalar loops that share nothing with the library.
double reference(const at::Tensor& rows) {
  const auto n = static_cast<std::size_t>(rows.size(0)), d = static_cast<std::size_t>(rows.size(1));
  const double* x = rows.const_data_ptr<double>();
  std::vector<std::vector<double>> a(n, std::vector<double>(n, 0));
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < n; ++j)
      for (std::size_t k = 0; k < d; ++k) a[i][j] += x[i * d + k] * x[j * d + k] / static_cast<double>(n);
  for (int sweep = 0; sweep < 40; ++sweep)
    for (std::size_t p = 0; p < n; ++p)
      for (std::size_t q = p + 1; q < n; ++q) {
        if (a[p][q] == 0) continue;
        const double angle = 0.5 * std::atan2(2 * a[p][q], a[q][q] - a[p][p]), c = std::cos(angle), s = std::sin(angle);
        for (std::size_t k = 0; k < n; ++k) {
          const double u = a[k][p], v = a[k][q];
          a[k][p] = c * u - s * v, a[k][q] = s * u + c * v;
        }
        for (std::size_t k = 0; k < n; ++k) {
          const double u = a[p][k], v = a[q][k];
          a[p][k] = c * u - s * v, a[q][k] = s * u + c * v;
        }
      }
  double entropy = 0;
  for (std::size_t i = 0; i < n; ++i)
    if (a[i][i] > 1e-300) entropy -= a[i][i] * std::log(a[i][i]);
  return std::exp(entropy);
}

}  // namespace

TEST_CASE("vendi by hand: two rows at an angle") {
  // cos = 0.6: eigenvalues of [[1, .6], [.6, 1]]/2 are 0.8 and 0.2, exp(-0.8 log 0.8 - 0.2 log 0.2) = 1.6493849
  const at::Tensor rows = at::tensor({1.0, 0.0, 0.6, 0.8}, at::kDouble).reshape({2, 2});
  CHECK(vendi(rows) == doctest::Approx(1.6493848884661177).epsilon(kTolerance64));
}

TEST_CASE("vendi agrees with Jacobi rotations on the Gram matrix, in the dual and in the Gram form") {
  for (const auto& [n, d] :
       std::vector<std::pair<std::int64_t, std::int64_t>>{{2, 5}, {9, 4}, {12, 12}, {13, 40}, {40, 13}}) {
    const at::Tensor rows = unit_rows(n, d, 1);
    CHECK(vendi(rows) == doctest::Approx(reference(rows)).epsilon(kTolerance64));
    CHECK(vendi(rows.to(at::kFloat)) == doctest::Approx(reference(rows)).epsilon(kTolerance32));
  }
}

// A plain triple loop over rows scaled to unit length.
at::Tensor moment_reference(const at::Tensor& rows) {
  const std::int64_t n = rows.size(0), d = rows.size(1);
  const double* x = rows.const_data_ptr<double>();
  at::Tensor out = at::zeros({d, d}, at::kDouble);
  double* s = out.mutable_data_ptr<double>();
  for (std::int64_t i = 0; i < n; ++i) {
    double squares = 0;
    for (std::int64_t j = 0; j < d; ++j) squares += x[i * d + j] * x[i * d + j];
    for (std::int64_t j = 0; j < d; ++j)
      for (std::int64_t k = 0; k < d; ++k) s[j * d + k] += x[i * d + j] * x[i * d + k] / squares;
  }
  return out;
}

TEST_CASE("the moment is the plain sum at the edges of tiles, panels, blocks and slices") {
  for (const auto& [n, d] : std::vector<std::pair<std::int64_t, std::int64_t>>{{1, 1},
                                                                               {3, 2},
                                                                               {5, 7},
                                                                               {7, 8},
                                                                               {9, 23},
                                                                               {255, 24},
                                                                               {256, 25},
                                                                               {257, 48},
                                                                               {300, 49},
                                                                               {8193, 9},
                                                                               {9000, 100}}) {
    const std::int64_t shape[] = {n, d};
    CAPTURE(shape[0]);
    CAPTURE(shape[1]);
    for (const at::ScalarType dtype : {at::kDouble, at::kFloat}) {
      const at::Tensor rows = unit_rows(n, d, 6).to(dtype), expected = moment_reference(rows.to(at::kDouble));
      VendiAccumulator sum(d);
      sum.add(rows);
      const at::Tensor moment = sum.moment();
      CHECK(moment.sub(expected).abs().max().item<double>() <= kTolerance64 * static_cast<double>(n));
      CHECK(moment.equal(moment.t()));
    }
  }
}

TEST_CASE("the score's bits are the same for any number of threads") {
  const at::Tensor rows = unit_rows(9001, 40, 8).to(at::kFloat);
  const int before = at::get_num_threads();
  std::vector<double> scores;
  for (const int threads : {1, 2, 3}) {
    at::set_num_threads(threads);
    scores.push_back(vendi(rows));
  }
  at::set_num_threads(before);
  CHECK(scores[0] == scores[1]);
  CHECK(scores[0] == scores[2]);
}

TEST_CASE("the first bad row is named, in whichever slice it is") {
  at::Tensor rows = unit_rows(9000, 4, 9);
  rows[8000].mul_(3);
  rows[5000][2].fill_(kNan);
  CHECK(thrown([&] { vendi(rows); }) == "[metrics::vendi] embeddings: row 5000 is not finite");
  rows[4999].mul_(2);
  CHECK(thrown([&] { vendi(rows); }) == "[metrics::vendi] embeddings: row 4999 must be of unit length, got 2");
}

TEST_CASE("eigenvalues that are zero, equal or of one row of the matrix do no harm") {
  CHECK(vendi(at::eye(30, at::kDouble)) == doctest::Approx(30).epsilon(kTolerance64));
  at::Tensor rows = at::zeros({50, 20}, at::kDouble);
  rows.select(1, 3).fill_(1);
  CHECK(vendi(rows) == doctest::Approx(1).epsilon(kTolerance64));
  rows.slice(0, 0, 25).zero_();
  rows.slice(0, 0, 25).select(1, 19).fill_(-1);
  CHECK(vendi(rows) == doctest::Approx(2).epsilon(kTolerance64));
}

TEST_CASE("orthogonal rows count in full, equal rows as one, repeated sets as once") {
  for (const std::int64_t n : {1, 2, 7, 33}) {
    CHECK(vendi(at::eye(n, at::kDouble)) == doctest::Approx(static_cast<double>(n)).epsilon(kTolerance64));
    CHECK(vendi(unit_rows(1, 6, 2).expand({n, 6})) == doctest::Approx(1).epsilon(kTolerance64));
    CHECK(vendi(at::eye(n, at::kDouble).repeat({3, 1})) ==
          doctest::Approx(static_cast<double>(n)).epsilon(kTolerance64));
  }
  const at::Tensor rows = unit_rows(9, 5, 3);
  CHECK(vendi(rows.flip({0})) == doctest::Approx(vendi(rows)).epsilon(kTolerance64));
  CHECK(vendi(rows.neg()) == doctest::Approx(vendi(rows)).epsilon(kTolerance64));
}

TEST_CASE("vendi of no row is NaN and of one row 1") {
  CHECK(std::isnan(vendi(at::zeros({0, 4}))));
  CHECK(vendi(unit_rows(1, 4, 4)) == 1);
  CHECK(std::isnan(VendiAccumulator(4).value()));
}

TEST_CASE("accumulators add up over batches and ranks") {
  const at::Tensor rows = unit_rows(31, 8, 5);
  VendiAccumulator whole(8), first(8), second(8), third(8);
  whole.add(rows);
  first.add(rows.slice(0, 0, 10));
  first.add(rows.slice(0, 10, 10));  // no row
  second.add(rows.slice(0, 10, 11));
  third.add(rows.slice(0, 11, 31).to(at::kFloat));
  first.merge(second);
  first.merge(third.moment(), third.count());
  CHECK(first.count() == 31);
  CHECK(whole.value() == doctest::Approx(vendi(rows)).epsilon(kTolerance64));
  CHECK(first.value() == doctest::Approx(vendi(rows)).epsilon(kTolerance32));  // the third batch came in float32
  first.moment().zero_();
  CHECK(first.value() > 1);  // moment() is a copy
}

TEST_CASE("a copy of an accumulator is its own") {
  VendiAccumulator original(3);
  original.add(at::eye(3));
  VendiAccumulator copy = original;
  copy.add(at::eye(3).slice(0, 0, 1));
  CHECK(original.value() == doctest::Approx(3).epsilon(kTolerance64));
  CHECK(original.count() == 3);
}

TEST_CASE("errors of vendi name the argument, what was expected and what came") {
  at::Tensor rows = at::eye(3, at::kDouble);
  CHECK(thrown([] { vendi(at::zeros({3})); }) == "[metrics::vendi] embeddings: expected shape [N, D], got [3]");
  CHECK(thrown([] { vendi(at::zeros({0, 0})); }) == "[metrics::vendi] embeddings: expected at least 1 column, got 0");
  CHECK(thrown([&] { vendi(rows.to(at::kHalf)); }) ==
        "[metrics::vendi] embeddings: expected float32 or float64, got Half");
  CHECK(thrown([&] { vendi(rows.mul(2)); }) == "[metrics::vendi] embeddings: row 0 must be of unit length, got 2");
  rows[2][1].fill_(kNan);
  CHECK(thrown([&] { vendi(rows); }) == "[metrics::vendi] embeddings: row 2 is not finite");

  VendiAccumulator accumulator(3);
  CHECK(thrown([] { VendiAccumulator(0); }) == "[metrics::VendiAccumulator] dimension must be at least 1, got 0");
  CHECK(thrown([&] { accumulator.add(at::eye(2)); }) ==
        "[metrics::VendiAccumulator::add] rows: expected shape [N, D], got [2, 2] (D=3 was set by accumulator)");
  CHECK(thrown([&] { accumulator.merge(VendiAccumulator(2)); }) ==
        "[metrics::VendiAccumulator::merge] moment: expected shape [D, D], got [2, 2] (D=3 was set by accumulator)");
  CHECK(thrown([&] { accumulator.merge(at::eye(3), 1); }) ==
        "[metrics::VendiAccumulator::merge] moment: expected float64, got Float");
  CHECK(thrown([&] { accumulator.merge(rows, 1); }) ==
        "[metrics::VendiAccumulator::merge] moment: expected a finite symmetric matrix");
  CHECK(thrown([&] { accumulator.merge(at::eye(3, at::kDouble), -1); }) ==
        "[metrics::VendiAccumulator::merge] count must be at least 0, got -1");
}
