#include "bindings.h"

namespace vlmprobe::python {

void bind_world(pybind11::module_&) {}

}  // namespace vlmprobe::python
