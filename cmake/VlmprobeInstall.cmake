# cmake --install: headers, static libraries and a package file, for find_package(vlmprobe), of what is built. The
# component `python` (the module) is what a wheel takes; everything here is the component `cpp`.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(_package "${CMAKE_INSTALL_LIBDIR}/cmake/vlmprobe")

# vlmprobe<Set>.cmake for a library and the targets it hangs on. Those are exported without paths: vlmprobeConfig.cmake
# fills torch, FAISS, libcurl and threads in on the machine that uses them.
function(vlmprobe_install set library)
  foreach(_dependency IN LISTS ARGN)
    set_target_properties(vlmprobe_${_dependency} PROPERTIES EXPORT_NAME ${_dependency})
    install(TARGETS vlmprobe_${_dependency} EXPORT vlmprobe${set} COMPONENT cpp)
  endforeach()
  install(TARGETS ${library} EXPORT vlmprobe${set}
    ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT cpp
    FILE_SET HEADERS DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}" COMPONENT cpp)
  install(EXPORT vlmprobe${set} NAMESPACE vlmprobe:: DESTINATION "${_package}" COMPONENT cpp)
endfunction()

vlmprobe_install(Headers vlmprobe_headers)
if(VLMPROBE_WITH_CORE)
  vlmprobe_install(Core vlmprobe_core threads curl)
endif()
if(VLMPROBE_WITH_TORCH)
  vlmprobe_install(Tensors vlmprobe torch faiss)
  install(FILES cmake/VlmprobeTorch.cmake cmake/VlmprobeFaiss.cmake DESTINATION "${_package}" COMPONENT cpp)
endif()
configure_package_config_file(cmake/vlmprobeConfig.cmake.in "${CMAKE_CURRENT_BINARY_DIR}/vlmprobeConfig.cmake"
  INSTALL_DESTINATION "${_package}")
write_basic_package_version_file("${CMAKE_CURRENT_BINARY_DIR}/vlmprobeConfigVersion.cmake" COMPATIBILITY SameMinorVersion)
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/vlmprobeConfig.cmake" "${CMAKE_CURRENT_BINARY_DIR}/vlmprobeConfigVersion.cmake"
  DESTINATION "${_package}" COMPONENT cpp)
