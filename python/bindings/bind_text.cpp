#include "bindings.h"

namespace vlmprobe::python {

void bind_text(pybind11::module_&) {}

}  // namespace vlmprobe::python
