// Lists of Python texts as views of their UTF-8, for the bindings: no copy is made.
#pragma once

#include <torch/csrc/utils/pybind.h>

#include <cstddef>
#include <string_view>
#include <vector>

namespace vlmprobe::python {

// Valid while the list holds its texts, so callers hand over a list of their own.
struct Texts {
  std::vector<std::string_view> views;
};

}  // namespace vlmprobe::python

namespace pybind11::detail {

// From a list or tuple of str or bytes; a str without UTF-8 (a lone surrogate) is refused, as a TypeError.
template <>
struct type_caster<vlmprobe::python::Texts> {
  PYBIND11_TYPE_CASTER(vlmprobe::python::Texts, const_name("collections.abc.Sequence[str]"));

  bool load(handle source, bool) {
    if (!PyList_Check(source.ptr()) && !PyTuple_Check(source.ptr())) return false;
    const auto count = static_cast<std::size_t>(PySequence_Fast_GET_SIZE(source.ptr()));
    PyObject** texts = PySequence_Fast_ITEMS(source.ptr());
    value.views.resize(count);
    for (std::size_t i = 0; i < count; ++i) {
      Py_ssize_t size = 0;
      const char* bytes = nullptr;
      if (PyUnicode_Check(texts[i])) {
        bytes = PyUnicode_AsUTF8AndSize(texts[i], &size);
        if (bytes == nullptr) PyErr_Clear();
      } else if (PyBytes_Check(texts[i])) {
        bytes = PyBytes_AS_STRING(texts[i]), size = PyBytes_GET_SIZE(texts[i]);
      }
      if (bytes == nullptr) return false;
      value.views[i] = {bytes, static_cast<std::size_t>(size)};
    }
    return true;
  }
};

}  // namespace pybind11::detail
