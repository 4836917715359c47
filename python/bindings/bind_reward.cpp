#include "bindings.h"

namespace vlmprobe::python {

void bind_reward(pybind11::module_&) {}

}  // namespace vlmprobe::python
