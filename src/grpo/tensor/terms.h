// What a loss needs beside the log-probabilities, checked once and laid out for the loops. For src/grpo only.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <string_view>
#include <vector>

#include "vlmprobe/grpo/options.h"
#include "vlmprobe/grpo/sequence_loss.h"

namespace vlmprobe::grpo {

// As LossInputs, with the normalizer.
struct TermInputs {
  std::optional<at::Tensor> old_logp;
  at::Tensor advantages, mask;
  std::optional<at::Tensor> ref_logp;
  at::Tensor normalizer;
};

// [B, T] contiguous on the CPU, in the dtype of the log-probabilities.
struct Terms {
  LossOptions options;
  std::int64_t sequences, length;
  at::Tensor old_logp, ref_logp;  // undefined: on-policy, no reference
  at::Tensor advantages, mask;
  std::vector<double> weight;  // [B], token_weight of options.h

  // The tokens [begin, begin + count) of the flattened batch, with their log-probabilities and entropies.
  template <class T>
  SequenceView<T> view(std::int64_t begin, std::int64_t count, const T* logp, const T* entropy) const {
    const auto part = [&](const at::Tensor& tensor) {
      return tensor.defined() ? std::span<const T>(tensor.const_data_ptr<T>() + begin, static_cast<std::size_t>(count))
                              : std::span<const T>();
    };
    const auto size = static_cast<std::size_t>(count);
    return {{logp, size},     part(old_logp),  part(ref_logp),
            part(advantages), {entropy, size}, {mask.const_data_ptr<bool>() + begin, size}};
  }
};

// Throws InvalidArgument in the name of `op` on shapes other than [B, T] (set by `set_by`), other dtypes, a NaN or
// infinite advantage where the mask is true, a normalizer outside [0, inf), or a missing ref_logp.
Terms terms(std::string_view op, std::string_view set_by, at::IntArrayRef sizes, at::ScalarType dtype,
            const TermInputs& inputs, const LossOptions& options);

// The loss over the sequences [first, last), and its gradients in logp and entropy; all tensors [B, T] contiguous CPU.
LossTotals loss_pass(const Terms& terms, std::int64_t first, std::int64_t last, const at::Tensor& logp,
                     const at::Tensor& entropy, const at::Tensor& d_logp, const at::Tensor& d_entropy);

// Means of the totals, as the operators return them: [kMonitors] float64 on the CPU, in the order of Loss's methods.
at::Tensor monitors(const LossTotals& totals, const Terms& terms, bool has_entropy);

}  // namespace vlmprobe::grpo
