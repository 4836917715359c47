// Shape contract: named dimensions that must agree over the arguments of one call.
//
//   Shapes shapes("grpo::loss");
//   shapes.require("logp", logp.sizes(), {"B", "T"});        // sets B and T
//   shapes.require("mask", mask.sizes(), {"B", "T"});        // must agree with them
//   // [grpo::loss] mask: expected shape [B, T], got [3, 5] (B=2 was set by logp)
//
// A name that is a number stands for itself. Works on spans, so it needs no torch.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vlmprobe {

class Shapes {
 public:
  explicit Shapes(std::string_view op) : op_(op) {}

  // Binds the dimensions that are new and checks those that are known. Throws InvalidArgument.
  void require(std::string_view argument, std::span<const std::int64_t> sizes,
               std::initializer_list<std::string_view> names);

  // The size bound to `name`; throws InvalidArgument when there is none.
  std::int64_t operator[](std::string_view name) const;

 private:
  struct Bound {
    std::string name;
    std::int64_t size;
    std::string argument;
  };
  const Bound* find(std::string_view name) const;

  std::string op_;
  std::vector<Bound> bound_;
};

}  // namespace vlmprobe
