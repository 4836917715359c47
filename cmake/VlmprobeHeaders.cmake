# The umbrellas say which header belongs to which library: headers.h, core.h and vlmprobe.h list them, once each. What
# is in a folder `detail` belongs to the headers and is no part of the API.

# Gives a library the public headers that its umbrella lists, for its users' include path and for installing.
function(vlmprobe_public_headers target umbrella)
  vlmprobe_listed(${umbrella} _headers)
  if(umbrella STREQUAL "headers.h")
    file(GLOB _details CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/include/vlmprobe/*/detail/*.h")
    list(APPEND _headers ${_details})
  endif()
  target_sources(${target} INTERFACE FILE_SET HEADERS BASE_DIRS "${PROJECT_SOURCE_DIR}/include"
    FILES "${PROJECT_SOURCE_DIR}/include/vlmprobe/${umbrella}" ${_headers})
endfunction()

# The paths of the headers that an umbrella lists itself.
function(vlmprobe_listed umbrella result)
  set_property(DIRECTORY "${PROJECT_SOURCE_DIR}" APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "include/vlmprobe/${umbrella}")
  set(_paths "")
  file(STRINGS "${PROJECT_SOURCE_DIR}/include/vlmprobe/${umbrella}" _lines REGEX "^#include \"vlmprobe/[a-z]+/")
  foreach(_line IN LISTS _lines)
    string(REGEX REPLACE "^#include \"([^\"]+)\"" "${PROJECT_SOURCE_DIR}/include/\\1" _path "${_line}")
    list(APPEND _paths "${_path}")
  endforeach()
  set(${result} "${_paths}" PARENT_SCOPE)
endfunction()
