// The loops of second_moment.cpp for one instruction set. Included once per set, inside a namespace of its own, with
//   VLMPROBE_TARGET  the attribute that names the set; vector types are lowered by it, so each function carries it
//   VLMPROBE_LANES   doubles in a register
//   VLMPROBE_ROWS    rows of a tile: ROWS x 3 sums, 3 columns and a broadcast fit the set's registers

using Vector [[gnu::vector_size(8 * VLMPROBE_LANES)]] = double;
inline constexpr int kTileRows = VLMPROBE_ROWS, kTileColumns = 3 * VLMPROBE_LANES, kParts = kPanel / VLMPROBE_LANES;

VLMPROBE_TARGET inline Vector load(const double* from) {
  Vector values;
  __builtin_memcpy(&values, from, sizeof values);  // on any boundary
  return values;
}
VLMPROBE_TARGET inline void store(double* to, Vector values) {
  __builtin_memcpy(to, &values, sizeof values);
}

// s[r][c] += sum_k a[k][r] b[k][c] for kColumns registers of a tile; a and b point into panels, whose rows are
// kPanel apart.
template <int kColumns>
VLMPROBE_TARGET inline void add_tile(const double* a, const double* b, std::int64_t depth, double* s,
                                     std::int64_t stride) {
  Vector sum[kTileRows][kColumns] = {};
  for (std::int64_t k = 0; k < depth; ++k, a += kPanel, b += kPanel) {
    Vector columns[kColumns];
#pragma GCC unroll 3
    for (int part = 0; part < kColumns; ++part) columns[part] = load(b + part * VLMPROBE_LANES);
#pragma GCC unroll 8
    for (int r = 0; r < kTileRows; ++r)
#pragma GCC unroll 3
      for (int part = 0; part < kColumns; ++part) sum[r][part] += a[r] * columns[part];
  }
#pragma GCC unroll 8
  for (int r = 0; r < kTileRows; ++r, s += stride)
#pragma GCC unroll 3
    for (int part = 0; part < kColumns; ++part) {
      double* out = s + part * VLMPROBE_LANES;
      store(out, load(out) + sum[r][part]);
    }
}

// A tile that starts `above` columns before its first row's diagonal: no more of it than reaches into the triangle.
VLMPROBE_TARGET inline void add_lower_tile(std::int64_t above, const double* a, const double* b, std::int64_t depth,
                                           double* s, std::int64_t stride) {
  const std::int64_t columns = above + kTileRows;
  if (columns > 2 * VLMPROBE_LANES) return add_tile<3>(a, b, depth, s, stride);
  if (columns > VLMPROBE_LANES) return add_tile<2>(a, b, depth, s, stride);
  if (columns > 0) add_tile<1>(a, b, depth, s, stride);
}

VLMPROBE_TARGET void add_product(const double* panels, std::int64_t count, std::int64_t depth, double* s) {
  const std::int64_t stride = count * kPanel;
  for (std::int64_t p = 0; p < count; ++p)
    for (std::int64_t q = 0; q <= p; ++q)
      for (std::int64_t r = 0; r < kPanel; r += kTileRows)
        for (std::int64_t c = 0; c < kPanel; c += kTileColumns) {
          const std::int64_t row = p * kPanel + r, column = q * kPanel + c;
          add_lower_tile(row - column, panels + p * kBlock * kPanel + r, panels + q * kBlock * kPanel + c, depth,
                         s + row * stride + column, stride);
        }
}

// kPanel values in float64, and their squares added to `squares`.
template <class T>
VLMPROBE_TARGET inline void widen_panel(const T* from, double* to, Vector* squares) {
  using Narrow [[gnu::vector_size(sizeof(T) * VLMPROBE_LANES)]] = T;
#pragma GCC unroll 12
  for (int part = 0; part < kParts; ++part) {
    Narrow narrow;
    __builtin_memcpy(&narrow, from + part * VLMPROBE_LANES, sizeof narrow);
    const Vector wide = __builtin_convertvector(narrow, Vector);
    store(to + part * VLMPROBE_LANES, wide);
    squares[part] += wide * wide;
  }
}

// The row in float64, zeros up to the next panel; returns the sum of its squares.
template <class T>
VLMPROBE_TARGET double widen(const T* row, std::int64_t size, double* wide) {
  Vector squares[kParts] = {};
  std::int64_t j = 0;
  for (; j + kPanel <= size; j += kPanel) widen_panel(row + j, wide + j, squares);
  if (j < size) {
    T last[kPanel] = {};
    for (std::int64_t i = j; i < size; ++i) last[i - j] = row[i];
    widen_panel(last, wide + j, squares);
  }
  Vector strands = {};
  for (const Vector& part : squares) strands += part;
  double sum = 0;
  for (int lane = 0; lane < VLMPROBE_LANES; ++lane) sum += strands[lane];
  return sum;
}

// wide * scale as row k of the panels.
VLMPROBE_TARGET void pack(const double* wide, double scale, std::int64_t count, std::int64_t k, double* panels) {
  for (std::int64_t p = 0; p < count; ++p, wide += kPanel) {
    double* out = panels + (p * kBlock + k) * kPanel;
#pragma GCC unroll 12
    for (int part = 0; part < kParts; ++part)
      store(out + part * VLMPROBE_LANES, load(wide + part * VLMPROBE_LANES) * scale);
  }
}

template <class T>
VLMPROBE_TARGET BadRow add_rows(const T* rows, std::int64_t n, std::int64_t d, double* s) {
  const std::int64_t count = panels_of(d);
  const Buffer panels(static_cast<std::size_t>(count * kBlock * kPanel));
  const Buffer wide(static_cast<std::size_t>(count * kPanel));
  for (std::int64_t begin = 0; begin < n; begin += kBlock) {
    const std::int64_t depth = n - begin < kBlock ? n - begin : kBlock;
    for (std::int64_t k = 0; k < depth; ++k) {
      const double length = std::sqrt(widen(rows + (begin + k) * d, d, wide.data()));
      if (!is_unit(length)) return {begin + k, length};
      pack(wide.data(), 1 / length, count, k, panels.data());
    }
    add_product(panels.data(), count, depth, s);
  }
  return {};
}

// One pass over the lower triangle of the leading [size, size] part of a: the last reflection's update
// a -= q u^T + u q^T, and y = a v of what that leaves. y starts at 0.
VLMPROBE_TARGET inline void update_and_multiply(double* a, std::int64_t stride, std::int64_t size, const double* u,
                                                const double* q, const double* v, double* y) {
  for (std::int64_t i = 0; i < size; ++i) {
    double* row = a + i * stride;
    Vector strands = {};
    std::int64_t j = 0;
    for (; j + VLMPROBE_LANES <= i; j += VLMPROBE_LANES) {
      const Vector left = load(row + j) - q[i] * load(u + j) - u[i] * load(q + j);
      store(row + j, left);
      strands += left * load(v + j);
      store(y + j, load(y + j) + left * v[i]);
    }
    double dot = 0;
    for (int lane = 0; lane < VLMPROBE_LANES; ++lane) dot += strands[lane];
    for (; j < i; ++j) {
      row[j] -= q[i] * u[j] + u[i] * q[j];
      dot += row[j] * v[j], y[j] += row[j] * v[i];
    }
    row[i] -= 2 * q[i] * u[i];
    y[i] += dot + row[i] * v[i];
  }
}

// Householder reflections from the last row up; a's lower triangle is used up.
VLMPROBE_TARGET void reduce(double* a, std::int64_t n, double* diagonal, double* below) {
  std::vector<double> u(n), q(n), v(n), y(n);
  for (std::int64_t i = n - 1; i >= 0; --i) {
    double* row = a + i * n;
    for (std::int64_t j = 0; j <= i; ++j) row[j] -= q[i] * u[j] + u[i] * q[j];
    diagonal[i] = row[i];
    if (i == 0) break;

    double rest = 0;
    for (std::int64_t j = 0; j + 1 < i; ++j) rest += row[j] * row[j];
    const double last = row[i - 1], length = std::copysign(std::sqrt(rest + last * last), last);
    const double half = rest > 0 ? length * (length + last) : 1;  // v.v / 2
    below[i - 1] = rest > 0 ? -length : last;
    for (std::int64_t j = 0; j < i; ++j) v[j] = rest > 0 ? row[j] : 0, y[j] = 0;
    if (rest > 0) v[i - 1] += length;

    update_and_multiply(a, n, i, u.data(), q.data(), v.data(), y.data());
    double product = 0;
    for (std::int64_t j = 0; j < i; ++j) product += v[j] * y[j];
    for (std::int64_t j = 0; j < i; ++j) q[j] = (y[j] - product / (2 * half) * v[j]) / half, u[j] = v[j];
  }
}
