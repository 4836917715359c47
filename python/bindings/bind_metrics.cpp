#include "bindings.h"

namespace vlmprobe::python {

void bind_metrics(pybind11::module_&) {}

}  // namespace vlmprobe::python
