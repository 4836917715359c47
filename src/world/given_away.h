// Questions that need no picture although they speak of one.
#pragma once

#include <string>

#include "vlmprobe/world/program.h"

namespace vlmprobe::world {

// Why the answer can be told from the question alone, "the red circle" taken to name one object; empty when it cannot.
std::string given_away(const Program& program);

}  // namespace vlmprobe::world
