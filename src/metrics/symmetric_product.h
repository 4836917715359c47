// The products of Vendi's two forms:  X^T X  [d, d]  or  X X^T  [n, n],  X the rows rescaled to unit length in float64.
//
//   rows     [n, d]  float32 or float64, on the CPU
//   returns  [size, stride] row-major, stride = size rounded up to kPanel; only the lower triangle is meant
//
// Rows are converted, checked and rescaled block by block in cache; nothing of the size of X is allocated. Sums are
// taken in an order that depends on the shape alone, not on the number of threads (at most kMaxChunks are used). Throws
// InvalidArgument("[op] name: ...") for the first row that is not finite or not of unit length to 1e-3.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string_view>
#include <vector>

namespace vlmprobe::metrics {

inline constexpr int kPanel = 8;
inline constexpr std::int64_t kMaxChunks = 8;

struct Product {
  std::int64_t size = 0, stride = 0;
  std::vector<double> values;
};

enum class Form { dual, gram };  // X^T X, X X^T

Product symmetric_product(const at::Tensor& rows, Form form, std::string_view op, std::string_view name);

}  // namespace vlmprobe::metrics
