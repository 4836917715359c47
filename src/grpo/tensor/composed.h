// The rows of rows.h by ATen's operators, in chunks, on any device and for any dtype. For src/grpo only.
#pragma once

#include "rows.h"

namespace vlmprobe::grpo {

RowResults composed_statistics(const Rows& rows, bool argmax);
void composed_gradient(const Rows& rows, const RowResults& results, const at::Tensor& d_logp,
                       const at::Tensor& d_entropy, const at::Tensor& out);

}  // namespace vlmprobe::grpo
