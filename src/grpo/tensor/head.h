// The head of a language model over chunks of rows: statistics of hidden weight^T, then the gradients. For src/grpo
// only.
//
// Two ways: tiles of the vocabulary by brgemm kernels on the CPU (head_tiled.cpp), at::mm anywhere (head_composed.cpp).
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <utility>
#include <vector>

#include "../kernels.h"

namespace vlmprobe::grpo {

// Numbers of the rows of one chunk.
struct ChunkNumbers {
  std::vector<double> logp, entropy, log_z;
};
struct ChunkUpstream {
  std::vector<double> d_logp, d_entropy;
};

struct HeadDraws {
  std::vector<std::int64_t> word;
  std::vector<double> logp;
};

struct HeadProblem {
  at::Tensor hidden;                 // [N, H] contiguous, the rows that count
  at::Tensor weight;                 // [V, H] contiguous
  at::Tensor tokens;                 // [N] int64 on the CPU
  std::vector<std::int64_t> banned;  // ascending ids of the vocabulary whose logits are -inf
  double temperature;
  bool hidden_gradient, weight_gradient;
  std::int64_t most_rows;  // of any chunk
};

class Head {
 public:
  virtual ~Head() = default;

  // Computes the logits of the rows [begin, end), keeps them, and says what they hold.
  virtual ChunkNumbers statistics(std::int64_t begin, std::int64_t end) = 0;
  // Adds the gradients of the same rows, from the logits that were kept.
  virtual void gradient(const ChunkNumbers& numbers, const ChunkUpstream& upstream) = 0;

  // Of the same rows, the first word whose cumulative weight is above u [rows] of the whole; never one without weight.
  virtual HeadDraws draw(const ChunkNumbers& numbers, const double* u) = 0;

  at::Tensor d_hidden;  // [N, H], defined if asked for
  at::Tensor d_weight;  // [V, H], defined if asked for
};

// nullptr where this machine, device, dtype or shape is not for it.
std::unique_ptr<Head> tiled_head(const HeadProblem& problem);
std::unique_ptr<Head> composed_head(const HeadProblem& problem);

// The first where it can be had, else the second.
inline std::unique_ptr<Head> make_head(const HeadProblem& problem) {
  std::unique_ptr<Head> head = tiled_head(problem);
  return head != nullptr ? std::move(head) : composed_head(problem);
}

}  // namespace vlmprobe::grpo
