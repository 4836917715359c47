// A column of texts in one buffer: a text more costs its bytes and an offset, not an allocation. Header-only, no torch.
//
// Views stay valid until the column grows. `append_with` lets a text be written in place.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace vlmprobe {

class TextColumn {
 public:
  std::size_t size() const { return ends_.size(); }
  bool empty() const { return ends_.empty(); }
  std::string_view operator[](std::size_t row) const {
    const std::size_t begin = row == 0 ? 0 : ends_[row - 1];
    return {bytes_.data() + begin, ends_[row] - begin};
  }

  void reserve(std::size_t rows, std::size_t bytes) { ends_.reserve(rows), bytes_.reserve(bytes); }
  void push_back(std::string_view text) {
    bytes_.append(text);
    ends_.push_back(bytes_.size());
  }
  // write(buffer) appends to the buffer and returns whether to keep that as the row's text; else the text is empty.
  template <class Write>
  void append_with(Write&& write) {
    const std::size_t before = bytes_.size();
    if (!write(bytes_)) bytes_.resize(before);
    ends_.push_back(bytes_.size());
  }

  std::vector<std::string> strings() const {
    std::vector<std::string> out;
    out.reserve(size());
    for (std::size_t row = 0; row < size(); ++row) out.emplace_back((*this)[row]);
    return out;
  }

 private:
  std::string bytes_;
  std::vector<std::size_t> ends_;  // of each row in bytes_
};

}  // namespace vlmprobe
