// Every public header, for users who would rather wait than choose. Nothing inside vlmprobe includes this file. It may
// bring ATen/core/Tensor.h (3 s to compile): a program without torch includes the headers it needs one by one.
#pragma once

#include "vlmprobe/core/error.h"
#include "vlmprobe/core/random.h"
#include "vlmprobe/core/shape.h"
#include "vlmprobe/core/tables.h"
