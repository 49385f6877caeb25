# SPDX-License-Identifier: Apache-2.0
#
# Headers, libraries, command, recipes, pkg-config and CMake package files. All paths in them are relative: the tree may be moved.
include(CMakePackageConfigHelpers)
set(package_folder "${CMAKE_INSTALL_LIBDIR}/cmake/ghl")

install(TARGETS ghl_shared ghl_static EXPORT ghl-targets
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
if(TARGET ghl)
    install(TARGETS ghl RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
if(TARGET ghl_cuda)
    install(TARGETS ghl_cuda LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
endif()
install(DIRECTORY "${PROJECT_SOURCE_DIR}/include/" DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
        FILES_MATCHING PATTERN "ghl*.h" PATTERN "ghl*.def")
install(DIRECTORY "${PROJECT_SOURCE_DIR}/recipes" DESTINATION ${CMAKE_INSTALL_DATADIR}/ghl FILES_MATCHING PATTERN "*.yaml")
install(FILES "${PROJECT_SOURCE_DIR}/LICENSE" DESTINATION ${CMAKE_INSTALL_DOCDIR})

file(RELATIVE_PATH GHL_PC_PREFIX "/prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/prefix")
list(TRANSFORM GHL_LINK_NAMES PREPEND "-l" OUTPUT_VARIABLE GHL_PC_PRIVATE)
string(REPLACE ";" " " GHL_PC_PRIVATE "${GHL_PC_PRIVATE}")
configure_file("${PROJECT_SOURCE_DIR}/cmake/ghl.pc.in" "${GHL_GENERATED}/ghl.pc" @ONLY)
install(FILES "${GHL_GENERATED}/ghl.pc" DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

install(EXPORT ghl-targets NAMESPACE ghl:: DESTINATION ${package_folder})
configure_package_config_file("${PROJECT_SOURCE_DIR}/cmake/ghl-config.cmake.in" "${GHL_GENERATED}/ghl-config.cmake"
                              INSTALL_DESTINATION ${package_folder})
write_basic_package_version_file("${GHL_GENERATED}/ghl-config-version.cmake" COMPATIBILITY SameMinorVersion)
install(FILES "${GHL_GENERATED}/ghl-config.cmake" "${GHL_GENERATED}/ghl-config-version.cmake" DESTINATION ${package_folder})
