#include <cstdio>
#include <string>

#include "vlmprobe/core/error.h"
#include "vlmprobe/core/random.h"
#include "vlmprobe/core/tables.h"

// Prints a draw, a validity and an error's text.
int main() {
  const double draw = vlmprobe::random::uniform(1, vlmprobe::random::Stream::kSampling, 1, 2, 3);
  const bool unknown = vlmprobe::validity({}) == vlmprobe::Tri::unknown;
  std::string message;
  try {
    vlmprobe::expect(false, "consumer", "k: expected at least {}, got {}", 1, 0);
  } catch (const vlmprobe::InvalidArgument& error) {
    message = error.what();
  }
  std::printf("%.16f %s %s\n", draw, unknown ? "unknown" : "known", message.c_str());
}
