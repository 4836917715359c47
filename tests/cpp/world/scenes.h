// Objects, descriptions and scenes by word, for the world's tests.
#pragma once

#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "vlmprobe/core/random.h"
#include "vlmprobe/world/program.h"
#include "vlmprobe/world/sample.h"
#include "vlmprobe/world/scene.h"

// "red circle": the attributes that the words state.
inline vlmprobe::world::Filter filter(const std::string& words) {
  vlmprobe::world::Filter stated;
  std::istringstream stream(words);
  for (std::string word; stream >> word;)
    for (std::size_t i = 0; i < vlmprobe::world::kAttributes; ++i) {
      const int index = vlmprobe::world::index_of(values(static_cast<vlmprobe::world::Attribute>(i)), word);
      if (index >= 0) stated.value[i] = static_cast<std::int8_t>(index);
    }
  return stated;
}

// "small plain red circle" at (x, y).
inline vlmprobe::world::Object object(const std::string& words, double x, double y) {
  return {filter(words).value, x, y};
}

inline vlmprobe::world::Scene scene_of(std::vector<vlmprobe::world::Object> objects, std::uint64_t id = 1) {
  return {id, false, std::move(objects)};
}

// Five objects whose questions are worked by hand:
//
//   A small plain red circle    ( 8, 10)        B large striped blue square (50, 12)
//                    E small striped red triangle (32, 30)
//   C small plain blue circle   (14, 50)        D large plain green star    (52, 50)
inline vlmprobe::world::Scene five() {
  return scene_of({object("small plain red circle", 8, 10), object("large striped blue square", 50, 12),
                   object("small plain blue circle", 14, 50), object("large plain green star", 52, 50),
                   object("small striped red triangle", 32, 30)});
}

inline vlmprobe::world::Scene scene_at(std::uint32_t index, std::uint64_t seed = 21) {
  return vlmprobe::world::sample_scene(seed, index);
}

inline vlmprobe::random::Sequence draw_at(std::uint32_t index, std::uint32_t part = 0, std::uint64_t seed = 21) {
  return {seed, vlmprobe::random::Stream::kQuestion, index, part};
}

// A valid question about scene_at(index).
inline vlmprobe::world::Sample sample_at(std::uint32_t index) {
  vlmprobe::random::Sequence draw = draw_at(index);
  return sample_question(scene_at(index), draw);
}
