#include "row_store.h"

#ifdef __linux__
#include <sys/mman.h>
#include <unistd.h>
#endif

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <new>

namespace vlmprobe::memory {

#ifdef __linux__

Arena::~Arena() {
  if (data_) ::munmap(data_, size_);
}

void Arena::reserve(std::size_t bytes) {
  if (bytes <= size_) return;
  constexpr std::size_t kLeast = std::size_t{1} << 16;
  const std::size_t size = std::max({kLeast, size_ + size_ / 2, bytes}) / kLeast * kLeast + kLeast;
  void* grown = data_ ? ::mremap(data_, size_, size, MREMAP_MAYMOVE)
                      : ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (grown == MAP_FAILED) throw std::bad_alloc();
  data_ = static_cast<char*>(grown), size_ = size;
}

void Arena::forget(std::size_t begin, std::size_t bytes) {
  static const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  const std::size_t first = (begin + page - 1) / page * page, last = (begin + bytes) / page * page;
  if (last >= first + 16 * page) ::madvise(data_ + first, last - first, MADV_DONTNEED);
}

#else

Arena::~Arena() {
  std::free(data_);
}

void Arena::reserve(std::size_t bytes) {
  if (bytes <= size_) return;
  const std::size_t size = std::max(size_ + size_ / 2, bytes);
  void* grown = std::realloc(data_, size);
  if (!grown) throw std::bad_alloc();
  data_ = static_cast<char*>(grown), size_ = size;
}

void Arena::forget(std::size_t, std::size_t) {}

#endif

void RowStore::reserve(std::int64_t label, std::int64_t rows) {
  const auto order = static_cast<int>(std::bit_width(static_cast<std::uint64_t>(std::max<std::int64_t>(rows, 1)) - 1));
  Slice& slice = slices_[label];
  if (order > slice.order) move(slice, order);
}

void RowStore::append(std::int64_t label, const float* row) {
  Slice& slice = slices_[label];
  if (slice.order < 0 || slice.size == std::int64_t{1} << slice.order) move(slice, slice.order + 1);
  std::memcpy(at(slice.begin + slice.size++), row, bytes(1));
}

void RowStore::move(Slice& slice, int order) {
  auto& places = free_[static_cast<std::size_t>(order)];
  std::int64_t begin = end_;
  if (places.empty()) {
    const std::int64_t end = end_ + (std::int64_t{1} << order);
    arena_.reserve(bytes(end));
    end_ = end;
  } else {
    begin = places.back();
    places.pop_back();
  }
  if (slice.size > 0) std::memcpy(at(begin), at(slice.begin), bytes(slice.size));
  if (slice.order >= 0) {
    free_[static_cast<std::size_t>(slice.order)].push_back(slice.begin);
    arena_.forget(bytes(slice.begin), bytes(std::int64_t{1} << slice.order));
  }
  slice.begin = begin, slice.order = order;
}

Matrix RowStore::rows(std::int64_t label) const {
  const auto found = slices_.find(label);
  if (found == slices_.end()) return {nullptr, 0, dim_};
  return {at(found->second.begin), found->second.size, dim_};
}

}  // namespace vlmprobe::memory
