# SPDX-License-Identifier: Apache-2.0
#
# libghl, shared and static, from one compilation, and the command `ghl`.
# The command holds every object of the library and exports the public functions, so that plug-ins (dlopen) find them in it.
file(GLOB library_sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/src/*/*.c" "${PROJECT_SOURCE_DIR}/src/device/*/*.c")
file(GLOB cli_sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/src/cli/*.c")
file(GLOB isa_sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/src/device/cpu/isa_*.c")
file(GLOB cpu_sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/src/device/cpu/*.c")
list(FILTER library_sources EXCLUDE REGEX "/src/cli/|/src/device/cuda/|/src/device/cpu/isa_")
if(NOT library_sources)
    file(WRITE "${GHL_GENERATED}/empty.c" "extern int ghl_empty;\n")
    set(library_sources "${GHL_GENERATED}/empty.c")
endif()

# Flags of our own sources. errno and floating-point traps are not used; both flags leave NaN and infinities their meaning.
add_library(ghl_flags INTERFACE)
target_compile_options(ghl_flags INTERFACE -Wall -Wextra -Wpedantic -fno-math-errno -fno-trapping-math)
if(GHL_WERROR)
    target_compile_options(ghl_flags INTERFACE -Werror)
endif()
target_compile_definitions(ghl_flags INTERFACE _GNU_SOURCE)
target_include_directories(ghl_flags INTERFACE "${PROJECT_SOURCE_DIR}/include" "${GHL_GENERATED}")

add_library(ghl_objects OBJECT ${library_sources})
add_dependencies(ghl_objects ghl_build_info)
target_link_libraries(ghl_objects PRIVATE ghl_flags ghl_deps)
target_include_directories(ghl_objects PRIVATE "${PROJECT_SOURCE_DIR}/src")
set_source_files_properties(${cpu_sources} PROPERTIES COMPILE_OPTIONS -fopenmp)
set(GHL_OBJECTS $<TARGET_OBJECTS:ghl_objects>)

# Kernels: one source, compiled once per instruction set; the device picks at run time. FMA contraction is wanted here and nowhere else.
set(GHL_ISAS base)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$")
    check_c_compiler_flag("-march=x86-64-v3" GHL_HAVE_V3)
    check_c_compiler_flag("-march=x86-64-v4 -mprefer-vector-width=512" GHL_HAVE_V4)
    if(GHL_HAVE_V3 AND GHL_HAVE_V4)
        set(GHL_ISAS base v3 v4)
        target_compile_definitions(ghl_objects PRIVATE GHL_ISA_X86=1)      # v3 and v4 exist; check the CPU before calling them
    endif()
endif()
set(isa_flags_base "")
set(isa_flags_v3 -march=x86-64-v3)
set(isa_flags_v4 -march=x86-64-v4 -mprefer-vector-width=512)
if(isa_sources)
    foreach(isa IN LISTS GHL_ISAS)
        add_library(ghl_isa_${isa} OBJECT ${isa_sources})
        target_link_libraries(ghl_isa_${isa} PRIVATE ghl_flags ghl_deps)
        target_include_directories(ghl_isa_${isa} PRIVATE "${PROJECT_SOURCE_DIR}/src")
        target_compile_definitions(ghl_isa_${isa} PRIVATE GHL_ISA=${isa})
        target_compile_options(ghl_isa_${isa} PRIVATE ${isa_flags_${isa}} -ffp-contract=fast)
        list(APPEND GHL_OBJECTS $<TARGET_OBJECTS:ghl_isa_${isa}>)
    endforeach()
endif()

function(ghl_library target kind export)
    add_library(${target} ${kind} ${GHL_OBJECTS})
    set_target_properties(${target} PROPERTIES OUTPUT_NAME ghl EXPORT_NAME ${export} LINKER_LANGUAGE C)
    target_include_directories(${target} PUBLIC "$<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>"
                               "$<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>")
    add_library(ghl::${export} ALIAS ${target})
endfunction()

ghl_library(ghl_shared SHARED ghl)
set_target_properties(ghl_shared PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR})
target_link_libraries(ghl_shared PRIVATE $<BUILD_INTERFACE:ghl_deps>)
ghl_library(ghl_static STATIC static)
target_link_libraries(ghl_static INTERFACE $<BUILD_INTERFACE:ghl_deps> "$<INSTALL_INTERFACE:${GHL_LINK_NAMES}>")

if(cli_sources)
    add_executable(ghl ${cli_sources} ${GHL_OBJECTS})
    target_link_libraries(ghl PRIVATE ghl_flags ghl_deps)
    set_target_properties(ghl PROPERTIES ENABLE_EXPORTS ON RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}")
endif()
