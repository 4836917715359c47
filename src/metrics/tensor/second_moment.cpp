#include "second_moment.h"

#include <ATen/Parallel.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <new>
#include <vector>

#include "vlmprobe/core/error.h"

namespace vlmprobe::metrics {
namespace {

constexpr std::int64_t kPanel = 24;  // columns side by side in a packed block; a multiple of every tile
constexpr std::int64_t kBlock = 96;  // rows packed at a time: two of their panels fit the first cache
constexpr std::int64_t kSliceRows = 4096, kMaxSlices = 16, kMaxSums = std::int64_t{1} << 24;  // doubles in all slices

struct BadRow {
  std::int64_t row = -1;  // -1: none
  double length = 0;
};

// Zeros on a boundary of 64 bytes.
class Buffer {
 public:
  explicit Buffer(std::size_t size) : data_(static_cast<double*>(::operator new(size * sizeof(double), kAlign))) {
    std::fill(data_, data_ + size, 0.0);
  }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer() { ::operator delete(data_, kAlign); }
  double* data() const { return data_; }

 private:
  static constexpr std::align_val_t kAlign{64};
  double* data_;
};

std::int64_t panels_of(std::int64_t d) {
  return (d + kPanel - 1) / kPanel;
}

namespace portable {
#define VLMPROBE_TARGET
#define VLMPROBE_LANES 2
#define VLMPROBE_ROWS 4
#include "moment_kernel.inl"
#undef VLMPROBE_TARGET
#undef VLMPROBE_LANES
#undef VLMPROBE_ROWS
}  // namespace portable

#if defined(__x86_64__) && defined(__GNUC__)
namespace avx2 {
#define VLMPROBE_TARGET [[gnu::target("avx2,fma")]]
#define VLMPROBE_LANES 4
#define VLMPROBE_ROWS 4
#include "moment_kernel.inl"
#undef VLMPROBE_TARGET
#undef VLMPROBE_LANES
#undef VLMPROBE_ROWS
}  // namespace avx2

namespace avx512 {
#define VLMPROBE_TARGET [[gnu::target("avx512f,avx512dq,avx512vl,avx512bw,avx2,fma")]]
#define VLMPROBE_LANES 8
#define VLMPROBE_ROWS 8
#include "moment_kernel.inl"
#undef VLMPROBE_TARGET
#undef VLMPROBE_LANES
#undef VLMPROBE_ROWS
}  // namespace avx512

bool has_avx512() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw");
}
bool has_avx2() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}
#endif

template <class T>
using AddRows = BadRow (*)(const T* rows, std::int64_t n, std::int64_t d, double* s);

template <class T>
AddRows<T> add_rows_here() {
#if defined(__x86_64__) && defined(__GNUC__)
  if (has_avx512()) return avx512::add_rows<T>;
  if (has_avx2()) return avx2::add_rows<T>;
#endif
  return portable::add_rows<T>;
}

using Reduce = void (*)(double* a, std::int64_t n, double* diagonal, double* below);

Reduce reduce_here() {
#if defined(__x86_64__) && defined(__GNUC__)
  if (has_avx512()) return avx512::reduce;
  if (has_avx2()) return avx2::reduce;
#endif
  return portable::reduce;
}

// By the shape alone. Slices are as even as their number allows.
std::int64_t slices_of(std::int64_t n, std::int64_t size) {
  const std::int64_t most = std::clamp<std::int64_t>(kMaxSums / (size * size), 1, kMaxSlices);
  return std::clamp<std::int64_t>(n / kSliceRows, 1, most);
}

template <class T>
at::Tensor moment(const at::Tensor& rows, std::string_view op, std::string_view name) {
  const std::int64_t n = rows.size(0), d = rows.size(1), size = panels_of(d) * kPanel;
  const T* x = rows.const_data_ptr<T>();
  const std::int64_t slices = slices_of(n, size);
  const Buffer sums(static_cast<std::size_t>(slices * size * size));
  std::vector<BadRow> bad(static_cast<std::size_t>(slices));
  const AddRows<T> add_rows = add_rows_here<T>();
  at::parallel_for(0, slices, 1, [&](std::int64_t from, std::int64_t to) {
    for (std::int64_t i = from; i < to; ++i) {
      const std::int64_t begin = n * i / slices, end = n * (i + 1) / slices;
      BadRow& found = bad[static_cast<std::size_t>(i)] =
          add_rows(x + begin * d, end - begin, d, sums.data() + i * size * size);
      if (found.row >= 0) found.row += begin;
    }
  });
  for (const BadRow& found : bad)
    if (found.row >= 0) require_unit(found.length, found.row, op, name);

  at::Tensor out = at::zeros({d, d}, at::kDouble);
  double* s = out.mutable_data_ptr<double>();
  for (std::int64_t i = 0; i < slices; ++i)
    for (std::int64_t r = 0; r < d; ++r) {
      const double* row = sums.data() + (i * size + r) * size;
      for (std::int64_t c = 0; c <= r; ++c) s[r * d + c] += row[c];
    }
  for (std::int64_t r = 0; r < d; ++r)
    for (std::int64_t c = 0; c < r; ++c) s[c * d + r] = s[r * d + c];
  return out;
}

}  // namespace

void require_unit(double length, std::int64_t row, std::string_view op, std::string_view name) {
  expect(std::isfinite(length), op, "{}: row {} is not finite", name, row);
  expect(is_unit(length), op, "{}: row {} must be of unit length, got {}", name, row, length);
}

at::Tensor second_moment(const at::Tensor& rows, std::string_view op, std::string_view name) {
  expect(rows.scalar_type() == at::kFloat || rows.scalar_type() == at::kDouble, op,
         "{}: expected float32 or float64, got {}", name, c10::toString(rows.scalar_type()));
  const at::Tensor here = rows.detach().to(at::kCPU).contiguous();
  return here.scalar_type() == at::kFloat ? moment<float>(here, op, name) : moment<double>(here, op, name);
}

void tridiagonalise(double* a, std::int64_t n, double* diagonal, double* below) {
  reduce_here()(a, n, diagonal, below);
}

}  // namespace vlmprobe::metrics
