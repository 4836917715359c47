#include "vlmprobe/core/shape.h"
#include "vlmprobe/grpo/simd.h"

namespace COPY {

__attribute__((visibility("default"))) void refuse() {
  vlmprobe::Shapes("copy").require("x", {}, {"B"});
}
__attribute__((visibility("default"))) void slow_down() {
  vlmprobe::grpo::limit_simd("aten");
}
__attribute__((visibility("default"))) const void* state() {
  return reinterpret_cast<const void*>(&vlmprobe::grpo::limit_simd);
}

}  // namespace COPY
