// The questions that the answerer got wrong, and how new a question is against them (paper, eqs. for the two deltas):
//
//   semantic(q) = 1 - max over q' in H_I of <e(q), e(q')>     H_I: the questions on q's image; in [0, 1]; 1 if none
//   lexical(q)  = 1 / (1 + Count(prefix(q), H))               H: the questions on all images; prefix: first L words
//
//   image        [Q]     int64, any labels
//   embeddings   [Q, D]  float32 rows of unit length on the CPU (see embedding_bank.h)
//   texts        [Q]
//   sequence,    [Q]     int64: the question's key inside a step; undefined tensors where `within` is none
//   slot
//
// Two phases. `novelty` is pure and reads the committed questions only, so until `commit` is called the object is the
// snapshot of the step's start. `commit` enters questions once: one whose key (run, step, sequence, slot) was seen
// before is ignored, so a retry, a padded duplicate or a resumed step cannot count twice. New questions enter in the
// order of their keys: neither results nor saved bytes depend on the order of rows, on threads or on how a step was
// split.
//
// `within` adds questions of the batch itself that come earlier in the order (sequence, slot), as if they had been
// committed: those of the same sequence, or of the whole step. Of rows with equal keys the first one counts, once, and
// no row counts for one with its own key. Give only rows that could be committed (well-formed questions).
//
// Our departure: the semantic term is clamped to [0, 1] (a negative cosine is no more novel than an orthogonal one).
// Throws InvalidArgument on other shapes, dtypes or values. `novelty` is safe from several threads while nobody
// commits.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "vlmprobe/memory/embedding_bank.h"
#include "vlmprobe/memory/prefix_counts.h"

namespace vlmprobe::memory {

enum class Within { none, sequence, step };

struct QuestionRows {
  at::Tensor image;                    // [Q] int64
  at::Tensor embeddings;               // [Q, D] float32
  std::span<const std::string> texts;  // [Q]
  at::Tensor sequence, slot;           // [Q] int64, or undefined
};

struct Novelty {
  at::Tensor semantic;  // [Q] float64 in [0, 1]
  at::Tensor lexical;   // [Q] float64 in (0, 1]
};

class QuestionMemory {
 public:
  explicit QuestionMemory(std::int64_t dim, std::int64_t prefix_length = text::kPrefixLength,
                          Backend backend = Backend::automatic);

  Novelty novelty(const QuestionRows& rows, Within within = Within::none) const;

  // The number of questions that were new. `run` is not empty.
  std::int64_t commit(std::string_view run, std::int64_t step, const QuestionRows& rows);

  // <directory>/memory.safetensors, replaced in one step: a reader or a crash sees the old file or the new one.
  // docs/formats/memory.md has the layout. `load` trusts no length, index or value in it.
  void save(const std::string& directory) const;
  static QuestionMemory load(const std::string& directory, Backend backend = Backend::automatic);

  std::int64_t size() const { return static_cast<std::int64_t>(entries_.size()); }  // questions
  std::int64_t count(std::int64_t image) const;                                     // questions on one image
  std::int64_t images() const { return static_cast<std::int64_t>(banks_.size()); }
  std::int64_t bytes() const;  // embeddings, keys and prefixes; without the containers' own overhead
  std::int64_t dim() const { return dim_; }
  Backend backend() const { return backend_; }
  const PrefixCounts& prefixes() const { return prefixes_; }

 private:
  using Key = std::array<std::int64_t, 4>;  // run (its place in runs_), step, sequence, slot
  struct Entry {
    Key key;
    std::int64_t image, row;  // the row of its embedding in the image's bank
  };
  void enter(const Key& key, std::int64_t image, const float* embedding);

  std::int64_t dim_;
  Backend backend_;
  PrefixCounts prefixes_;
  std::vector<std::string> runs_;  // in the order in which they came
  std::vector<Entry> entries_;     // in the order of entering
  std::set<Key> keys_;
  std::map<std::int64_t, std::vector<float>> banks_;  // image -> [n, D]
};

}  // namespace vlmprobe::memory
