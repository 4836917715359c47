# Links FAISS's static archive. Used by our build and, installed, by a consumer's find_package(vlmprobe): vlmprobe is a
# static library itself, so whoever links it needs the archive again.

# Sets `result` to FAISS's version and links it to an INTERFACE target, or sets it to "" where there is none.
function(vlmprobe_link_faiss target torch result)
  set(${result} "" PARENT_SCOPE)
  find_package(OpenMP QUIET)  # Debian's faiss package file names its target; the runtime itself is torch's
  find_package(faiss QUIET)
  if(NOT faiss_FOUND)
    return()
  endif()
  # On the link line: the archive, then torch, then the system's BLAS. FAISS uses the sgemm and the OpenMP runtime that
  # torch brings, so that a process holds one of each, and BLAS only fills in what torch does not export. CMake keeps an
  # order between targets only, so the archive gets a name of ours that depends on torch, and BLAS hangs on torch_cpu.
  get_target_property(_archive faiss LOCATION)
  get_target_property(_include faiss INTERFACE_INCLUDE_DIRECTORIES)
  find_package(BLAS QUIET)
  if(NOT TARGET vlmprobe_faiss_archive)
    add_library(vlmprobe_faiss_archive STATIC IMPORTED)
    set_target_properties(vlmprobe_faiss_archive PROPERTIES IMPORTED_LOCATION "${_archive}"
      INTERFACE_INCLUDE_DIRECTORIES "${_include}"
      INTERFACE_LINK_LIBRARIES "${torch}")
    set_property(TARGET vlmprobe_lib_torch_cpu APPEND PROPERTY INTERFACE_LINK_LIBRARIES
      "-Wl,--as-needed;${BLAS_LIBRARIES};-Wl,--no-as-needed")
  endif()
  target_link_libraries(${target} INTERFACE "$<BUILD_INTERFACE:vlmprobe_faiss_archive>")
  set(${result} "${faiss_VERSION}" PARENT_SCOPE)
endfunction()
