// Quantiles of the distributions that intervals are made of. Any thread; InvalidArgument outside the ranges.
#pragma once

namespace vlmprobe::metrics {

// The p-quantile of Student's t with df degrees of freedom; p in (0, 1), df in (0, inf). Relative error below 1e-9 up
// to df = 1e6, below 1e-6 up to 1e8. Source: bisection on the regularised incomplete beta function by its continued
// fraction (Lentz), DLMF 8.17.22.
double t_quantile(double p, double df);

// The p-quantile of the normal distribution; p in (0, 1). Source: bisection on erfc.
double normal_quantile(double p);

}  // namespace vlmprobe::metrics
