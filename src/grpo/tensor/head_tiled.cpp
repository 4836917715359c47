// Logits are computed transposed, a tile of 128 rows of the vocabulary times all tokens of the chunk, so that the
// head's weight needs no packing and statistics run along tokens. The vocabulary is cut into a fixed number of parts,
// each with sums of its own that are added in order: results do not depend on how parts are spread over threads.
#include <ATen/Parallel.h>
#include <ATen/native/CPUBlas.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <numbers>

#include "head.h"
#include "plain.h"

namespace vlmprobe::grpo {
namespace {

using at::native::cpublas::brgemm;

constexpr std::int64_t kTileRows = 128;    // of the vocabulary
constexpr std::int64_t kDepthBlock = 256;  // of the inner dimension of logits
constexpr std::int64_t kWidthBlock = 512;  // of the hidden width
constexpr std::int64_t kTokenBlock = 256;
constexpr std::int64_t kParts = 8;
constexpr std::int64_t kSerial = 10'000'000;  // products; waking threads for less costs more than it gains

constexpr std::int64_t round_up(std::int64_t value, std::int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

// A row length whose multiples do not fall into the same few sets of a cache.
constexpr std::int64_t stride_of(std::int64_t length) {
  return length % 64 == 0 ? length + kTileLanes : length;
}
constexpr std::int64_t kTileStride = stride_of(kTileRows);

// Whether torch's kernels multiply this dtype on this machine; asked once.
template <class T>
bool multiplies() {
  static const bool answer = [] {
    constexpr std::int64_t n = 16;
    std::vector<T> a(n * n), b(n * n);
    std::vector<float> c(n * n);
    try {
      brgemm(n, n, n, n, n, n, false, a.data(), b.data(), c.data(), sizeof(T) == 2);
      at::native::cpublas::brgemm_release(sizeof(T) == 2);
      return true;
    } catch (const std::exception&) {
      return false;
    }
  }();
  return answer;
}

template <class T>
class TiledHead final : public Head {
  static constexpr bool kWide = std::is_same_v<T, float>;
  static constexpr std::int64_t kPair = kWide ? 1 : 2;  // rows that the second factor interleaves

 public:
  TiledHead(const HeadProblem& problem, const Kernels& table)
      : problem_(problem),
        table_(table),
        vocabulary_(problem.weight.size(0)),
        width_(problem.weight.size(1)),
        most_(stride_of(round_up(problem.most_rows, kTileLanes))),
        scale_(log2_scale(problem.temperature)) {
    const at::TensorOptions single = at::TensorOptions().dtype(at::kFloat);
    const at::TensorOptions own = problem.hidden.options();
    logits_ = at::empty({vocabulary_ * most_}, single);
    columns_ = at::empty({width_ * most_}, own);
    if (problem.weight_gradient && !kWide) lines_ = at::empty({width_ * most_}, own);
    if (problem.hidden_gradient) {
      d_hidden = at::empty(problem.hidden.sizes(), own);
      parts_ = at::empty({kParts, most_ * width_}, single);
    }
    if (problem.weight_gradient) d_weight = at::empty(problem.weight.sizes(), own);
  }

  ChunkNumbers statistics(std::int64_t begin, std::int64_t end) override {
    begin_ = begin, count_ = end - begin, padded_ = round_up(count_, kTileLanes), stride_ = stride_of(padded_);
    pack();
    std::vector<std::vector<RowSums>> sums(kParts, std::vector<RowSums>(count_));
    each_part([&](std::int64_t part, std::int64_t first, std::int64_t last) {
      std::vector<float> tile(static_cast<std::size_t>(3 * padded_));
      const TileStatistics out{tile.data(), tile.data() + padded_, tile.data() + 2 * padded_};
      for (std::int64_t v = first; v < last; v += kTileRows) {
        const std::int64_t rows = std::min(kTileRows, last - v);
        multiply_logits(v, rows);
        ban(v, rows);
        table_.tile_statistics(tile_of(v), {rows, padded_, stride_}, scale_, out);
        for (std::int64_t n = 0; n < count_; ++n)
          sums[part][n].add(static_cast<double>(out.reference[n]) * scale_, out.sum[n], out.mean_sum[n]);
      }
    });
    return merged(sums);
  }

  void gradient(const ChunkNumbers& numbers, const ChunkUpstream& upstream) override {
    const Coefficients coefficients(*this, numbers, upstream);
    each_part([&](std::int64_t part, std::int64_t first, std::int64_t last) {
      Scratch scratch(stride_, width_);
      for (std::int64_t v = first; v < last; v += kTileRows) {
        const std::int64_t rows = std::min(kTileRows, last - v);
        float* g = scratch.gradient.data();
        table_.tile_gradient(tile_of(v), {rows, padded_, stride_}, coefficients.tile(scale_), g);
        set_targets(coefficients, v, rows, g);
        const std::int64_t lanes = round_up(rows, kTileLanes);
        std::fill(g + rows * stride_, g + lanes * stride_, 0.0F);
        if constexpr (!kWide) table_.round_bf16(g, plain(scratch.factor.data()), lanes * stride_);
        if (d_weight.defined()) add_weight_gradient(v, rows, scratch);
        if (d_hidden.defined()) add_hidden_gradient(part, v, rows, v == first, scratch);
      }
    });
    if (d_hidden.defined()) sum_parts();
    first_chunk_ = false;
  }

  HeadDraws draw(const ChunkNumbers& numbers, const double* u) override {
    const std::vector<double> weights = tile_weights(numbers);
    HeadDraws draws;
    for (std::int64_t n = 0; n < count_; ++n) {
      draws.word.push_back(drawn(weights, n, u[n], numbers.log_z[n]));
      draws.logp.push_back(tile_of(draws.word[n])[n] / problem_.temperature - numbers.log_z[n]);
    }
    return draws;
  }

 private:
  // [tiles, tokens] the probability of each tile of the vocabulary.
  std::vector<double> tile_weights(const ChunkNumbers& numbers) {
    std::vector<double> weights(static_cast<std::size_t>(tiles() * count_));
    each_part([&](std::int64_t, std::int64_t first, std::int64_t last) {
      std::vector<float> tile(static_cast<std::size_t>(3 * padded_));
      const TileStatistics out{tile.data(), tile.data() + padded_, tile.data() + 2 * padded_};
      for (std::int64_t v = first; v < last; v += kTileRows) {
        table_.tile_statistics(tile_of(v), {std::min(kTileRows, last - v), padded_, stride_}, scale_, out);
        for (std::int64_t n = 0; n < count_; ++n)
          weights[v / kTileRows * count_ + n] =
              out.sum[n] == 0 ? 0
                              : out.sum[n] * std::exp2(static_cast<double>(out.reference[n]) * scale_ -
                                                       numbers.log_z[n] * std::numbers::log2e);
      }
    });
    return weights;
  }

  std::int64_t drawn(const std::vector<double>& weights, std::int64_t n, double u, double log_z) {
    double whole = 0;
    std::int64_t last = 0;  // tile with weight
    for (std::int64_t t = 0; t < tiles(); ++t) {
      whole += weights[t * count_ + n];
      if (weights[t * count_ + n] > 0) last = t;
    }
    double below = 0;
    std::int64_t t = 0;
    for (; t < last && below + weights[t * count_ + n] <= u * whole; ++t) below += weights[t * count_ + n];
    std::int64_t word = -1;
    for (std::int64_t v = t * kTileRows; v < std::min((t + 1) * kTileRows, vocabulary_); ++v) {
      const double p = std::exp2(static_cast<double>(tile_of(v)[n]) * scale_ - log_z * std::numbers::log2e);
      if (p <= 0) continue;
      word = v;
      if ((below += p) > u * whole) break;
    }
    return word;
  }

  // Of one thread, for one tile: the logits' gradient [rows][tokens] and its transpose, in float32 and as factors.
  struct Scratch {
    std::vector<float> gradient, product;
    std::vector<T> factor, transposed, weight;

    Scratch(std::int64_t tokens, std::int64_t width)
        : gradient(kTileRows * tokens),
          product(kWide ? 0 : kTileRows * kWidthBlock),
          factor(kWide ? 0 : kTileRows * tokens),
          transposed(kTileStride * tokens),
          weight(kWide ? 0 : kTileRows * width) {}
  };

  // The gradient of a token's row in the terms of tile_gradient, and that of its own logit.
  struct Coefficients {
    std::vector<float> reference, constant, slope, target;

    Coefficients(const TiledHead& head, const ChunkNumbers& numbers, const ChunkUpstream& upstream)
        : reference(head.padded_), constant(head.padded_), slope(head.padded_), target(head.padded_) {
      for (std::int64_t i = 0; i < head.count_; ++i) {
        const RowGradient row = row_gradient(
            {numbers.log_z[i], numbers.logp[i], numbers.entropy[i], upstream.d_logp[i], upstream.d_entropy[i]},
            head.problem_.temperature);
        reference[i] = row.reference, constant[i] = row.constant, slope[i] = row.slope, target[i] = row.target;
      }
    }

    TileGradient tile(float scale) const { return {reference.data(), constant.data(), slope.data(), scale}; }
  };

  std::int64_t tiles() const { return (vocabulary_ + kTileRows - 1) / kTileRows; }
  float* tile_of(std::int64_t v) { return logits_.mutable_data_ptr<float>() + v * stride_; }
  const T* weight(std::int64_t v) const { return problem_.weight.template const_data_ptr<T>() + v * width_; }
  const T* hidden() const { return problem_.hidden.template const_data_ptr<T>() + begin_ * width_; }
  std::int64_t token(std::int64_t i) const {
    return problem_.tokens.template const_data_ptr<std::int64_t>()[begin_ + i];
  }

  // run(part, first, last) for the parts of the vocabulary, over threads.
  template <class Run>
  void each_part(Run&& run) {
    const bool small = vocabulary_ * width_ * padded_ < kSerial;
    at::parallel_for(0, kParts, small ? kParts : 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t part = begin; part < end; ++part)
        run(part, std::min(vocabulary_, part * tiles() / kParts * kTileRows),
            std::min(vocabulary_, (part + 1) * tiles() / kParts * kTileRows));
      at::native::cpublas::brgemm_release(!kWide);
    });
  }

  // Hidden states as second factors: columns_ [H, tokens] for the logits, and, in bfloat16, lines_ [tokens, H] for the
  // weight's gradient, both with pairs of rows interleaved.
  void pack() {
    T* columns = columns_.mutable_data_ptr<T>();
    std::memset(columns, 0, static_cast<std::size_t>(width_ * stride_) * sizeof(T));
    at::parallel_for(0, width_ / kPair, 64, [&](std::int64_t first, std::int64_t last) {
      for (std::int64_t i = 0; i < count_; ++i)
        for (std::int64_t h = first; h < last; ++h)
          for (std::int64_t k = 0; k < kPair; ++k)
            columns[(h * stride_ + i) * kPair + k] = hidden()[i * width_ + h * kPair + k];
    });
    if (!lines_.defined()) return;
    T* lines = lines_.mutable_data_ptr<T>();
    std::memset(lines, 0, static_cast<std::size_t>(width_ * padded_) * sizeof(T));
    for (std::int64_t i = 0; i < count_; ++i)
      for (std::int64_t h = 0; h < width_; ++h) lines[(i / 2 * width_ + h) * 2 + i % 2] = hidden()[i * width_ + h];
  }

  // logits[v + r][n] = sum_h weight[v + r][h] hidden[n][h]
  void multiply_logits(std::int64_t v, std::int64_t rows) {
    const T* columns = columns_.const_data_ptr<T>();
    for (std::int64_t n = 0; n < padded_; n += kTokenBlock) {
      const std::int64_t tokens = std::min(kTokenBlock, padded_ - n);
      for (std::int64_t h = 0; h < width_; h += kDepthBlock)
        brgemm(rows, tokens, std::min(kDepthBlock, width_ - h), width_, stride_, stride_, h > 0, weight(v) + h,
               columns + h * stride_ + n * kPair, tile_of(v) + n, !kWide);
    }
  }

  void ban(std::int64_t v, std::int64_t rows) {
    const std::vector<std::int64_t>& ids = problem_.banned;
    for (auto id = std::lower_bound(ids.begin(), ids.end(), v); id != ids.end() && *id < v + rows; ++id)
      std::fill_n(tile_of(*id), padded_, -std::numeric_limits<float>::infinity());
  }

  ChunkNumbers merged(const std::vector<std::vector<RowSums>>& parts) const {
    ChunkNumbers numbers{std::vector<double>(count_), std::vector<double>(count_), std::vector<double>(count_)};
    for (std::int64_t n = 0; n < count_; ++n) {
      RowSums all;
      for (const std::vector<RowSums>& part : parts) all.add(part[n].reference, part[n].sum, part[n].mean_sum);
      const RowStatistics row = all.statistics();
      numbers.logp[n] = row.logp(logits_.const_data_ptr<float>()[token(n) * stride_ + n], scale_);
      numbers.entropy[n] = row.entropy();
      numbers.log_z[n] = row.log_z();
    }
    return numbers;
  }

  void set_targets(const Coefficients& coefficients, std::int64_t v, std::int64_t rows, float* g) const {
    for (std::int64_t i = 0; i < count_; ++i)
      if (token(i) >= v && token(i) < v + rows) g[(token(i) - v) * stride_ + i] = coefficients.target[i];
  }

  // d_weight[v + r] += sum_n g[r][n] hidden[n]
  void add_weight_gradient(std::int64_t v, std::int64_t rows, Scratch& scratch) {
    T* out = d_weight.template mutable_data_ptr<T>() + v * width_;
    for (std::int64_t h = 0; h < width_; h += kWidthBlock) {
      const std::int64_t width = std::min(kWidthBlock, width_ - h);
      if constexpr (kWide) {
        brgemm(rows, width, count_, stride_, width_, width_, !first_chunk_, scratch.gradient.data(), hidden() + h,
               out + h, false);
      } else {
        float* product = scratch.product.data();
        for (std::int64_t r = 0; !first_chunk_ && r < rows; ++r)
          for (std::int64_t i = 0; i < width; ++i) product[r * width + i] = static_cast<float>(out[r * width_ + h + i]);
        brgemm(rows, width, padded_, stride_, width_, width, !first_chunk_, scratch.factor.data(),
               lines_.const_data_ptr<T>() + h * kPair, product, true);
        for (std::int64_t r = 0; r < rows; ++r)
          table_.round_bf16(product + r * width, plain(out + r * width_ + h), width);
      }
    }
  }

  // part's sum [tokens][H] += sum_r g[r][n] weight[v + r]
  void add_hidden_gradient(std::int64_t part, std::int64_t v, std::int64_t rows, bool first, Scratch& scratch) {
    float* out = parts_.mutable_data_ptr<float>() + part * most_ * width_;
    const std::int64_t lanes = round_up(rows, kTileLanes);
    const T* right = weight(v);
    if constexpr (kWide) {
      table_.transpose_f32(scratch.gradient.data(), stride_, scratch.transposed.data(), kTileStride, lanes, padded_);
    } else {
      table_.transpose_bf16(plain(scratch.factor.data()), stride_, plain(scratch.transposed.data()), kTileStride, lanes,
                            padded_);
      table_.interleave_bf16(plain(right), width_, plain(scratch.weight.data()), 2 * width_, rows, width_);
      right = scratch.weight.data();
    }
    for (std::int64_t h = 0; h < width_; h += kWidthBlock)
      brgemm(count_, std::min(kWidthBlock, width_ - h), rows, kTileStride, width_, width_, !first,
             scratch.transposed.data(), right + h * kPair, out + h, !kWide);
  }

  // The parts' sums, in order, into the rows of d_hidden.
  void sum_parts() {
    const float* parts = parts_.const_data_ptr<float>();
    T* out = d_hidden.template mutable_data_ptr<T>() + begin_ * width_;
    at::parallel_for(0, count_ * width_, 1 << 16, [&](std::int64_t first, std::int64_t last) {
      for (std::int64_t i = first; i < last; ++i) {
        float sum = 0;
        for (std::int64_t part = 0; part < kParts; ++part)
          if (part * tiles() / kParts < (part + 1) * tiles() / kParts) sum += parts[part * most_ * width_ + i];
        out[i] = static_cast<T>(sum);
      }
    });
  }

  HeadProblem problem_;
  const Kernels& table_;
  std::int64_t vocabulary_, width_, most_;
  float scale_;
  at::Tensor logits_, columns_, lines_, parts_;
  std::int64_t begin_ = 0, count_ = 0, padded_ = 0, stride_ = 0;
  bool first_chunk_ = true;
};

}  // namespace

std::unique_ptr<Head> tiled_head(const HeadProblem& problem) {
  const Kernels* table = kernels();
  if (table == nullptr || !problem.hidden.device().is_cpu() || problem.hidden.size(0) == 0) return nullptr;
  const std::int64_t vocabulary = problem.weight.size(0), width = problem.weight.size(1);
  if (width == 0 || width % kTileLanes != 0) return nullptr;
  const at::ScalarType dtype = problem.hidden.scalar_type();
  if (dtype == at::kFloat && multiplies<float>()) return std::make_unique<TiledHead<float>>(problem, *table);
  if (dtype == at::kBFloat16 && vocabulary % 2 == 0 && multiplies<c10::BFloat16>())
    return std::make_unique<TiledHead<c10::BFloat16>>(problem, *table);
  return nullptr;
}

}  // namespace vlmprobe::grpo
