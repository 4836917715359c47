# Links FAISS's static archive. Used by our build and, installed, by a consumer's find_package(vlmprobe): vlmprobe is a
# static library itself, so whoever links it needs the archive again.

# Sets `result` to FAISS's version and links it to an INTERFACE target, or sets it to "" where there is none.
function(vlmprobe_link_faiss target torch result)
  set(${result} "" PARENT_SCOPE)
  find_package(OpenMP QUIET)  # Debian's faiss package file needs it first
  if(OpenMP_CXX_FOUND)
    find_package(faiss QUIET)
  endif()
  if(NOT faiss_FOUND)
    return()
  endif()
  # The archive itself, then torch: FAISS uses the sgemm and the OpenMP runtime that torch brings, so that a process
  # holds one of each. The system's BLAS only fills in what torch does not export.
  get_target_property(_archive faiss LOCATION)
  get_target_property(_include faiss INTERFACE_INCLUDE_DIRECTORIES)
  find_package(BLAS QUIET)
  target_include_directories(${target} SYSTEM INTERFACE "$<BUILD_INTERFACE:${_include}>")
  target_link_libraries(${target} INTERFACE "$<BUILD_INTERFACE:${_archive}>" ${torch}
    "$<BUILD_INTERFACE:-Wl,--as-needed;${BLAS_LIBRARIES};-Wl,--no-as-needed>")
  set(${result} "${faiss_VERSION}" PARENT_SCOPE)
endfunction()
