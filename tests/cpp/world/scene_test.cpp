#include "vlmprobe/world/scene.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <set>

#include "support.h"

using namespace vlmprobe::world;

namespace {

constexpr std::uint64_t kSeed = 31;

// Within 4.5 standard deviations of a binomial count.
bool plausible(int count, int n, double p) {
  return std::abs(count - n * p) <= 4.5 * std::sqrt(n * p * (1 - p));
}

bool equal(const Scene& a, const Scene& b) {
  return a.id == b.id && a.clutter == b.clutter &&
         std::ranges::equal(a.objects, b.objects, [](const Object& one, const Object& other) {
           return one.attribute == other.attribute && one.x == other.x && one.y == other.y;
         });
}

}  // namespace

TEST_CASE("a scene is a function of seed, index and options") {
  std::set<std::uint64_t> ids;
  for (std::uint32_t index = 0; index < 1000; ++index) {
    const Scene scene = sample_scene(kSeed, index);
    REQUIRE(equal(scene, sample_scene(kSeed, index)));
    ids.insert(scene.id), ids.insert(sample_scene(kSeed + 1, index).id);
    REQUIRE(sample_scene(kSeed, index, {.clutter = 0}).id == scene.id);  // the id names (seed, index) alone
  }
  CHECK(ids.size() == 2000);
  CHECK_FALSE(equal(sample_scene(kSeed, 0), sample_scene(kSeed, 1)));
  CHECK(equal(sample_scene(kSeed, 0xFFFFFFFF), sample_scene(kSeed, 0xFFFFFFFF)));
}

TEST_CASE("objects stand on the canvas and keep their distance") {
  int overlaps = 0;
  for (const double clutter : {0.0, 1.0})
    for (std::uint32_t index = 0; index < 2000; ++index) {
      const Scene scene = sample_scene(kSeed, index, {.min_objects = 6, .max_objects = 6, .clutter = clutter});
      REQUIRE(scene.clutter == (clutter == 1));
      for (std::size_t i = 0; i < scene.objects.size(); ++i) {
        const Object& one = scene.objects[i];
        const double radius = one.radius();
        REQUIRE(std::min(one.x, one.y) - radius >= 1);
        REQUIRE(std::max(one.x, one.y) + radius <= kCanvas - 2);
        for (std::size_t j = 0; j < i; ++j) {
          const Object& other = scene.objects[j];
          const double reach = radius + other.radius(), distance = std::hypot(one.x - other.x, one.y - other.y);
          REQUIRE(distance >= (scene.clutter ? 0.8 * reach : reach + 2));
          overlaps += distance < reach;
        }
      }
    }
  CHECK(overlaps > 500);  // of 2000 cluttered scenes
}

TEST_CASE("numbers of objects, colors, shapes, textures and clutter are drawn evenly") {
  constexpr int kScenes = 6000;
  std::array<int, 7> objects{};
  std::array<int, 6> colors{};
  std::array<int, 5> shapes{};
  int all = 0, large = 0, striped = 0, cluttered = 0;
  for (std::uint32_t index = 0; index < kScenes; ++index) {
    const Scene scene = sample_scene(kSeed, index);
    ++objects.at(scene.objects.size());
    cluttered += scene.clutter;
    for (const Object& object : scene.objects) {
      ++all, ++colors.at(static_cast<std::size_t>(object[Attribute::color]));
      ++shapes.at(static_cast<std::size_t>(object[Attribute::shape]));
      large += object[Attribute::size], striped += object[Attribute::texture];
    }
  }
  CHECK(objects[0] + objects[1] == 0);
  for (std::size_t n = 2; n <= 6; ++n) CHECK(plausible(objects[n], kScenes, 1.0 / 5));
  for (const int count : colors) CHECK(plausible(count, all, 1.0 / 6));
  for (const int count : shapes) CHECK(plausible(count, all, 1.0 / 5));
  CHECK(plausible(striped, all, 0.5));
  CHECK(plausible(cluttered, kScenes, 0.75));
  CHECK(large > 0.45 * all);  // a few were drawn large and did not fit
  CHECK(large < 0.5 * all);
}

TEST_CASE("a scene can be made of one object, or of any fixed number") {
  for (int n = 1; n <= 6; ++n)
    for (std::uint32_t index = 0; index < 50; ++index)
      REQUIRE(static_cast<int>(sample_scene(kSeed, index, {n, n, 0.5}).objects.size()) == n);
}

TEST_CASE("options outside their ranges are named") {
  const auto message = [](const SceneOptions& options) { return thrown([&] { sample_scene(1, 0, options); }); };
  CHECK(message({0, 6, 0.5}) == "[world::sample_scene] min_objects: expected 1 to 6, got 0");
  CHECK(message({7, 7, 0.5}) == "[world::sample_scene] min_objects: expected 1 to 6, got 7");
  CHECK(message({3, 2, 0.5}) == "[world::sample_scene] max_objects: expected 3 to 6, got 2");
  CHECK(message({2, 7, 0.5}) == "[world::sample_scene] max_objects: expected 2 to 6, got 7");
  CHECK(message({2, 6, -0.1}) == "[world::sample_scene] clutter: expected a share in [0, 1], got -0.1");
  CHECK(message({2, 6, 1.1}) == "[world::sample_scene] clutter: expected a share in [0, 1], got 1.1");
  CHECK(message({2, 6, std::numeric_limits<double>::quiet_NaN()}) ==
        "[world::sample_scene] clutter: expected a share in [0, 1], got nan");
}
