# One INTERFACE target per outside library, so that the rest of the build names no paths. Each comes from the system
# (Debian: libeigen3-dev nlohmann-json3-dev doctest-dev libfaiss-dev) or, with -DVLMPROBE_FETCH_DEPENDENCIES=ON, from
# CMake's FetchContent. fmt is the copy inside torch's headers, so that a process never holds two.

set(_hint "install it (Debian, Ubuntu: apt-get install libeigen3-dev nlohmann-json3-dev doctest-dev) or configure with -DVLMPROBE_FETCH_DEPENDENCIES=ON")

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

add_library(vlmprobe_fmt INTERFACE)
target_compile_definitions(vlmprobe_fmt INTERFACE FMT_HEADER_ONLY)
target_include_directories(vlmprobe_fmt SYSTEM INTERFACE "$<BUILD_INTERFACE:${VLMPROBE_TORCH_INCLUDE}>")

vlmprobe_need(nlohmann_json 3.10 https://github.com/nlohmann/json/releases/download/v3.11.3/json.tar.xz)
add_library(vlmprobe_json INTERFACE)
target_link_libraries(vlmprobe_json INTERFACE "$<BUILD_INTERFACE:nlohmann_json::nlohmann_json>")

vlmprobe_need(Eigen3 3.3 https://gitlab.com/libeigen/eigen/-/archive/3.4.0/eigen-3.4.0.tar.gz)
add_library(vlmprobe_eigen INTERFACE)
target_link_libraries(vlmprobe_eigen INTERFACE "$<BUILD_INTERFACE:Eigen3::Eigen>")

add_library(vlmprobe_faiss INTERFACE)
set(VLMPROBE_FAISS_STATUS "off")
if(VLMPROBE_WITH_FAISS)
  find_package(OpenMP QUIET)  # Debian's faiss package file needs it first
  if(OpenMP_CXX_FOUND)
    find_package(faiss QUIET)
  endif()
  if(faiss_FOUND)
    # The archive itself, then torch: FAISS uses the sgemm and the OpenMP runtime that torch brings, so that a process
    # holds one of each. The system's BLAS only fills in what torch does not export.
    get_target_property(_faiss_archive faiss LOCATION)
    get_target_property(_faiss_include faiss INTERFACE_INCLUDE_DIRECTORIES)
    find_package(BLAS QUIET)
    target_include_directories(vlmprobe_faiss SYSTEM INTERFACE "$<BUILD_INTERFACE:${_faiss_include}>")
    target_link_libraries(vlmprobe_faiss INTERFACE "$<BUILD_INTERFACE:${_faiss_archive}>" vlmprobe_torch
      "$<BUILD_INTERFACE:-Wl,--as-needed;${BLAS_LIBRARIES};-Wl,--no-as-needed>")
    target_compile_definitions(vlmprobe_faiss INTERFACE VLMPROBE_WITH_FAISS=1)
    set(VLMPROBE_FAISS_STATUS "${faiss_VERSION}")
  else()
    set(VLMPROBE_FAISS_STATUS "not found, the ATen backend serves")
  endif()
endif()
