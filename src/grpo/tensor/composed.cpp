#include "composed.h"

#include <ATen/ops/full.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/special_entr.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>

#include "check.h"

namespace vlmprobe::grpo {
namespace {

// Of logits in the dtype of the computation. A GPU wants as many rows at a time as it has multiprocessors, and more.
constexpr std::int64_t kChunkBytes = 64 << 20, kGpuChunkBytes = 128 << 20;

// Some of the rows that count, in the dtype of the computation.
struct Chunk {
  at::Tensor index;         // [n] their places among the flattened rows
  std::int64_t begin, end;  // the same, where every row counts
  at::Tensor logits;        // [n, V], perhaps those of the caller

  // Where the rows are in a tensor of all of them.
  at::Tensor of(const at::Tensor& all) const {
    return index.defined() ? all.index_select(0, index) : all.slice(0, begin, end);
  }
  void put(const at::Tensor& all, const at::Tensor& values) const {
    if (index.defined()) {
      all.index_copy_(0, index, values.to(all.scalar_type()));
    } else {
      all.slice(0, begin, end).copy_(values);
    }
  }
};

// The rows that count, some at a time: calls run(chunk).
template <class Run>
void each_chunk(const Rows& rows, Run&& run) {
  const at::Tensor flat = rows.logits.reshape({-1, rows.logits.size(-1)});
  const at::Tensor index = rows.mask.defined() ? rows.mask.reshape({-1}).nonzero().squeeze(1) : at::Tensor();
  const at::ScalarType wide = logp_dtype(flat.scalar_type());
  const auto row_bytes = flat.size(1) * static_cast<std::int64_t>(c10::elementSize(wide));
  const std::int64_t count = index.defined() ? index.size(0) : flat.size(0);
  const std::int64_t step = std::max<std::int64_t>(1, (flat.is_cuda() ? kGpuChunkBytes : kChunkBytes) / row_bytes);
  for (std::int64_t begin = 0; begin < count; begin += step) {
    Chunk chunk{{}, begin, std::min(begin + step, count), {}};
    if (index.defined()) chunk.index = index.slice(0, begin, chunk.end);
    chunk.logits = chunk.of(flat).to(wide);
    run(chunk);
  }
}

// [n, V] whose softmax is the distribution. Over a temperature the largest logit is taken away first: a quotient that
// is not finite would be no number.
at::Tensor tempered(const Chunk& chunk, double temperature) {
  if (temperature == 1) return chunk.logits;
  return chunk.logits.sub(chunk.logits.amax(-1, true)).div_(temperature);
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
  each_chunk(rows, [&](const Chunk& chunk) {
    const at::Tensor x = tempered(chunk, rows.temperature), largest = x.amax(-1);
    const at::Tensor best = rows.temperature == 1 ? largest : chunk.logits.amax(-1);
    at::Tensor p = at::softmax(x, -1);
    const at::Tensor log_sum =
        p.amax(-1).to(at::kDouble).log().neg();  // of exp(x - largest): the largest p is 1 over it
    const at::Tensor chosen = x.gather(-1, chunk.of(tokens).unsqueeze(-1)).squeeze(-1);
    chunk.put(results.logp, chosen.to(at::kDouble).sub(largest).sub(log_sum));
    chunk.put(results.log_z, best.to(at::kDouble).div(rows.temperature).add(log_sum));
    const at::Tensor entropy = at::special_entr_out(p, p).sum(-1);
    chunk.put(results.entropy, entropy);
    if (argmax) chunk.put(results.argmax, at::where(entropy.isnan(), at::full({}, -1, tokens.options()), x.argmax(-1)));
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
  const at::Tensor flat = out.reshape({-1, out.size(-1)});       // a view, unless the strides forbid one
  const bool surprises = from_entropy.ne(0).any().item<bool>();  // most losses ask for no gradient of the entropy
  each_chunk(rows, [&](const Chunk& chunk) {
    const auto pick = [&](const at::Tensor& tensor) {
      return chunk.of(tensor).to(chunk.logits.scalar_type()).unsqueeze(-1);
    };
    const at::Tensor x = tempered(chunk, rows.temperature), gradient = at::softmax(x, -1);
    const at::Tensor target = pick(from_logp).div(rows.temperature);
    at::Tensor slope = target;
    if (surprises) {
      const at::Tensor log_p = at::log_softmax(x, -1);
      const at::Tensor surprise = log_p.masked_fill(log_p.isneginf(), 0).add_(pick(entropy));
      slope = surprise.mul_(pick(from_entropy).div(rows.temperature)).add_(target);
    }
    gradient.mul_(slope.neg()).scatter_add_(-1, chunk.of(tokens).unsqueeze(-1), target);
    chunk.put(flat, gradient);
  });
  if (rows.mask.defined()) flat.index_fill_(0, rows.mask.reshape({-1}).logical_not().nonzero().squeeze(1), 0);
  if (!flat.is_alias_of(out)) out.copy_(flat.reshape(out.sizes()));
}

}  // namespace vlmprobe::grpo
