# Warnings for our own sources and tests only; consumers never inherit them.
option(VLMPROBE_WARNINGS_AS_ERRORS "Treat warnings in vlmprobe's own sources as errors" OFF)
add_library(vlmprobe_warnings INTERFACE)
target_compile_options(vlmprobe_warnings INTERFACE -Wall -Wextra -Wpedantic -Wconversion -Wno-sign-conversion -Wshadow)
# GCC 12 takes `text = "a literal"` for an overlapping copy.
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  target_compile_options(vlmprobe_warnings INTERFACE -Wno-restrict)
endif()
if(VLMPROBE_WARNINGS_AS_ERRORS)
  target_compile_options(vlmprobe_warnings INTERFACE -Werror)
endif()
