// Rows of float32 in one block of memory, a contiguous slice per label, that grows without copying everything.
//
// A slice's capacity is a power of two. A full slice moves alone to a bigger place, so a row is copied less than twice
// on average; the place that it leaves is used again by slices of that size, and until then the system has its pages
// back. The block itself grows by remapping its pages. Not thread-safe; a Matrix is valid until the next change.
#pragma once

#include <array>
#include <cstdint>
#include <unordered_map>
#include <utility>
#include <vector>

#include "nearest.h"

namespace vlmprobe::memory {

// Bytes that keep their content while they grow, but not their place.
class Arena {
 public:
  Arena() = default;
  ~Arena();
  Arena(Arena&& other) noexcept : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  Arena& operator=(Arena&& other) noexcept {
    std::swap(data_, other.data_), std::swap(size_, other.size_);
    return *this;
  }

  char* data() const { return data_; }
  void reserve(std::size_t bytes);                    // throws std::bad_alloc
  void forget(std::size_t begin, std::size_t bytes);  // the content there may be lost

 private:
  char* data_ = nullptr;
  std::size_t size_ = 0;
};

class RowStore {
 public:
  explicit RowStore(std::int64_t dim) : dim_(dim) {}

  void reserve(std::int64_t label, std::int64_t rows);
  void append(std::int64_t label, const float* row);  // `row` lies outside of this store

  Matrix rows(std::int64_t label) const;  // no rows for a label that never came
  std::int64_t dim() const { return dim_; }
  std::int64_t labels() const { return static_cast<std::int64_t>(slices_.size()); }

 private:
  struct Slice {
    std::int64_t begin = 0, size = 0;  // rows
    int order = -1;                    // capacity 2^order; -1: none
  };
  float* at(std::int64_t row) const { return reinterpret_cast<float*>(arena_.data()) + row * dim_; }
  std::size_t bytes(std::int64_t rows) const { return static_cast<std::size_t>(rows * dim_) * sizeof(float); }
  void move(Slice& slice, int order);

  std::int64_t dim_, end_ = 0;  // rows of the arena that have been given away
  Arena arena_;
  std::unordered_map<std::int64_t, Slice> slices_;
  std::array<std::vector<std::int64_t>, 48> free_;  // beginnings of places, by order
};

}  // namespace vlmprobe::memory
