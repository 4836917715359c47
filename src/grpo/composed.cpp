#include "composed.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/full.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>

#include "check.h"

namespace vlmprobe::grpo {
namespace {

constexpr std::int64_t kChunkBytes = 64 << 20;  // of logits in the dtype of the computation

// The rows that count, some at a time: calls run(indices into the flattened rows, their logits less the largest and
// over the temperature, the largest logit). A row without a distribution is NaN by then.
template <class Run>
void each_chunk(const Rows& rows, Run&& run) {
  const at::Tensor flat = rows.logits.reshape({-1, rows.logits.size(-1)});
  const at::Tensor index = rows.mask.defined() ? rows.mask.reshape({-1}).nonzero().squeeze(1)
                                               : at::arange(flat.size(0), rows.tokens.options());
  const at::ScalarType wide = logp_dtype(flat.scalar_type());
  const auto row_bytes = flat.size(1) * static_cast<std::int64_t>(c10::elementSize(wide));
  const std::int64_t step = std::max<std::int64_t>(1, kChunkBytes / row_bytes);
  for (std::int64_t begin = 0; begin < index.size(0); begin += step) {
    const at::Tensor part = index.slice(0, begin, std::min(begin + step, index.size(0)));
    const at::Tensor x = flat.index_select(0, part).to(wide), largest = x.amax(-1, true);
    run(part, x.sub(largest).div(rows.temperature), largest.squeeze(-1));
  }
}

}  // namespace

RowResults composed_statistics(const Rows& rows, bool argmax) {
  const at::ScalarType wide = logp_dtype(rows.logits.scalar_type());
  const std::int64_t count = rows.tokens.numel();
  const at::TensorOptions options = rows.logits.options();
  const at::Tensor tokens = rows.tokens.reshape({-1});
  RowResults results{at::zeros({count}, options.dtype(wide)), at::zeros({count}, options.dtype(wide)),
                     at::zeros({count}, options.dtype(at::kDouble)),
                     at::full({argmax ? count : 0}, -1, options.dtype(at::kLong))};
  each_chunk(rows, [&](const at::Tensor& index, const at::Tensor& x, const at::Tensor& largest) {
    const at::Tensor log_p = at::log_softmax(x, -1);
    const at::Tensor chosen = tokens.index_select(0, index).unsqueeze(-1), logp = log_p.gather(-1, chosen);
    const at::Tensor log_z = largest.to(at::kDouble).div(rows.temperature).sub(log_p.amax(-1));
    // 0 log 0: the logarithm is replaced before the product, because 0 * -inf is NaN.
    const at::Tensor entropy = log_p.exp().mul(log_p.masked_fill(log_p.isneginf(), 0)).sum(-1).neg();
    results.logp.index_copy_(0, index, logp.squeeze(-1));
    results.entropy.index_copy_(0, index, entropy);
    results.log_z.index_copy_(0, index, log_z.squeeze(-1));
    if (argmax)
      results.argmax.index_copy_(0, index,
                                 at::where(entropy.isnan(), at::full({}, -1, tokens.options()), x.argmax(-1)));
  });
  const auto shaped = [&](const at::Tensor& tensor) { return tensor.reshape(rows.tokens.sizes()); };
  return {shaped(results.logp), shaped(results.entropy), shaped(results.log_z),
          argmax ? shaped(results.argmax) : results.argmax};
}

void composed_gradient(const Rows& rows, const RowResults& results, const at::Tensor& d_logp,
                       const at::Tensor& d_entropy, const at::Tensor& out) {
  const at::Tensor tokens = rows.tokens.reshape({-1});
  const at::Tensor entropy = results.entropy.reshape({-1});
  const at::Tensor from_logp = d_logp.reshape({-1}), from_entropy = d_entropy.reshape({-1});
  const at::Tensor flat = out.reshape({-1, out.size(-1)});  // a view, unless the strides forbid one
  each_chunk(rows, [&](const at::Tensor& index, const at::Tensor& x, const at::Tensor&) {
    const auto pick = [&](const at::Tensor& tensor) {
      return tensor.index_select(0, index).to(x.scalar_type()).unsqueeze(-1);
    };
    const at::Tensor log_p = at::log_softmax(x, -1), p = log_p.exp();
    const at::Tensor surprise = log_p.masked_fill(log_p.isneginf(), 0).add(pick(entropy));
    const at::Tensor gradient = p.mul(surprise.mul(pick(from_entropy)).add(pick(from_logp))).neg();
    gradient.scatter_add_(-1, tokens.index_select(0, index).unsqueeze(-1), pick(from_logp));
    gradient.div_(rows.temperature);
    flat.index_copy_(0, index, gradient.to(out.scalar_type()));
  });
  if (rows.mask.defined()) flat.index_fill_(0, rows.mask.reshape({-1}).logical_not().nonzero().squeeze(1), 0);
  if (!flat.is_alias_of(out)) out.copy_(flat.reshape(out.sizes()));
}

}  // namespace vlmprobe::grpo
