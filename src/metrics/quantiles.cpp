#include "vlmprobe/metrics/quantiles.h"

#include <algorithm>
#include <cmath>
#include <string_view>

#include "vlmprobe/core/error.h"

namespace vlmprobe::metrics {
namespace {

// The continued fraction of I_x(a, b) by the modified Lentz method; quick for x < (a + 1)/(a + b + 2).
double beta_fraction(double a, double b, double x) {
  constexpr double kTiny = 1e-300;
  constexpr int kSteps = 100000;  // about sqrt(max(a, b)) are needed
  const auto away_from_zero = [](double value) { return std::abs(value) < kTiny ? kTiny : value; };
  double c = 1, d = 1 / away_from_zero(1 - (a + b) * x / (a + 1)), fraction = d;
  for (int m = 1; m <= kSteps; ++m) {
    const double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
    const double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
    double step = 1;
    for (const double term : {even, odd}) {
      d = 1 / away_from_zero(1 + term * d);
      c = away_from_zero(1 + term / c);
      step = c * d;
      fraction *= step;
    }
    if (std::abs(step - 1) < 1e-16) break;
  }
  return fraction;
}

// I_x(a, b) with y = 1 - x given apart, so that neither end cancels.
double regularized_beta(double a, double b, double x, double y) {
  if (x <= 0) return 0;
  if (y <= 0) return 1;
  const double front =
      std::exp(std::lgamma(a + b) - std::lgamma(a) - std::lgamma(b) + a * std::log(x) + b * std::log(y));
  return x < (a + 1) / (a + b + 2) ? front * beta_fraction(a, b, x) / a : 1 - front * beta_fraction(b, a, y) / b;
}

// P(T > t) for t >= 0.
double upper_tail(double t, double df) {
  const double square = t * t;
  return 0.5 * regularized_beta(df / 2, 0.5, df / (df + square), square / (df + square));
}

}  // namespace

double t_quantile(double p, double df) {
  constexpr std::string_view kOp = "metrics::t_quantile";
  expect(p > 0 && p < 1, kOp, "p must be in (0, 1), got {}", p);
  expect(df > 0 && std::isfinite(df), kOp, "df must be in (0, inf), got {}", df);

  if (p == 0.5) return 0;
  const double tail = std::min(p, 1 - p);
  double low = 0, high = 1;
  while (upper_tail(high, df) > tail && high < 1e300) high *= 2;
  for (int step = 0; step < 200; ++step) {
    const double middle = 0.5 * (low + high);
    if (middle <= low || middle >= high) break;
    (upper_tail(middle, df) > tail ? low : high) = middle;
  }
  return p < 0.5 ? -high : high;
}

double normal_quantile(double p) {
  expect(p > 0 && p < 1, "metrics::normal_quantile", "p must be in (0, 1), got {}", p);
  if (p == 0.5) return 0;
  const double tail = std::min(p, 1 - p);
  double low = 0, high = 40;  // the tail beyond 38.6 is no double
  for (int step = 0; step < 200; ++step) {
    const double middle = 0.5 * (low + high);
    if (middle <= low || middle >= high) break;
    (0.5 * std::erfc(middle / std::sqrt(2.0)) > tail ? low : high) = middle;
  }
  return p < 0.5 ? -high : high;
}

}  // namespace vlmprobe::metrics
