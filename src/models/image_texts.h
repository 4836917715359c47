// Base64 of images, made once each: the least recently used ones go when all together exceed a number of bytes.
#pragma once

#include <cstdint>
#include <list>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base64.h"
#include "vlmprobe/models/model.h"

namespace vlmprobe::models {

class ImageTexts {
 public:
  explicit ImageTexts(std::int64_t most_bytes) : most_(most_bytes) {}

  // Valid until the next call.
  std::string_view of(const EncodedImage& image) {
    const auto known = places_.find(image.sha256);
    if (known != places_.end()) {
      texts_.splice(texts_.begin(), texts_, known->second);
      return known->second->text;
    }
    texts_.push_front({image.sha256, base64(image.data)});
    places_[image.sha256] = texts_.begin();
    bytes_ += static_cast<std::int64_t>(texts_.front().text.size());
    while (bytes_ > most_ && texts_.size() > 1) {
      bytes_ -= static_cast<std::int64_t>(texts_.back().text.size());
      places_.erase(texts_.back().sha256);
      texts_.pop_back();
    }
    return texts_.front().text;
  }

 private:
  struct Entry {
    std::string sha256, text;
  };
  std::int64_t most_, bytes_ = 0;
  std::list<Entry> texts_;  // most recently used first
  std::unordered_map<std::string, std::list<Entry>::iterator> places_;
};

}  // namespace vlmprobe::models
