#include "vlmprobe/core/shape.h"

#include <charconv>

#include "vlmprobe/core/error.h"

namespace vlmprobe {
namespace {

bool is_number(std::string_view name, std::int64_t& value) {
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), value);
  return error == std::errc() && end == name.data() + name.size();
}

}  // namespace

const Shapes::Bound* Shapes::find(std::string_view name) const {
  for (const Bound& bound : bound_)
    if (bound.name == name) return &bound;
  return nullptr;
}

void Shapes::require(std::string_view argument, std::span<const std::int64_t> sizes,
                     std::initializer_list<std::string_view> names) {
  const auto expected =
      formatted("{}: expected shape [{}], got [{}]", argument, joined(names, ", "), joined(sizes, ", "));
  expect(sizes.size() == names.size(), op_, "{}", expected);

  std::size_t axis = 0;
  for (const std::string_view name : names) {
    const std::int64_t size = sizes[axis++];
    std::int64_t literal = 0;
    if (is_number(name, literal)) {
      expect(size == literal, op_, "{}", expected);
    } else if (const Bound* bound = find(name)) {
      expect(size == bound->size, op_, "{} ({}={} was set by {})", expected, name, bound->size, bound->argument);
    } else {
      bound_.push_back({std::string(name), size, std::string(argument)});
    }
  }
}

std::int64_t Shapes::operator[](std::string_view name) const {
  const Bound* bound = find(name);
  expect(bound != nullptr, op_, "dimension {}: expected one that an argument has set", name);
  return bound->size;
}

}  // namespace vlmprobe
