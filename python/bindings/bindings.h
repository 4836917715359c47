// One function per folder of the core; each is defined in bind_<folder>.cpp.
#pragma once

#include <torch/csrc/utils/pybind.h>

namespace vlmprobe::python {

void bind_core(pybind11::module_& module);
void bind_text(pybind11::module_& module);
void bind_memory(pybind11::module_& module);
void bind_reward(pybind11::module_& module);
void bind_grpo(pybind11::module_& module);
void bind_metrics(pybind11::module_& module);
void bind_models(pybind11::module_& module);
void bind_world(pybind11::module_& module);

}  // namespace vlmprobe::python
