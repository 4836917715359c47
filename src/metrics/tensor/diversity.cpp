#include "vlmprobe/metrics/diversity.h"

#include <ATen/ops/zeros.h>

#include "second_moment.h"

#include <Eigen/Core>
#include <Eigen/Eigenvalues>
#include <cmath>
#include <limits>

#include "../../core/tensor/defined.h"

#include "vlmprobe/core/error.h"
#include "vlmprobe/core/shape.h"

namespace vlmprobe::metrics {
namespace {

using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

// The rows in float64, each rescaled to length 1; throws where a row is not of unit length to 1e-3.
Matrix unit_rows(const at::Tensor& rows, std::string_view op, std::string_view name) {
  expect(rows.scalar_type() == at::kFloat || rows.scalar_type() == at::kDouble, op,
         "{}: expected float32 or float64, got {}", name, c10::toString(rows.scalar_type()));
  const at::Tensor wide = rows.detach().to(at::kCPU).to(at::kDouble).contiguous();
  Matrix x = Eigen::Map<const Matrix>(wide.const_data_ptr<double>(), wide.size(0), wide.size(1));
  for (Eigen::Index i = 0; i < x.rows(); ++i) {
    const double length = x.row(i).norm();
    require_unit(length, i, op, name);
    x.row(i) /= length;
  }
  return x;
}

// X X^T, lower triangle; the eigenvalue solver reads no more.
Matrix gram(const Matrix& x) {
  Matrix product = Matrix::Zero(x.rows(), x.rows());
  product.selfadjointView<Eigen::Lower>().rankUpdate(x);
  return product;
}

Eigen::Map<const Matrix> map(const at::Tensor& square) {
  return {square.const_data_ptr<double>(), square.size(0), square.size(1)};
}

// exp(entropy) of the eigenvalues of a symmetric matrix, scaled to sum 1.
double exp_eigenvalue_entropy(Matrix symmetric) {
  Eigen::VectorXd diagonal(symmetric.rows()), below(symmetric.rows() - 1);
  tridiagonalise(symmetric.data(), symmetric.rows(), diagonal.data(), below.data());
  Eigen::SelfAdjointEigenSolver<Matrix> solver;
  solver.computeFromTridiagonal(diagonal, below, Eigen::EigenvaluesOnly);
  const Eigen::VectorXd lambda = solver.eigenvalues().cwiseMax(0.0);
  const double sum = lambda.sum();
  double entropy = 0;
  for (const double value : lambda)
    if (value > 0) entropy -= value / sum * std::log(value / sum);
  return std::exp(entropy);
}

double vendi_of(const Matrix& product, std::int64_t n) {
  if (n == 0) return std::numeric_limits<double>::quiet_NaN();
  return n == 1 ? 1.0 : exp_eigenvalue_entropy(product);
}

}  // namespace

double vendi(const at::Tensor& embeddings) {
  constexpr std::string_view kOp = "metrics::vendi";
  expect_defined(kOp, {{"embeddings", embeddings}});
  Shapes shapes(kOp);
  shapes.require("embeddings", embeddings.sizes(), {"N", "D"});
  expect(shapes["D"] >= 1, kOp, "embeddings: expected at least 1 column, got 0");

  const std::int64_t n = embeddings.size(0);
  if (n < embeddings.size(1)) return vendi_of(gram(unit_rows(embeddings, kOp, "embeddings")), n);
  return vendi_of(map(second_moment(embeddings, kOp, "embeddings")), n);
}

VendiAccumulator::VendiAccumulator(std::int64_t dimension) {
  expect(dimension >= 1, "metrics::VendiAccumulator", "dimension must be at least 1, got {}", dimension);
  moment_ = at::zeros({dimension, dimension}, at::TensorOptions().dtype(at::kDouble));
}

void VendiAccumulator::add(const at::Tensor& rows) {
  constexpr std::string_view kOp = "metrics::VendiAccumulator::add";
  expect_defined(kOp, {{"rows", rows}});
  Shapes shapes(kOp);
  shapes.require("accumulator", moment_.sizes(), {"D", "D"});
  shapes.require("rows", rows.sizes(), {"N", "D"});

  moment_ = moment_.add(second_moment(rows, kOp, "rows"));  // a new tensor: copies share the old one
  count_ += rows.size(0);
}

void VendiAccumulator::merge(const VendiAccumulator& other) {
  merge(other.moment_, other.count_);
}

void VendiAccumulator::merge(const at::Tensor& moment, std::int64_t count) {
  constexpr std::string_view kOp = "metrics::VendiAccumulator::merge";
  expect_defined(kOp, {{"moment", moment}});
  Shapes shapes(kOp);
  shapes.require("accumulator", moment_.sizes(), {"D", "D"});
  shapes.require("moment", moment.sizes(), {"D", "D"});
  expect(moment.scalar_type() == at::kDouble, kOp, "moment: expected float64, got {}",
         c10::toString(moment.scalar_type()));
  expect(count >= 0, kOp, "count must be at least 0, got {}", count);
  const at::Tensor here = moment.detach().to(at::kCPU);
  expect(here.isfinite().all().item<bool>() && here.equal(here.t()), kOp, "moment: expected a finite symmetric matrix");

  moment_ = moment_.add(here);
  count_ += count;
}

double VendiAccumulator::value() const {
  return vendi_of(map(moment_), count_);
}

at::Tensor VendiAccumulator::moment() const {
  return moment_.clone();
}

}  // namespace vlmprobe::metrics
