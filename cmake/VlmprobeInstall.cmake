# cmake --install: headers, the static library and a package file, for find_package(vlmprobe). The component `python`
# (the module) is what a wheel takes; everything here is the component `cpp`.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(_package "${CMAKE_INSTALL_LIBDIR}/cmake/vlmprobe")
# Exported without paths: vlmprobeConfig.cmake fills torch, fmt and faiss in on the machine that uses them.
set_target_properties(vlmprobe_torch PROPERTIES EXPORT_NAME torch)
set_target_properties(vlmprobe_fmt PROPERTIES EXPORT_NAME fmt)
set_target_properties(vlmprobe_faiss PROPERTIES EXPORT_NAME faiss)
set_target_properties(vlmprobe_curl PROPERTIES EXPORT_NAME curl)
install(TARGETS vlmprobe_headers vlmprobe_fmt EXPORT vlmprobeHeaders COMPONENT cpp)
install(TARGETS vlmprobe vlmprobe_torch vlmprobe_faiss vlmprobe_curl EXPORT vlmprobeLibrary
  ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT cpp)
install(DIRECTORY include/vlmprobe DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}" COMPONENT cpp FILES_MATCHING PATTERN "*.h")
foreach(_set Headers Library)
  install(EXPORT vlmprobe${_set} NAMESPACE vlmprobe:: DESTINATION "${_package}" COMPONENT cpp)
endforeach()
configure_package_config_file(cmake/vlmprobeConfig.cmake.in "${CMAKE_CURRENT_BINARY_DIR}/vlmprobeConfig.cmake"
  INSTALL_DESTINATION "${_package}")
write_basic_package_version_file("${CMAKE_CURRENT_BINARY_DIR}/vlmprobeConfigVersion.cmake" COMPATIBILITY SameMinorVersion)
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/vlmprobeConfig.cmake" "${CMAKE_CURRENT_BINARY_DIR}/vlmprobeConfigVersion.cmake"
  cmake/VlmprobeTorch.cmake cmake/VlmprobeFaiss.cmake DESTINATION "${_package}" COMPONENT cpp)
