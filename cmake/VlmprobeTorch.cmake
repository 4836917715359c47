# Finds LibTorch light: headers and three libraries, without torch's own package file and its CUDA, MKL and kineto noise.
# Order: -DTorch_DIR (a LibTorch or an installed torch), else the torch of ${Python_EXECUTABLE} as a user would import it.
# Defines vlmprobe_torch (INTERFACE), vlmprobe_torch_python (adds the tensor casters), VLMPROBE_TORCH_VERSION.

if(Torch_DIR)
  get_filename_component(_torch_root "${Torch_DIR}/../../.." ABSOLUTE)
else()
  # Under pip's build isolation the overlay's torch arrives by PYTHONPATH, and -I hides it: the build backend says
  # which of the two is meant (see build_backend/vlmprobe_build.py).
  set(_isolate -I)
  if(VLMPROBE_TORCH_FROM_OVERLAY)
    set(_isolate "")
  endif()
  execute_process(
    COMMAND ${Python_EXECUTABLE} ${_isolate} -c "import importlib.util as u; print(u.find_spec('torch').submodule_search_locations[0])"
    OUTPUT_VARIABLE _torch_root OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE _torch_missing ERROR_QUIET)
  if(_torch_missing)
    message(FATAL_ERROR "vlmprobe needs PyTorch at build time and ${Python_EXECUTABLE} has none.\n"
      "  pip install torch==2.13.0      (the CPU build is enough)\n  or configure with -DTorch_DIR=<libtorch>/share/cmake/Torch")
  endif()
endif()

file(READ "${_torch_root}/include/torch/headeronly/version.h" _version_h)
string(REGEX MATCH "TORCH_VERSION_MAJOR ([0-9]+)" _ "${_version_h}")
set(_major "${CMAKE_MATCH_1}")
string(REGEX MATCH "TORCH_VERSION_MINOR ([0-9]+)" _ "${_version_h}")
set(VLMPROBE_TORCH_VERSION "${_major}.${CMAKE_MATCH_1}")

add_library(vlmprobe_torch INTERFACE)
target_include_directories(vlmprobe_torch SYSTEM INTERFACE
  "$<BUILD_INTERFACE:${_torch_root}/include>" "$<BUILD_INTERFACE:${_torch_root}/include/torch/csrc/api/include>")
target_compile_definitions(vlmprobe_torch INTERFACE AT_PER_OPERATOR_HEADERS)
set(VLMPROBE_TORCH_LIB_DIR "${_torch_root}/lib")
# torch's wheel brings its own OpenMP runtime; linking another one would put two into a process.
file(GLOB _gomp "${VLMPROBE_TORCH_LIB_DIR}/libgomp*.so*")
if(_gomp)
  target_link_libraries(vlmprobe_torch INTERFACE "$<BUILD_INTERFACE:${_gomp}>")
endif()
foreach(_name torch torch_cpu c10)
  find_library(VLMPROBE_LIB_${_name} ${_name} PATHS "${VLMPROBE_TORCH_LIB_DIR}" NO_DEFAULT_PATH REQUIRED)
  target_link_libraries(vlmprobe_torch INTERFACE "$<BUILD_INTERFACE:${VLMPROBE_LIB_${_name}}>")
endforeach()

add_library(vlmprobe_torch_python INTERFACE)
find_library(VLMPROBE_LIB_torch_python torch_python PATHS "${VLMPROBE_TORCH_LIB_DIR}" NO_DEFAULT_PATH)
target_link_libraries(vlmprobe_torch_python INTERFACE vlmprobe_torch "${VLMPROBE_LIB_torch_python}")
set(VLMPROBE_TORCH_INCLUDE "${_torch_root}/include")
