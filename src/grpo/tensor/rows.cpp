#include "rows.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include "check.h"
#include "composed.h"

namespace vlmprobe::grpo {
namespace {

// Where each row begins, for any strides of the leading dimensions.
std::vector<std::int64_t> row_offsets(const at::Tensor& logits) {
  const std::int64_t leading = logits.dim() - 1;
  std::int64_t count = 1;
  for (std::int64_t d = 0; d < leading; ++d) count *= logits.size(d);
  std::vector<std::int64_t> offsets(static_cast<std::size_t>(count));
  for (std::int64_t row = 0; row < count; ++row) {
    std::int64_t rest = row, offset = 0;
    for (std::int64_t d = leading - 1; d >= 0; --d) {
      offset += rest % logits.size(d) * logits.stride(d);
      rest /= logits.size(d);
    }
    offsets[static_cast<std::size_t>(row)] = offset;
  }
  return offsets;
}

template <class T>
T value(const at::Tensor& tensor, std::int64_t i) {
  return tensor.const_data_ptr<T>()[i];
}

}  // namespace

Rows rows(std::string_view op, const at::Tensor& logits, const at::Tensor& tokens,
          const std::optional<at::Tensor>& mask, double temperature) {
  const at::ScalarType dtype = logits.scalar_type();
  expect(dtype == at::kFloat || dtype == at::kBFloat16 || dtype == at::kHalf || dtype == at::kDouble, op,
         "logits: expected float32, bfloat16, float16 or float64, got {}", c10::toString(dtype));
  expect(logits.dim() >= 1 && logits.size(-1) >= 1, op, "logits: expected shape [..., V] with V >= 1, got [{}]",
         joined(logits.sizes(), ", "));
  const auto leading = logits.sizes().slice(0, static_cast<std::size_t>(logits.dim() - 1));
  const auto expect_leading = [&](const at::Tensor& tensor, std::string_view name) {
    expect(tensor.sizes() == leading, op, "{}: expected shape [{}], got [{}] (set by logits)", name,
           joined(leading, ", "), joined(tensor.sizes(), ", "));
    expect_device(tensor, logits, op, name, "logits");
  };
  expect_leading(tokens, "tokens");
  expect_dtype(tokens, at::kLong, op, "tokens");
  if (mask) {
    expect_leading(*mask, "mask");
    expect_dtype(*mask, at::kBool, op, "mask");
  }
  expect_temperature(temperature, op);

  Rows result{logits.detach(), tokens.detach().contiguous(), mask ? mask->detach().contiguous() : at::Tensor(),
              temperature};
  if (result.logits.stride(-1) != 1) result.logits = result.logits.contiguous();
  expect_tokens(mask ? result.tokens.masked_fill(result.mask.logical_not(), 0) : result.tokens, logits.size(-1), op);
  return result;
}

const Kernels* kernels_for(const at::Tensor& logits) {
  const Kernels* table = logits.device().is_cpu() ? kernels() : nullptr;
  const bool lacks = logits.scalar_type() == at::kDouble ||
                     (table != nullptr && logits.scalar_type() == at::kHalf && table->f16.statistics == nullptr);
  return lacks ? nullptr : table;
}

std::int64_t row_grain(std::int64_t vocabulary) {
  constexpr std::int64_t kSerial = 100'000;  // elements; waking threads for less costs more than it gains
  return std::max<std::int64_t>(1, kSerial / vocabulary);
}

template <class T>
RowWalk<T>::RowWalk(const Kernels& table, const Rows& rows, const at::Tensor& out)
    : table_(table),
      kernel_(row_kernels<T>(table)),
      x_(rows.logits.const_data_ptr<T>()),
      out_(out.defined() ? out.mutable_data_ptr<T>() : nullptr),
      tokens_(rows.tokens.const_data_ptr<std::int64_t>()),
      mask_(rows.mask.defined() ? rows.mask.const_data_ptr<bool>() : nullptr),
      vocabulary_(rows.logits.size(-1)),
      temperature_(rows.temperature),
      scale_(log2_scale(rows.temperature)),
      offset_(row_offsets(rows.logits)),
      out_offset_(out.defined() ? row_offsets(out) : std::vector<std::int64_t>()) {}

template <class T>
void RowWalk<T>::zero(std::int64_t row) const {
  table_.zero(out_ + out_offset_[static_cast<std::size_t>(row)], vocabulary_ * static_cast<std::int64_t>(sizeof(T)));
}

template <class T>
void RowWalk<T>::gradient(std::int64_t row, const RowUpstream& upstream) const {
  if (upstream.d_logp == 0 && upstream.d_entropy == 0 && !std::isnan(upstream.log_z)) return zero(row);
  const RowGradient gradient = grpo::row_gradient(upstream, temperature_);
  T* out = out_ + out_offset_[static_cast<std::size_t>(row)];
  kernel_.gradient(plain(x_ + offset_[static_cast<std::size_t>(row)]), plain(out), vocabulary_, gradient);
  out[tokens_[row]] = static_cast<T>(gradient.target);
}

template class RowWalk<float>;
template class RowWalk<c10::BFloat16>;
template class RowWalk<c10::Half>;

RowResults row_statistics(const Rows& rows, bool argmax) {
  const Kernels* table = kernels_for(rows.logits);
  if (table == nullptr) return composed_statistics(rows, argmax);

  const at::TensorOptions options = at::TensorOptions().device(at::kCPU);
  const auto sizes = rows.tokens.sizes();
  RowResults results{at::empty(sizes, options.dtype(at::kFloat)), at::empty(sizes, options.dtype(at::kFloat)),
                     at::empty(sizes, options.dtype(at::kDouble)),
                     at::empty(argmax ? sizes : at::IntArrayRef(0), options.dtype(at::kLong))};
  auto* logp = results.logp.mutable_data_ptr<float>();
  auto* entropy = results.entropy.mutable_data_ptr<float>();
  auto* log_z = results.log_z.mutable_data_ptr<double>();
  auto* best = argmax ? results.argmax.mutable_data_ptr<std::int64_t>() : nullptr;
  with_dtype(rows.logits, [&]<class T>(T) {
    const RowWalk<T> walk(*table, rows, {});
    at::parallel_for(0, walk.size(), row_grain(rows.logits.size(-1)), [&](std::int64_t first, std::int64_t last) {
      for (std::int64_t r = first; r < last; ++r) {
        const bool counts = walk.counts(r);
        const RowStatistics row = counts ? walk.statistics(r, argmax) : RowStatistics{.argmax = -1};
        logp[r] = counts ? static_cast<float>(walk.logp(row, r)) : 0;
        entropy[r] = static_cast<float>(row.entropy());
        log_z[r] = row.log_z();
        if (best != nullptr) best[r] = row.argmax;
      }
    });
  });
  return results;
}

void row_gradient(const Rows& rows, const RowResults& results, const at::Tensor& d_logp, const at::Tensor& d_entropy,
                  const at::Tensor& out) {
  const Kernels* table = kernels_for(rows.logits);
  if (table == nullptr) return composed_gradient(rows, results, d_logp, d_entropy, out);

  const at::Tensor from_logp = d_logp.contiguous(), from_entropy = d_entropy.contiguous();
  with_dtype(rows.logits, [&]<class T>(T) {
    const RowWalk<T> walk(*table, rows, out);
    at::parallel_for(0, walk.size(), row_grain(rows.logits.size(-1)), [&](std::int64_t first, std::int64_t last) {
      for (std::int64_t r = first; r < last; ++r) {
        if (!walk.counts(r)) {
          walk.zero(r);
          continue;
        }
        walk.gradient(r, {value<double>(results.log_z, r), value<float>(results.logp, r),
                          value<float>(results.entropy, r), value<float>(from_logp, r), value<float>(from_entropy, r)});
      }
    });
  });
}

}  // namespace vlmprobe::grpo
