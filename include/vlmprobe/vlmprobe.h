// Every public header, for users who would rather wait than choose. Nothing inside vlmprobe includes this file; it
// brings ATen/core/Tensor.h (3 s to compile). The headers named in CMake's vlmprobe::headers need no torch: include
// those one by one in a program without it.
#pragma once

#include "vlmprobe/core/error.h"
#include "vlmprobe/core/random.h"
#include "vlmprobe/core/shape.h"
#include "vlmprobe/core/tables.h"
