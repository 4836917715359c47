# Finds LibTorch light: headers and three libraries, without torch's own package file and its CUDA, MKL and kineto noise.
# Used by our build and, installed, by a consumer's find_package(vlmprobe).
#
# Order: -DTorch_DIR (a LibTorch or an installed torch), else the torch of ${Python_EXECUTABLE} as a user would import it.

# The folder that holds torch's include/ and lib/, or "" where there is none.
function(vlmprobe_torch_root result)
  if(Torch_DIR)
    get_filename_component(_root "${Torch_DIR}/../../.." ABSOLUTE)
  elseif(Python_EXECUTABLE)
    # Under pip's build isolation the overlay's torch arrives by PYTHONPATH, and -I hides it: the build backend says
    # which of the two is meant (build_backend/vlmprobe_build.py).
    set(_isolate -I)
    if(VLMPROBE_TORCH_FROM_OVERLAY)
      set(_isolate "")
    endif()
    execute_process(
      COMMAND ${Python_EXECUTABLE} ${_isolate} -c "import importlib.util as u; print(u.find_spec('torch').submodule_search_locations[0])"
      OUTPUT_VARIABLE _root OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  endif()
  if(NOT EXISTS "${_root}/include/torch/headeronly/version.h")
    set(_root "")
  endif()
  set(${result} "${_root}" PARENT_SCOPE)
endfunction()

# "X.Y" of the torch in a folder.
function(vlmprobe_torch_version root result)
  file(READ "${root}/include/torch/headeronly/version.h" _text)
  string(REGEX MATCH "TORCH_VERSION_MAJOR ([0-9]+)" _ "${_text}")
  set(_major "${CMAKE_MATCH_1}")
  string(REGEX MATCH "TORCH_VERSION_MINOR ([0-9]+)" _ "${_text}")
  set(${result} "${_major}.${CMAKE_MATCH_1}" PARENT_SCOPE)
endfunction()

# Gives an INTERFACE target torch's headers and libraries. Nothing of it is exported: paths differ between machines.
function(vlmprobe_link_torch target root)
  target_include_directories(${target} SYSTEM INTERFACE
    "$<BUILD_INTERFACE:${root}/include>" "$<BUILD_INTERFACE:${root}/include/torch/csrc/api/include>")
  # torch's folder of headers holds its own fmt, which whoever includes fmt now gets: without the library behind it.
  target_compile_definitions(${target} INTERFACE AT_PER_OPERATOR_HEADERS FMT_HEADER_ONLY)
  # torch's wheel brings its own OpenMP runtime; linking another one would put two into a process.
  file(GLOB _libraries "${root}/lib/libgomp*.so*")
  # A CUDA build of torch loads its backend through libtorch.so, of which a program uses no symbol: kept by force.
  find_library(_library_torch torch PATHS "${root}/lib" NO_DEFAULT_PATH NO_CACHE REQUIRED)
  list(APPEND _libraries "-Wl,--push-state,--no-as-needed,${_library_torch},--pop-state")
  foreach(_name torch_cpu c10)
    # Never cached: a kept build folder may meet another torch the next time.
    find_library(_library_${_name} ${_name} PATHS "${root}/lib" NO_DEFAULT_PATH NO_CACHE REQUIRED)
    if(NOT TARGET vlmprobe_lib_${_name})
      add_library(vlmprobe_lib_${_name} UNKNOWN IMPORTED)
      set_target_properties(vlmprobe_lib_${_name} PROPERTIES IMPORTED_LOCATION "${_library_${_name}}")
    endif()
    list(APPEND _libraries vlmprobe_lib_${_name})
  endforeach()
  target_link_libraries(${target} INTERFACE "$<BUILD_INTERFACE:${_libraries}>")
endfunction()
