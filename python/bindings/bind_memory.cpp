#include "bindings.h"

namespace vlmprobe::python {

void bind_memory(pybind11::module_&) {}

}  // namespace vlmprobe::python
