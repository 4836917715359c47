#include "symmetric_product.h"

#include <ATen/Parallel.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>

#include "vlmprobe/core/error.h"

namespace vlmprobe::metrics {
namespace {

constexpr std::int64_t kDepth = 128;  // rows per block: one group of panels and the block fit in L1 and L2

#if defined(__x86_64__)
namespace avx512 {
#define VLMPROBE_TARGET __attribute__((target("avx512f,fma")))
#define VLMPROBE_LANES 8
#define VLMPROBE_ROWS 8
#define VLMPROBE_PANELS 3
#include "symmetric_tile.inc"
#undef VLMPROBE_TARGET
#undef VLMPROBE_LANES
#undef VLMPROBE_ROWS
#undef VLMPROBE_PANELS
}  // namespace avx512
namespace avx2 {
#define VLMPROBE_TARGET __attribute__((target("avx2,fma")))
#define VLMPROBE_LANES 4
#define VLMPROBE_ROWS 4
#define VLMPROBE_PANELS 1
#include "symmetric_tile.inc"
#undef VLMPROBE_TARGET
#undef VLMPROBE_LANES
#undef VLMPROBE_ROWS
#undef VLMPROBE_PANELS
}  // namespace avx2
#endif
namespace baseline {
#define VLMPROBE_TARGET
#define VLMPROBE_LANES 2
#define VLMPROBE_ROWS 2
#define VLMPROBE_PANELS 1
#include "symmetric_tile.inc"
}  // namespace baseline

template <class T>
struct Kernels {
  void (*accumulate)(const double* packed, std::int64_t panels, std::int64_t depth, double* product);
  double (*sum_of_squares)(const T* row, std::int64_t count);
  void (*pack_row)(const T* row, std::int64_t count, double scale, double* packed);
};

template <class T>
Kernels<T> kernels() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f")) return {avx512::accumulate, avx512::sum_of_squares<T>, avx512::pack_row<T>};
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    return {avx2::accumulate, avx2::sum_of_squares<T>, avx2::pack_row<T>};
#endif
  return {baseline::accumulate, baseline::sum_of_squares<T>, baseline::pack_row<T>};
}

// The first bad row that one chunk met; `row` is n where there is none.
struct Bad {
  std::int64_t row;
  double length;
};

template <class T>
class Source {
 public:
  explicit Source(const at::Tensor& rows)
      : n_(rows.size(0)), d_(rows.size(1)), data_(rows.const_data_ptr<T>()), kernels_(kernels<T>()) {}

  std::int64_t n() const { return n_; }
  std::int64_t d() const { return d_; }
  const Kernels<T>& kernels_of() const { return kernels_; }

  // 1 / length of a row; keeps the first row that is bad.
  double scale(std::int64_t row, Bad& bad) const {
    const double length = std::sqrt(kernels_.sum_of_squares(data_ + row * d_, d_));
    if (!(std::abs(length - 1) <= 1e-3) && bad.row == n_) bad = {row, length};
    return 1 / length;
  }

  // Rows first .. end - 1 as the block's depth.
  void pack_rows(std::int64_t first, std::int64_t end, double* packed, Bad& bad) const {
    for (std::int64_t row = first; row < end; ++row)
      kernels_.pack_row(data_ + row * d_, d_, scale(row, bad), packed + (row - first) * kPanel);
  }
  // Columns first .. end - 1 as the block's depth.
  void pack_columns(std::int64_t first, std::int64_t end, const std::vector<double>& scales, double* packed) const {
    for (std::int64_t row = 0; row < n_; ++row) {
      double* to = packed + row / kPanel * kDepth * kPanel + row % kPanel;
      for (std::int64_t k = first; k < end; ++k)
        to[(k - first) * kPanel] = scales[static_cast<std::size_t>(row)] * static_cast<double>(data_[row * d_ + k]);
    }
  }

 private:
  std::int64_t n_, d_;
  const T* data_;
  Kernels<T> kernels_;
};

void require_good(const Bad& bad, std::int64_t n, std::string_view op, std::string_view name) {
  if (bad.row == n) return;
  expect(std::isfinite(bad.length), op, "{}: row {} is not finite", name, bad.row);
  expect(false, op, "{}: row {} must be of unit length, got {}", name, bad.row, bad.length);
}

// Runs `work(chunk, first, end)` over `depth` in chunks whose number depends on the shape alone.
template <class Work>
void in_chunks(std::int64_t depth, std::int64_t chunks, const Work& work) {
  const std::int64_t blocks = (depth + kDepth - 1) / kDepth;
  at::parallel_for(0, chunks, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t c = begin; c < end; ++c)
      work(static_cast<std::size_t>(c), blocks * c / chunks * kDepth,
           std::min(depth, blocks * (c + 1) / chunks * kDepth));
  });
}

// At least 8 blocks a chunk, and 64 MiB of partial sums at most.
std::int64_t chunk_count(std::int64_t depth, std::int64_t stride) {
  const std::int64_t by_work = depth / (8 * kDepth), by_memory = (std::int64_t{8} << 20) / (stride * stride + 1);
  return std::clamp<std::int64_t>(std::min(by_work, by_memory), 1, kMaxChunks);
}

template <class T>
Product product_of(const Source<T>& source, Form form, std::string_view op, std::string_view name) {
  const std::int64_t size = form == Form::dual ? source.d() : source.n();
  const std::int64_t depth = form == Form::dual ? source.n() : source.d();
  const std::int64_t panels = (size + kPanel - 1) / kPanel, stride = panels * kPanel;
  const std::int64_t chunks = chunk_count(depth, stride);
  std::vector<std::vector<double>> partial(static_cast<std::size_t>(chunks));
  std::vector<Bad> bad(static_cast<std::size_t>(chunks), Bad{source.n(), 0});

  std::vector<double> scales;
  if (form == Form::gram) {
    for (std::int64_t row = 0; row < source.n(); ++row) scales.push_back(source.scale(row, bad[0]));
    require_good(bad[0], source.n(), op, name);
  }
  in_chunks(depth, chunks, [&](std::size_t chunk, std::int64_t first, std::int64_t end) {
    const at::Tensor block = at::zeros({stride * kDepth}, at::kDouble);  // its memory is aligned to a cache line
    double* packed = block.mutable_data_ptr<double>();
    partial[chunk].resize(static_cast<std::size_t>(stride * stride));
    for (; first < end; first += kDepth) {
      const std::int64_t last = std::min(first + kDepth, end);
      form == Form::dual ? source.pack_rows(first, last, packed, bad[chunk])
                         : source.pack_columns(first, last, scales, packed);
      source.kernels_of().accumulate(packed, panels, last - first, partial[chunk].data());
    }
  });

  for (const Bad& one : bad) require_good(one, source.n(), op, name);
  for (std::size_t chunk = 1; chunk < partial.size(); ++chunk)
    for (std::size_t i = 0; i < partial[0].size(); ++i) partial[0][i] += partial[chunk][i];
  return {size, stride, std::move(partial[0])};
}

}  // namespace

Product symmetric_product(const at::Tensor& rows, Form form, std::string_view op, std::string_view name) {
  expect(rows.scalar_type() == at::kFloat || rows.scalar_type() == at::kDouble, op,
         "{}: expected float32 or float64, got {}", name, c10::toString(rows.scalar_type()));
  const at::Tensor here = rows.detach().to(at::kCPU).contiguous();
  return here.scalar_type() == at::kFloat ? product_of(Source<float>(here), form, op, name)
                                          : product_of(Source<double>(here), form, op, name);
}

}  // namespace vlmprobe::metrics
