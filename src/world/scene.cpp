#include "vlmprobe/world/scene.h"

#include <algorithm>
#include <cmath>

#include "vlmprobe/core/error.h"
#include "vlmprobe/core/random.h"

namespace vlmprobe::world {
namespace {

constexpr int kCells = 3;
constexpr double kCellSize = 20.0, kOrigin = 12.0;  // cell centres at 12, 32, 52
constexpr int kTries = 40;

Object random_object(random::Sequence& draw) {
  Object object;
  for (std::size_t i = 0; i < kAttributes; ++i)
    object.attribute[i] =
        static_cast<std::int8_t>(draw.below(static_cast<int>(values(static_cast<Attribute>(i)).size())));
  return object;
}

// Puts the object near the centre of its cell; false when it would hide or touch another.
bool place(Object& object, int cell, bool clutter, const std::vector<Object>& others, random::Sequence& draw) {
  const double jitter = clutter ? 5.0 : 3.0, edge = object.radius() + 1;
  const auto coordinate = [&](int at) {
    const double wanted = kOrigin + kCellSize * at + (2 * draw.uniform() - 1) * jitter;
    return std::clamp(wanted, edge, kCanvas - 1 - edge);
  };
  object.x = coordinate(cell % kCells);
  object.y = coordinate(cell / kCells);
  return std::ranges::all_of(others, [&](const Object& other) {
    const double reach = object.radius() + other.radius();
    return std::hypot(object.x - other.x, object.y - other.y) >= (clutter ? 0.8 * reach : reach + 2);
  });
}

}  // namespace

Scene sample_scene(std::uint64_t seed, std::uint32_t index, const SceneOptions& options) {
  constexpr const char* kOp = "world::sample_scene";
  expect(options.min_objects >= 1 && options.min_objects <= 6, kOp, "min_objects: expected 1 to 6, got {}",
         options.min_objects);
  expect(options.max_objects >= options.min_objects && options.max_objects <= 6, kOp,
         "max_objects: expected {} to 6, got {}", options.min_objects, options.max_objects);
  expect(options.clutter >= 0 && options.clutter <= 1, kOp, "clutter: expected a share in [0, 1], got {}",
         options.clutter);

  random::Sequence draw(seed, random::Stream::kScene, index);
  Scene scene;
  const random::Counter word =
      random::philox({static_cast<std::uint32_t>(random::Stream::kScene), index, 0, 0xFFFFFFFF}, seed);
  scene.id = (static_cast<std::uint64_t>(word[0]) << 32) | word[1];
  scene.clutter = draw.chance(options.clutter);

  const int wanted = options.min_objects + draw.below(options.max_objects - options.min_objects + 1);
  std::vector<int> cells(kCells * kCells);
  for (std::size_t i = 0; i < cells.size(); ++i) cells[i] = static_cast<int>(i);
  for (std::size_t i = cells.size() - 1; i > 0; --i)
    std::swap(cells[i], cells[static_cast<std::size_t>(draw.below(static_cast<int>(i) + 1))]);

  for (int i = 0; i < wanted; ++i) {
    Object object = random_object(draw);
    bool placed = false;
    for (int attempt = 0; attempt < kTries && !placed; ++attempt)
      placed = place(object, cells[static_cast<std::size_t>(i)], scene.clutter, scene.objects, draw);
    if (!placed) {  // a large one between large ones: a small one always fits
      object.attribute[static_cast<std::size_t>(Attribute::size)] = 0;
      while (!place(object, cells[static_cast<std::size_t>(i)], scene.clutter, scene.objects, draw)) {
      }
    }
    scene.objects.push_back(object);
  }
  return scene;
}

}  // namespace vlmprobe::world
