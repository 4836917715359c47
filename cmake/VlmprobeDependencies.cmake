# One INTERFACE target per outside library, so that the rest of the build names no paths. Each comes from the system
# (Debian: libeigen3-dev nlohmann-json3-dev doctest-dev libfaiss-dev) or, with -DVLMPROBE_FETCH_DEPENDENCIES=ON, from
# CMake's FetchContent; torch comes with the Python that runs vlmprobe. A library is looked for only when something
# that is built needs it: vlmprobe::headers needs nothing.

set(_hint "install it (Debian, Ubuntu: apt-get install libeigen3-dev nlohmann-json3-dev doctest-dev) or configure with -DVLMPROBE_FETCH_DEPENDENCIES=ON, or with -DVLMPROBE_WITH_CORE=OFF -DVLMPROBE_WITH_TORCH=OFF for vlmprobe::headers, which needs nothing")

function(vlmprobe_need name version url)
  find_package(${name} ${version} QUIET)
  if(NOT ${name}_FOUND)
    if(NOT VLMPROBE_FETCH_DEPENDENCIES)
      message(FATAL_ERROR "vlmprobe needs ${name} >= ${version}: ${_hint}")
    endif()
    include(FetchContent)
    FetchContent_Declare(${name} URL ${url})
    FetchContent_MakeAvailable(${name})
  endif()
endfunction()

set(VLMPROBE_HIGHWAY_STATUS "off")
set(VLMPROBE_CURL_STATUS "off")
set(VLMPROBE_FAISS_STATUS "off")
set(VLMPROBE_TORCH_VERSION "off")
set(VLMPROBE_HAS_CURL OFF)
set(VLMPROBE_HAS_FAISS OFF)
if(NOT VLMPROBE_WITH_CORE)
  return()
endif()

find_package(Threads REQUIRED)
add_library(vlmprobe_threads INTERFACE)
target_link_libraries(vlmprobe_threads INTERFACE "$<BUILD_INTERFACE:Threads::Threads>")

vlmprobe_need(nlohmann_json 3.10 https://github.com/nlohmann/json/releases/download/v3.11.3/json.tar.xz)
add_library(vlmprobe_json INTERFACE)
target_link_libraries(vlmprobe_json INTERFACE nlohmann_json::nlohmann_json)

# libcurl, shared and the system's: what is exported finds it again on the machine that uses it.
add_library(vlmprobe_curl INTERFACE)
if(VLMPROBE_WITH_CURL)
  find_package(CURL 7.85 QUIET)
  if(CURL_FOUND)
    target_link_libraries(vlmprobe_curl INTERFACE "$<BUILD_INTERFACE:CURL::libcurl>")
    target_compile_definitions(vlmprobe_curl INTERFACE "$<BUILD_INTERFACE:VLMPROBE_WITH_CURL=1>")
    set(VLMPROBE_CURL_STATUS "${CURL_VERSION_STRING}")
    set(VLMPROBE_HAS_CURL ON)
  else()
    set(VLMPROBE_CURL_STATUS "not found, no chat client")
  endif()
endif()

# Google Highway, headers only: the loops over the vocabulary, once per instruction set. Without it ATen's operators do
# the same more slowly. Its library is not linked: we choose among the instruction sets ourselves.
add_library(vlmprobe_highway INTERFACE)
if(VLMPROBE_WITH_HIGHWAY)
  find_package(hwy 1.0.3 QUIET)
  if(NOT hwy_FOUND AND VLMPROBE_FETCH_DEPENDENCIES)
    include(FetchContent)
    foreach(_part TESTS EXAMPLES INSTALL CONTRIB)  # in the cache: Highway's own policy would drop plain variables
      set(HWY_ENABLE_${_part} OFF CACHE BOOL "" FORCE)
    endforeach()
    FetchContent_Declare(hwy URL https://github.com/google/highway/releases/download/1.2.0/highway-1.2.0.tar.gz)
    FetchContent_MakeAvailable(hwy)
    set(hwy_VERSION 1.2.0)
    target_include_directories(vlmprobe_highway SYSTEM INTERFACE "${hwy_SOURCE_DIR}")
    set(hwy_FOUND ON)
  elseif(hwy_FOUND)
    get_target_property(_hwy_include hwy::hwy INTERFACE_INCLUDE_DIRECTORIES)
    target_include_directories(vlmprobe_highway SYSTEM INTERFACE ${_hwy_include})
  endif()
  if(hwy_FOUND)
    target_compile_definitions(vlmprobe_highway INTERFACE VLMPROBE_WITH_HIGHWAY=1)
    set(VLMPROBE_HIGHWAY_STATUS "${hwy_VERSION}")
  else()
    set(VLMPROBE_HIGHWAY_STATUS "not found, ATen's operators serve")
  endif()
endif()

if(NOT VLMPROBE_WITH_TORCH)
  return()
endif()
include(VlmprobeTorch)
include(VlmprobeFaiss)

vlmprobe_torch_root(_torch_root)
if(NOT _torch_root)
  message(FATAL_ERROR "vlmprobe needs PyTorch at build time and '${Python_EXECUTABLE}' has none.\n"
    "  pip install torch==2.13.0      (the CPU build is enough)\n  or configure with -DTorch_DIR=<libtorch>/share/cmake/Torch\n"
    "  or with -DVLMPROBE_WITH_TORCH=OFF -DVLMPROBE_BUILD_TESTS=OFF for vlmprobe::headers and vlmprobe::core alone")
endif()
vlmprobe_torch_version("${_torch_root}" VLMPROBE_TORCH_VERSION)
set(VLMPROBE_TORCH_LIB_DIR "${_torch_root}/lib")
add_library(vlmprobe_torch INTERFACE)
vlmprobe_link_torch(vlmprobe_torch "${_torch_root}")

# torch's library of tensor casters, for the Python module only.
add_library(vlmprobe_torch_python INTERFACE)
find_library(_torch_python torch_python PATHS "${VLMPROBE_TORCH_LIB_DIR}" NO_DEFAULT_PATH NO_CACHE)
if(_torch_python)  # a LibTorch has none
  target_link_libraries(vlmprobe_torch_python INTERFACE vlmprobe_torch "${_torch_python}")
endif()

vlmprobe_need(Eigen3 3.3 https://gitlab.com/libeigen/eigen/-/archive/3.4.0/eigen-3.4.0.tar.gz)
add_library(vlmprobe_eigen INTERFACE)
target_link_libraries(vlmprobe_eigen INTERFACE Eigen3::Eigen)

add_library(vlmprobe_faiss INTERFACE)
if(VLMPROBE_WITH_FAISS)
  vlmprobe_link_faiss(vlmprobe_faiss vlmprobe_torch _faiss_version)
  if(_faiss_version)
    target_compile_definitions(vlmprobe_faiss INTERFACE "$<BUILD_INTERFACE:VLMPROBE_WITH_FAISS=1>")
    set(VLMPROBE_FAISS_STATUS "${_faiss_version}")
    set(VLMPROBE_HAS_FAISS ON)
  else()
    set(VLMPROBE_FAISS_STATUS "not found, the ATen backend serves")
  endif()
endif()
