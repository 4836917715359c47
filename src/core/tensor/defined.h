// Arguments that are undefined tensors are refused first: most of what can be asked of one throws c10's errors. For
// sources over torch.
#pragma once

#include <ATen/core/Tensor.h>

#include <initializer_list>
#include <optional>
#include <string_view>

#include "vlmprobe/core/error.h"

namespace vlmprobe {

// An argument by its name; null where an optional one is left out.
struct NamedTensor {
  NamedTensor(std::string_view argument, const at::Tensor& value) : name(argument), tensor(&value) {}
  NamedTensor(std::string_view argument, const std::optional<at::Tensor>& value)
      : name(argument), tensor(value ? &*value : nullptr) {}
  std::string_view name;
  const at::Tensor* tensor;
};

// Throws InvalidArgument("[op] name: expected a tensor, got none").
inline void expect_defined(std::string_view op, std::initializer_list<NamedTensor> arguments) {
  for (const auto& [name, tensor] : arguments)
    expect(tensor == nullptr || tensor->defined(), op, "{}: expected a tensor, got none", name);
}

}  // namespace vlmprobe
