// A consumer uses a body of each header of its library and says which of them did not do what it should.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace consumer {

inline int checked = 0, wrong = 0;

inline void holds(const char* header, bool ok) {
  ++checked;
  if (ok) return;
  ++wrong;
  std::printf("wrong: %s\n", header);
}

inline int report() {
  std::printf("%d headers, %d wrong\n", checked, wrong);
  return wrong == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

}  // namespace consumer
