// A tensor that is not there is bad input like any other: the error names the function and the argument.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "support.h"

struct Argument {
  const char* name;
  at::Tensor value;
};
using Arguments = std::vector<Argument>;

// Calls once with all arguments, and then with each of them undefined in turn.
template <class Call>
void each_undefined(const std::string& op, const Arguments& arguments, const Call& call) {
  REQUIRE(thrown([&] { call(arguments); }) == "");
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    Arguments without = arguments;
    without[i].value = at::Tensor();
    CHECK(thrown([&] { call(without); }) == "[" + op + "] " + arguments[i].name + ": expected a tensor, got none");
  }
}
