// Structs of options as named values, each by its list of fields: each_field(options, visit).
#pragma once

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <string>
#include <type_traits>
#include <vector>

#include "vlmprobe/core/error.h"

namespace vlmprobe::python {

// A field of a struct from a Python value; `field` names it in the error.
template <class T>
void read_field(std::string_view op, std::string_view field, const pybind11::handle& value, T& out) {
  try {
    out = pybind11::cast<T>(value);
  } catch (const pybind11::cast_error&) {
    const std::string_view kind = std::is_same_v<T, bool>   ? "True or False"
                                  : std::is_arithmetic_v<T> ? "a number"
                                                            : "a text";
    expect(false, op, "{}: expected {}, got {}", field, kind,
           pybind11::type::of(value).attr("__name__").cast<std::string>());
  }
}

// The options that `given` names; every field is named once, and nothing else is.
template <class Options, class EachField, class Read>
Options options_of(std::string_view op, const pybind11::kwargs& given, EachField&& each_field, Read&& read) {
  Options options{};
  std::size_t count = 0;
  each_field(options, [&](const char* field, auto& value) {
    expect(given.contains(field), op, "{}: expected a value, got none", field);
    read(field, given[field], value);
    ++count;
  });
  expect(given.size() == count, op, "expected {} fields, got {}", count, given.size());
  return options;
}

}  // namespace vlmprobe::python
