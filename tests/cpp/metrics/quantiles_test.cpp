#include "vlmprobe/metrics/quantiles.h"

#include <cmath>
#include <utility>
#include <vector>

#include "support.h"

using namespace vlmprobe;
using namespace vlmprobe::metrics;

constexpr double kTolerance64 = 1e-9;

TEST_CASE("t quantiles agree with published tables") {
  // NIST/SEMATECH e-Handbook, 1.3.6.7.2, printed to three decimals; df 1 and 2 have closed forms.
  const std::vector<std::pair<double, double>> table = {{3, 3.182},  {4, 2.776},  {5, 2.571},  {10, 2.228},
                                                        {20, 2.086}, {30, 2.042}, {60, 2.000}, {100, 1.984}};
  for (const auto& [df, expected] : table) CHECK(std::abs(t_quantile(0.975, df) - expected) <= 5e-4);
  CHECK(t_quantile(0.975, 1) == doctest::Approx(std::tan(M_PI * 0.475)).epsilon(kTolerance64));
  CHECK(t_quantile(0.975, 2) == doctest::Approx(0.95 * std::sqrt(2 / (1 - 0.95 * 0.95))).epsilon(kTolerance64));
  CHECK(t_quantile(0.975, 1e8) == doctest::Approx(1.959963985).epsilon(1e-7));
  CHECK(t_quantile(0.5, 7) == 0);
  CHECK(t_quantile(0.1, 7) == doctest::Approx(-t_quantile(0.9, 7)).epsilon(kTolerance64));
  CHECK(thrown([] { t_quantile(1, 3); }) == "[metrics::t_quantile] p must be in (0, 1), got 1");
  CHECK(thrown([] { t_quantile(0.9, 0); }) == "[metrics::t_quantile] df must be in (0, inf), got 0");
}

TEST_CASE("normal quantiles agree with published tables") {
  CHECK(normal_quantile(0.975) == doctest::Approx(1.959963984540054).epsilon(1e-12));
  CHECK(normal_quantile(0.025) == doctest::Approx(-1.959963984540054).epsilon(1e-12));
  CHECK(normal_quantile(1e-300) == doctest::Approx(-37.0471).epsilon(1e-6));
  CHECK(normal_quantile(0.5) == 0);
  CHECK(thrown([] { normal_quantile(0); }) == "[metrics::normal_quantile] p must be in (0, 1), got 0");
}
