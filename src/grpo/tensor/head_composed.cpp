#include <ATen/ops/empty.h>
#include <ATen/ops/index_fill.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include <limits>

#include "check.h"
#include "head.h"
#include "rows.h"
#include "vlmprobe/grpo/draw.h"

namespace vlmprobe::grpo {
namespace {

std::vector<double> numbers(const at::Tensor& tensor) {
  const at::Tensor wide = tensor.to(at::kCPU).to(at::kDouble).contiguous();
  return {wide.const_data_ptr<double>(), wide.const_data_ptr<double>() + wide.numel()};
}

class ComposedHead final : public Head {
 public:
  explicit ComposedHead(const HeadProblem& problem)
      : problem_(problem),
        tokens_(problem.tokens.to(problem.hidden.device())),
        banned_(at::tensor(problem.banned, at::kLong).to(problem.hidden.device())) {
    const at::TensorOptions options = problem.hidden.options();
    if (problem.hidden_gradient) d_hidden = at::empty(problem.hidden.sizes(), options);
    if (problem.weight_gradient) d_weight = at::zeros(problem.weight.sizes(), options);
  }

  ChunkNumbers statistics(std::int64_t begin, std::int64_t end) override {
    begin_ = begin, end_ = end;
    const at::Tensor all = logits(problem_.hidden.slice(0, begin, end));
    if (banned_.numel() > 0) all.index_fill_(1, banned_, -std::numeric_limits<double>::infinity());
    rows_ = {all, tokens_.slice(0, begin, end), {}, problem_.temperature};
    results_ = row_statistics(rows_, false);
    return {numbers(results_.logp), numbers(results_.entropy), numbers(results_.log_z)};
  }

  void gradient(const ChunkNumbers&, const ChunkUpstream& upstream) override {
    const auto column = [&](const std::vector<double>& values) {
      return at::tensor(values, at::kDouble).to(results_.logp.options());
    };
    const at::ScalarType dtype = problem_.hidden.scalar_type();
    const bool in_place = kernels_for(rows_.logits) != nullptr || rows_.logits.scalar_type() == dtype;
    at::Tensor d_logits = in_place ? rows_.logits : at::empty(rows_.logits.sizes(), problem_.hidden.options());
    row_gradient(rows_, results_, column(upstream.d_logp), column(upstream.d_entropy), d_logits);
    d_logits = d_logits.to(dtype);
    if (d_hidden.defined()) d_hidden.slice(0, begin_, end_).copy_(at::mm(d_logits, problem_.weight));
    if (d_weight.defined()) d_weight.addmm_(d_logits.t(), problem_.hidden.slice(0, begin_, end_));
  }

  HeadDraws draw(const ChunkNumbers&, const double* u) override {
    const at::Tensor uniform = at::empty({end_ - begin_}, at::kDouble);
    std::copy_n(u, end_ - begin_, uniform.mutable_data_ptr<double>());
    const Drawn drawn = draw_tokens(rows_.logits, uniform, problem_.temperature);
    const at::Tensor token = drawn.token.to(at::kCPU);
    const auto* id = token.const_data_ptr<std::int64_t>();
    return {{id, id + token.numel()}, numbers(drawn.logp)};
  }

 private:
  // float32 logits, whatever the dtype: rounded to 16 bits a log-probability would be off by up to 0.07 nats.
  at::Tensor logits(const at::Tensor& hidden) const {
    const at::ScalarType wide = logp_dtype(hidden.scalar_type());
    if (hidden.scalar_type() == wide) return at::mm(hidden, problem_.weight.t());
    if (hidden.is_cuda()) return at::mm(hidden, problem_.weight.t(), wide);
    constexpr std::int64_t kRows = 8192;  // of the vocabulary, widened at a time
    const at::Tensor wide_hidden = hidden.to(wide);
    const at::Tensor all = at::empty({hidden.size(0), problem_.weight.size(0)}, hidden.options().dtype(wide));
    for (std::int64_t v = 0; v < all.size(1); v += kRows) {
      const std::int64_t end = std::min(v + kRows, all.size(1));
      all.slice(1, v, end).copy_(at::mm(wide_hidden, problem_.weight.slice(0, v, end).to(wide).t()));
    }
    return all;
  }

  HeadProblem problem_;
  at::Tensor tokens_, banned_;
  Rows rows_;
  RowResults results_;
  std::int64_t begin_ = 0, end_ = 0;
};

}  // namespace

std::unique_ptr<Head> composed_head(const HeadProblem& problem) {
  return std::make_unique<ComposedHead>(problem);
}

}  // namespace vlmprobe::grpo
