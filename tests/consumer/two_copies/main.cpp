// Catches the errors of both copies by their one type.
#include <cstdio>

#include "vlmprobe/core/error.h"

namespace first {
void refuse();
void slow_down();
const void* state();
}  // namespace first
namespace second {
void refuse();
void slow_down();
const void* state();
}  // namespace second

int main() {
  first::slow_down(), second::slow_down();
  for (const auto refuse : {&first::refuse, &second::refuse}) {
    try {
      refuse();
    } catch (const vlmprobe::InvalidArgument& error) {
      std::printf("%s\n", error.what());
    }
  }
  std::printf("%s\n", first::state() == second::state() ? "one copy" : "two copies");
}
