#include "vlmprobe/grpo/draw.h"

#include <ATen/Parallel.h>
#include <ATen/ops/cumsum.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/minimum.h>
#include <ATen/ops/searchsorted.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "check.h"
#include "rows.h"

namespace vlmprobe::grpo {
namespace {

constexpr std::string_view kOp = "grpo::draw_tokens";
constexpr std::int64_t kBlock = 512;  // words whose sum is skipped at a time

void check_distributions(const at::Tensor& log_z) {
  const at::Tensor here = log_z.to(at::kCPU);
  const auto* z = here.const_data_ptr<double>();
  for (std::int64_t r = 0; r < here.numel(); ++r)
    expect(std::isfinite(z[r]), kOp, "logits: row {} has no distribution", r);
}

// Eight partial sums, so that compilers can use vectors.
double block_sum(const float* p, std::int64_t size) {
  float lane[8] = {};
  std::int64_t v = 0;
  for (; v + 8 <= size; v += 8)
    for (std::int64_t i = 0; i < 8; ++i) lane[i] += p[v + i];
  double sum = 0;
  for (const float part : lane) sum += part;
  for (; v < size; ++v) sum += p[v];
  return sum;
}

// The first word of [v, end) that brings the sum above `wanted`, else the last one with weight: of sums that round
// differently the block's own decided. Zeros are never it.
std::int64_t invert_block(const float* p, std::int64_t v, std::int64_t end, double below, double wanted) {
  std::int64_t last = -1;
  for (; v < end; ++v) {
    if (p[v] <= 0) continue;
    last = v;
    if ((below += p[v]) > wanted) break;
  }
  return last;
}

std::int64_t invert(const float* p, std::int64_t size, double u, std::vector<double>& sums) {
  sums.clear();
  double whole = 0;
  std::int64_t last = 0;  // block with weight
  for (std::int64_t v = 0; v < size; v += kBlock) {
    whole += sums.emplace_back(block_sum(p + v, std::min(kBlock, size - v)));
    if (sums.back() > 0) last = v;
  }
  double below = 0;
  std::int64_t v = 0;
  for (; v < last && below + sums[static_cast<std::size_t>(v / kBlock)] <= u * whole; v += kBlock)
    below += sums[static_cast<std::size_t>(v / kBlock)];
  return invert_block(p, v, std::min(v + kBlock, size), below, u * whole);
}

// The weights p = softmax of one row are the gradient of -temperature logp, but for the token's own term.
template <class T>
void draw_rows(const Kernels& table, const Rows& rows, const RowResults& results, const double* u,
               std::int64_t* token) {
  const std::int64_t count = rows.tokens.numel(), vocabulary = rows.logits.size(-1);
  const at::Tensor logits = rows.logits.contiguous();
  const T* x = logits.const_data_ptr<T>();
  const double* log_z = results.log_z.const_data_ptr<double>();
  at::parallel_for(0, count, row_grain(vocabulary), [&](std::int64_t first, std::int64_t last) {
    std::vector<float> wide(static_cast<std::size_t>(vocabulary)), p(wide.size());
    std::vector<double> sums;
    for (std::int64_t r = first; r < last; ++r) {
      std::copy_n(x + r * vocabulary, vocabulary, wide.begin());
      const RowGradient weights = row_gradient({log_z[r], 0, 0, -rows.temperature, 0}, rows.temperature);
      table.f32.gradient(wide.data(), p.data(), vocabulary, weights);
      token[r] = invert(p.data(), vocabulary, u[r], sums);
    }
  });
}

at::Tensor draw_composed(const at::Tensor& logits, const at::Tensor& uniform, double temperature) {
  const at::Tensor cumulative = at::cumsum(at::softmax(logits.to(at::kDouble).div(temperature), -1), -1);
  const at::Tensor wanted = uniform.to(logits.device()).mul(cumulative.select(-1, logits.size(-1) - 1));
  const at::Tensor found = at::searchsorted(cumulative, wanted.unsqueeze(-1), false, true).squeeze(-1);
  const at::Tensor last =
      at::searchsorted(cumulative, cumulative.slice(-1, logits.size(-1) - 1).contiguous()).squeeze(-1);
  return at::minimum(found, last);  // never a word without weight behind the last one
}

}  // namespace

Drawn draw_tokens(const at::Tensor& logits, const at::Tensor& uniform, double temperature) {
  expect_defined(kOp, {{"logits", logits}, {"uniform", uniform}});
  expect(logits.dim() == 2 && logits.size(1) >= 1, kOp, "logits: expected shape [N, V] with V >= 1, got [{}]",
         joined(logits.sizes(), ", "));
  const std::int64_t count = logits.size(0);
  const at::Tensor numbers = uniform.detach().contiguous();
  expect_uniform(numbers, count, kOp);
  const at::Tensor none = at::zeros({count}, logits.options().dtype(at::kLong));
  Rows batch = rows(kOp, logits, none, std::nullopt, temperature);
  const RowResults results = row_statistics(batch, false);
  check_distributions(results.log_z);

  Drawn drawn;
  if (const Kernels* table = kernels_for(batch.logits)) {
    drawn.token = at::empty({count}, none.options());
    with_dtype(batch.logits, [&]<class T>(T) {
      draw_rows<T>(*table, batch, results, numbers.const_data_ptr<double>(),
                   drawn.token.mutable_data_ptr<std::int64_t>());
    });
  } else {
    drawn.token = draw_composed(batch.logits, numbers, temperature);
  }

  const at::ScalarType dtype = logp_dtype(logits.scalar_type());
  const at::Tensor chosen = batch.logits.gather(1, drawn.token.unsqueeze(1)).squeeze(1).to(at::kDouble);
  drawn.logp = chosen.div(temperature).sub(results.log_z).to(dtype);
  return drawn;
}

}  // namespace vlmprobe::grpo
