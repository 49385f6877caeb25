# SPDX-License-Identifier: Apache-2.0
#
# The libraries that ghl stands on. All are looked for before the first complaint, so that one message names all that is missing.
set(GHL_MISSING "")
set(GHL_LINK_NAMES "")

function(ghl_find name header package)
    string(TOUPPER ${name} key)
    find_library(GHL_${key}_LIBRARY NAMES ${name})
    find_path(GHL_${key}_INCLUDE NAMES ${header})
    if(GHL_${key}_LIBRARY AND GHL_${key}_INCLUDE)
        get_filename_component(folder ${GHL_${key}_LIBRARY} DIRECTORY)
        target_include_directories(ghl_deps SYSTEM INTERFACE ${GHL_${key}_INCLUDE})
        target_link_directories(ghl_deps INTERFACE ${folder})
        target_link_libraries(ghl_deps INTERFACE ${name})
        set(GHL_LINK_NAMES ${GHL_LINK_NAMES} ${name} PARENT_SCOPE)
    else()
        set(GHL_MISSING ${GHL_MISSING} ${package} PARENT_SCOPE)
    endif()
    mark_as_advanced(GHL_${key}_LIBRARY GHL_${key}_INCLUDE)
endfunction()

add_library(ghl_deps INTERFACE)
ghl_find(yaml yaml.h libyaml-dev)
ghl_find(jansson jansson.h libjansson-dev)
ghl_find(z zlib.h zlib1g-dev)
ghl_find(jpeg jpeglib.h libjpeg62-turbo-dev)
ghl_find(spng spng.h libspng-dev)

# oneDNN is loaded when device cpu is opened (src/device/cpu/dnnl.c), not linked: a ghl for GPUs is installed without.
find_library(GHL_DNNL_LIBRARY NAMES dnnl)
find_path(GHL_DNNL_INCLUDE NAMES oneapi/dnnl/dnnl.h)
mark_as_advanced(GHL_DNNL_LIBRARY GHL_DNNL_INCLUDE)
if(GHL_DNNL_LIBRARY AND GHL_DNNL_INCLUDE)
    target_include_directories(ghl_deps SYSTEM INTERFACE ${GHL_DNNL_INCLUDE})
    get_filename_component(GHL_DNNL_FOLDER ${GHL_DNNL_LIBRARY} DIRECTORY)
else()
    list(APPEND GHL_MISSING libdnnl-dev)
endif()

if(GHL_MISSING)
    string(REPLACE ";" " " missing "${GHL_MISSING}")
    message(FATAL_ERROR "Not found: ${missing} (names of Debian's packages).\n"
                        "  On Debian and its kin: sudo apt-get install ${missing}, or run ./check --build-only, which does it.\n"
                        "  Elsewhere: install oneDNN 2.6 or later, or 3, libyaml, jansson, zlib, libjpeg-turbo 2, libspng with their headers.")
endif()

check_c_compiler_flag(-fopenmp GHL_HAVE_OPENMP)
if(NOT GHL_HAVE_OPENMP)
    message(FATAL_ERROR "The compiler ${CMAKE_C_COMPILER} has no -fopenmp; gcc 12 or later is the tested choice (CC=gcc).")
endif()
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
    set(GHL_OPENMP_LIBRARY gomp)
else()
    set(GHL_OPENMP_LIBRARY omp)
    target_link_options(ghl_deps INTERFACE -fopenmp)    # it knows where its library lies
endif()
list(APPEND GHL_LINK_NAMES ${GHL_OPENMP_LIBRARY} pthread dl m)
target_link_libraries(ghl_deps INTERFACE ${GHL_OPENMP_LIBRARY} pthread dl m)

find_library(GHL_CMOCKA_LIBRARY NAMES cmocka)
find_path(GHL_CMOCKA_INCLUDE NAMES cmocka.h)
mark_as_advanced(GHL_CMOCKA_LIBRARY GHL_CMOCKA_INCLUDE)
find_package(Python3 COMPONENTS Interpreter QUIET)
