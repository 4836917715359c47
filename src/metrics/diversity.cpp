#include "vlmprobe/metrics/diversity.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <Eigen/Core>
#include <Eigen/Eigenvalues>
#include <cmath>
#include <limits>

#include "symmetric_product.h"
#include "vlmprobe/core/error.h"
#include "vlmprobe/core/shape.h"

namespace vlmprobe::metrics {
namespace {

using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using View = Eigen::Map<const Matrix, 0, Eigen::OuterStride<>>;

// exp(entropy) of the eigenvalues of a symmetric matrix, scaled to sum 1.
double exp_eigenvalue_entropy(const View& symmetric) {
  const Eigen::SelfAdjointEigenSolver<Matrix> solver(symmetric, Eigen::EigenvaluesOnly);
  const Eigen::VectorXd lambda = solver.eigenvalues().cwiseMax(0.0);
  const double sum = lambda.sum();
  double entropy = 0;
  for (const double value : lambda)
    if (value > 0) entropy -= value / sum * std::log(value / sum);
  return std::exp(entropy);
}

double vendi_of(const View& product, std::int64_t n) {
  if (n == 0) return std::numeric_limits<double>::quiet_NaN();
  return n == 1 ? 1.0 : exp_eigenvalue_entropy(product);
}

}  // namespace

double vendi(const at::Tensor& embeddings) {
  constexpr std::string_view kOp = "metrics::vendi";
  Shapes shapes(kOp);
  shapes.require("embeddings", embeddings.sizes(), {"N", "D"});
  expect(shapes["D"] >= 1, kOp, "embeddings: expected at least 1 column, got 0");

  const Form form = shapes["N"] < shapes["D"] ? Form::gram : Form::dual;
  const Product product = symmetric_product(embeddings, form, kOp, "embeddings");
  const View view(product.values.data(), product.size, product.size, Eigen::OuterStride<>(product.stride));
  return vendi_of(view, shapes["N"]);
}

VendiAccumulator::VendiAccumulator(std::int64_t dimension) {
  expect(dimension >= 1, "metrics::VendiAccumulator", "dimension must be at least 1, got {}", dimension);
  moment_ = at::zeros({dimension, dimension}, at::TensorOptions().dtype(at::kDouble));
}

void VendiAccumulator::add(const at::Tensor& rows) {
  constexpr std::string_view kOp = "metrics::VendiAccumulator::add";
  Shapes shapes(kOp);
  shapes.require("accumulator", moment_.sizes(), {"D", "D"});
  shapes.require("rows", rows.sizes(), {"N", "D"});
  const Product product = symmetric_product(rows, Form::dual, kOp, "rows");

  // Into a new tensor: copies of an accumulator share the old one.
  const std::int64_t d = product.size;
  const at::Tensor sum = at::empty({d, d}, moment_.options());
  const double* before = moment_.const_data_ptr<double>();
  double* after = sum.mutable_data_ptr<double>();
  for (std::int64_t i = 0; i < d; ++i)
    for (std::int64_t j = 0; j <= i; ++j)
      after[i * d + j] = after[j * d + i] =
          before[i * d + j] + product.values[static_cast<std::size_t>(i * product.stride + j)];
  moment_ = sum;
  count_ += rows.size(0);
}

void VendiAccumulator::merge(const VendiAccumulator& other) {
  merge(other.moment_, other.count_);
}

void VendiAccumulator::merge(const at::Tensor& moment, std::int64_t count) {
  constexpr std::string_view kOp = "metrics::VendiAccumulator::merge";
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
  const std::int64_t d = moment_.size(0);
  return vendi_of(View(moment_.const_data_ptr<double>(), d, d, Eigen::OuterStride<>(d)), count_);
}

at::Tensor VendiAccumulator::moment() const {
  return moment_.clone();
}

}  // namespace vlmprobe::metrics
