#include "bindings.h"
#include "vlmprobe/core/error.h"

PYBIND11_MODULE(_core, module) {
  namespace py = pybind11;
  module.doc() = "vlmprobe's C++ core. Import the faces in `vlmprobe`, not this module.";
  module.attr("__version__") = VLMPROBE_VERSION;
  module.attr("torch_version") = VLMPROBE_TORCH_VERSION;
  module.attr("faiss") = VLMPROBE_FAISS;
  py::register_exception<vlmprobe::InvalidArgument>(module, "InvalidArgument", PyExc_ValueError);
  py::register_exception<vlmprobe::InvalidState>(module, "InvalidState", PyExc_RuntimeError);

  vlmprobe::python::bind_core(module);
  vlmprobe::python::bind_text(module);
  vlmprobe::python::bind_memory(module);
  vlmprobe::python::bind_reward(module);
  vlmprobe::python::bind_grpo(module);
  vlmprobe::python::bind_metrics(module);
  vlmprobe::python::bind_models(module);
  vlmprobe::python::bind_world(module);
}
