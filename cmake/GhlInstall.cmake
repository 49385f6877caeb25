# SPDX-License-Identifier: Apache-2.0
#
# A folder that may be moved, and copied to other machines: all paths in it are relative. Component gpu is the part that a machine with a GPU
# needs to train: the command, device cuda, recipes, and copies of the libraries below them that are not glibc's. The rest is for programs of
# one's own, and oneDNN, for device cpu.
include(CMakePackageConfigHelpers)
set(package_folder "${CMAKE_INSTALL_LIBDIR}/cmake/ghl")
set(copies_folder "${CMAKE_INSTALL_LIBDIR}/ghl")        # on the run paths, of nobody else
option(GHL_COPIES "Install copies of the shared libraries that ghl needs" ON)

install(TARGETS ghl_shared ghl_static EXPORT ghl-targets
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
set(programs "")
if(TARGET ghl)
    install(TARGETS ghl RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT gpu)
    list(APPEND programs $<TARGET_FILE:ghl>)
endif()
if(TARGET ghl_cuda)
    install(TARGETS ghl_cuda LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT gpu)
    list(APPEND programs $<TARGET_FILE:ghl_cuda>)
endif()
install(DIRECTORY "${PROJECT_SOURCE_DIR}/include/" DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
        FILES_MATCHING PATTERN "ghl*.h" PATTERN "ghl*.def")
install(DIRECTORY "${PROJECT_SOURCE_DIR}/recipes" DESTINATION ${CMAKE_INSTALL_DATADIR}/ghl COMPONENT gpu FILES_MATCHING PATTERN "*.yaml")
install(FILES "${PROJECT_SOURCE_DIR}/LICENSE" DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT gpu)
install(DIRECTORY "${PROJECT_SOURCE_DIR}/docs/" DESTINATION ${CMAKE_INSTALL_DOCDIR} FILES_MATCHING PATTERN "*.md" PATTERN "runs" EXCLUDE)

# Run when it is installed. A copy bears its soname; the licence beside it is what the system keeps of the package that it came from.
function(ghl_install_copies component library)
    set(CODE_COMPONENT ${component})
    set(CODE_PROGRAMS "${programs}")
    set(CODE_LIBRARY "${library}")
    set(CODE_LIBRARY_NAME "")
    if(library)
        file(STRINGS "${GHL_DNNL_INCLUDE}/oneapi/dnnl/dnnl_version.h" major REGEX "define DNNL_VERSION_MAJOR")
        string(REGEX MATCH "[0-9]+" major "${major}")
        set(CODE_LIBRARY_NAME "libdnnl.so.${major}")
    endif()
    configure_file("${PROJECT_SOURCE_DIR}/cmake/InstallCopies.cmake.in" "${GHL_GENERATED}/InstallCopies-${component}.cmake.in" @ONLY)
    file(GENERATE OUTPUT "${GHL_GENERATED}/InstallCopies-${component}.cmake" INPUT "${GHL_GENERATED}/InstallCopies-${component}.cmake.in")
    install(SCRIPT "${GHL_GENERATED}/InstallCopies-${component}.cmake" COMPONENT ${component})
endfunction()
if(GHL_COPIES AND TARGET ghl AND NOT GHL_SANITIZE)
    ghl_install_copies(gpu "")
    ghl_install_copies(Unspecified "${GHL_DNNL_LIBRARY}")
endif()

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
