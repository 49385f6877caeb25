# SPDX-License-Identifier: Apache-2.0
#
# Generated header ghl_build.h. The version has one source: project(VERSION) in CMakeLists.txt. The commit is looked up at every build
# (the file is touched only when it changes), so that a run's env.json names the source that it was really built from.
set(GHL_GENERATED "${PROJECT_BINARY_DIR}/generated")
find_package(Git QUIET)
set(version_script "${PROJECT_SOURCE_DIR}/cmake/WriteBuildInfo.cmake")
set(version_arguments
    -D "SOURCE=${PROJECT_SOURCE_DIR}" -D "OUTPUT=${GHL_GENERATED}/ghl_build.h" -D "GIT=${GIT_EXECUTABLE}"
    -D "VERSION=${PROJECT_VERSION}" -D "MAJOR=${PROJECT_VERSION_MAJOR}" -D "MINOR=${PROJECT_VERSION_MINOR}" -D "PATCH=${PROJECT_VERSION_PATCH}"
    -D "COMPILER=${CMAKE_C_COMPILER_ID} ${CMAKE_C_COMPILER_VERSION}" -D "BUILD=${CMAKE_BUILD_TYPE}" -D "SANITIZE=${GHL_SANITIZE}")
execute_process(COMMAND ${CMAKE_COMMAND} ${version_arguments} -P ${version_script} RESULT_VARIABLE version_result)
if(version_result)
    message(FATAL_ERROR "Could not write ${GHL_GENERATED}/ghl_build.h")
endif()
add_custom_target(ghl_build_info COMMAND ${CMAKE_COMMAND} ${version_arguments} -P ${version_script}
                  BYPRODUCTS ${GHL_GENERATED}/ghl_build.h VERBATIM COMMENT "Looking up the commit")
