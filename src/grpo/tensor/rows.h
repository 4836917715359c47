// Rows of logits: their statistics, and their gradient from that of logp and entropy. For src/grpo only.
//
// The kernels of kernels.h where there are some for the device and the dtype, else ATen's operators in chunks of rows.
// Rows are independent: results do not depend on how they are spread over threads.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <string_view>
#include <type_traits>
#include <vector>

#include "../kernels.h"
#include "plain.h"

namespace vlmprobe::grpo {

// Logits [..., V] with their leading dimensions taken as N rows; N = numel of tokens.
struct Rows {
  at::Tensor logits;  // last stride 1
  at::Tensor tokens;  // [...] int64 contiguous
  at::Tensor mask;    // [...] bool contiguous, or undefined: every row counts
  double temperature;
};

// One number per row, shaped as tokens; 0 where the mask is false (argmax: -1).
struct RowResults {
  at::Tensor logp, entropy;  // float32, or float64 for float64 logits
  at::Tensor log_z;          // float64
  at::Tensor argmax;         // int64; [0] unless asked for
};

// Makes the layout that the loops need, and throws InvalidArgument in the name of `op` unless shapes, dtypes, devices
// and the temperature fit, and every token of an unmasked row is in the vocabulary.
Rows rows(std::string_view op, const at::Tensor& logits, const at::Tensor& tokens,
          const std::optional<at::Tensor>& mask, double temperature);

RowResults row_statistics(const Rows& rows, bool argmax);

// The gradient [..., V] in the logits into `out`, which may be the logits: of their dtype, or of any floating one where
// `kernels_for(logits)` is null.
//   d_logp, d_entropy [...] as RowResults; read where the mask is true
void row_gradient(const Rows& rows, const RowResults& results, const at::Tensor& d_logp, const at::Tensor& d_entropy,
                  const at::Tensor& out);

// Kernels for these logits, or nullptr.
const Kernels* kernels_for(const at::Tensor& logits);

// The kernels of a table for logits of dtype T.
template <class T>
const RowKernels<Plain<T>>& row_kernels(const Kernels& table) {
  if constexpr (std::is_same_v<T, float>) {
    return table.f32;
  } else if constexpr (std::is_same_v<T, c10::BFloat16>) {
    return table.bf16;
  } else {
    return table.f16;
  }
}

// What one row's pass needs: the pointers and constants of row r, for callers that do something between the statistics
// and the gradient. T is the dtype of the logits.
template <class T>
class RowWalk {
 public:
  RowWalk(const Kernels& table, const Rows& rows, const at::Tensor& out);

  std::int64_t size() const { return static_cast<std::int64_t>(offset_.size()); }
  bool counts(std::int64_t row) const { return mask_ == nullptr || mask_[row]; }
  RowStatistics statistics(std::int64_t row, bool argmax) const {
    return kernel_.statistics(plain(x_ + offset_[static_cast<std::size_t>(row)]), vocabulary_, scale_, argmax);
  }
  double logp(const RowStatistics& statistics, std::int64_t row) const {
    return statistics.logp(static_cast<float>(x_[offset_[static_cast<std::size_t>(row)] + tokens_[row]]), scale_);
  }
  // Writes the gradient of an unmasked row.
  void gradient(std::int64_t row, const RowUpstream& upstream) const;
  void zero(std::int64_t row) const;

 private:
  const Kernels& table_;
  const RowKernels<Plain<T>>& kernel_;
  const T* x_;
  T* out_;
  const std::int64_t* tokens_;
  const bool* mask_;
  std::int64_t vocabulary_;
  double temperature_;
  float scale_;
  std::vector<std::int64_t> offset_, out_offset_;
};

// Calls run(T{}) with the dtype of the logits that kernels_for accepted.
template <class Run>
auto with_dtype(const at::Tensor& logits, Run&& run) {
  if (logits.scalar_type() == at::kBFloat16) return run(c10::BFloat16{});
  if (logits.scalar_type() == at::kHalf) return run(c10::Half{});
  return run(float{});
}

// Rows that one thread should take at least, so that small work stays on one.
std::int64_t row_grain(std::int64_t vocabulary);

}  // namespace vlmprobe::grpo
