// Scenes: 2 to 6 objects on a canvas of 64 x 64 pixels. A scene is data; python/vlmprobe/world/render.py draws it.
//
// sample_scene is a pure function of (seed, index, options). Objects stand on a jittered 3 x 3 grid, in drawing order.
// With clutter they may overlap (the centres stay at least 0.8 of the two radii's sum apart, so that the one behind is
// still seen) and the renderer adds bands and noise; without it they stay 2 pixels apart on a clean ground.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "vlmprobe/world/vocabulary.h"

namespace vlmprobe::world {

inline constexpr int kCanvas = 64;                            // pixels, both axes; x to the right, y down
inline constexpr std::array<double, 2> kRadius = {5.0, 9.0};  // pixels, by size

struct Object {
  std::array<std::int8_t, kAttributes> attribute{};  // value index by Attribute
  double x = 0, y = 0;                               // centre, pixels

  std::int8_t operator[](Attribute which) const { return attribute[static_cast<std::size_t>(which)]; }
  double radius() const { return kRadius[static_cast<std::size_t>((*this)[Attribute::size])]; }
};

struct Scene {
  std::uint64_t id = 0;  // names the scene in counters: a hash of (seed, index)
  bool clutter = false;
  std::vector<Object> objects;
};

struct SceneOptions {
  int min_objects = 2;    // [1, 6]
  int max_objects = 6;    // [min_objects, 6]
  double clutter = 0.75;  // share of scenes with overlap, bands and noise, [0, 1]
};

// Throws InvalidArgument on options outside their ranges.
Scene sample_scene(std::uint64_t seed, std::uint32_t index, const SceneOptions& options = {});

}  // namespace vlmprobe::world
