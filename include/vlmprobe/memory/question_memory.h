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
//
// Cost: one block holds all embeddings, each image's in one piece, and grows without being copied; a step costs what
// its own images cost, however many others are stored. Throws InvalidArgument on other shapes, dtypes or values, before
// anything is changed. Safe from several threads: whatever reads sees a commit (or a merge) entirely or not at all. A
// memory that was moved from may only be assigned to or destroyed.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

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
  QuestionMemory(QuestionMemory&&) noexcept;
  QuestionMemory& operator=(QuestionMemory&&) noexcept;
  ~QuestionMemory();

  Novelty novelty(const QuestionRows& rows, Within within = Within::none) const;

  // How crowded it is around each embedding, [Q] float64: the sum over all committed questions, on whatever image, of
  // max(0, (cosine - floor) / (1 - floor)), so one more for each question that is the same. `embeddings` [Q, D] is as
  // above; `floor` is in [0, 1).
  at::Tensor crowding(const at::Tensor& embeddings, double floor) const;

  // The k nearest questions on each row's image; ids are places in the order in which that image's questions came.
  // Throws for an image without questions, `image: row 3: expected an image with questions, got 7`, and for a k that is
  // larger than the number of questions on one of the images.
  Neighbours nearest(const at::Tensor& image, const at::Tensor& embeddings, std::int64_t k) const;

  // The number of questions that were new. `run` is not empty.
  std::int64_t commit(std::string_view run, std::int64_t step, const QuestionRows& rows);

  // Enters the questions of `other` whose keys are not here yet; returns how many. Runs are the same when their names
  // are. Afterwards questions are in the order of (run's name, step, sequence, slot), so merging several memories gives
  // the same bytes in whatever order, as long as questions with equal keys are equal (else this memory's one stays).
  // Throws when the widths or the prefix lengths differ. Needs memory for the result beside both.
  std::int64_t merge(const QuestionMemory& other);

  // <directory>/memory.safetensors, replaced in one step: a reader or a crash sees the old file or the new one.
  // docs/formats/memory.md has the layout. `load` and `from_bytes` trust no length, index or value in it; with a `dim`
  // they also refuse a memory of another width.
  void save(const std::string& directory) const;
  static QuestionMemory load(const std::string& directory, Backend backend = Backend::automatic, std::int64_t dim = 0);
  static QuestionMemory from_bytes(std::string_view file, Backend backend = Backend::automatic, std::int64_t dim = 0);

  std::int64_t size() const;                     // questions
  std::int64_t count(std::int64_t image) const;  // questions on one image
  std::int64_t images() const;
  std::int64_t bytes() const;  // embeddings, keys and prefixes; without the containers' own overhead
  std::int64_t dim() const;
  Backend backend() const;
  PrefixCounts prefixes() const;  // a copy

 private:
  struct State;
  static QuestionMemory read(const std::string& name, std::string_view file, Backend backend, std::int64_t dim);

  std::unique_ptr<State> state_;
};

}  // namespace vlmprobe::memory
