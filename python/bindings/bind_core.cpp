#include "bindings.h"

#include <pybind11/numpy.h>

#include "vlmprobe/core/random.h"

namespace vlmprobe::python {

void bind_core(pybind11::module_& module) {
  namespace py = pybind11;
  py::enum_<random::Stream>(module, "Stream")
      .value("sampling", random::Stream::kSampling)
      .value("scene", random::Stream::kScene)
      .value("question", random::Stream::kQuestion)
      .value("fault", random::Stream::kFault)
      .value("verifier", random::Stream::kVerifier)
      .value("images", random::Stream::kImages)
      .value("bootstrap", random::Stream::kBootstrap);
  module.def("hash", &random::hash, py::arg("text"));
  module.def("uniform", py::vectorize(&random::uniform), py::arg("seed"), py::arg("stream"), py::arg("a"), py::arg("b"),
             py::arg("c"));
}

}  // namespace vlmprobe::python
