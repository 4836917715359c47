#include "bindings.h"

namespace vlmprobe::python {

void bind_grpo(pybind11::module_&) {}

}  // namespace vlmprobe::python
