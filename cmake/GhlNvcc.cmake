# SPDX-License-Identifier: Apache-2.0
#
# What a compiler of CUDA is good for, before CMake tries it: one that is too old for the code, or knows none of the cards, would end the
# configuration. As a script:   cmake -D NVCC=... -D WANTED="80;90" -P cmake/GhlNvcc.cmake

# ghl_nvcc(NVCC ARCHITECTURES USABLE WHY): sets USABLE to those of the architectures that it compiles for, empty where it is of no use;
# WHY says what is left out, or what is wrong.
function(ghl_nvcc nvcc wanted usable why)
    set(${usable} "" PARENT_SCOPE)
    if(NOT nvcc)
        set(${why} "no nvcc" PARENT_SCOPE)
        return()
    endif()
    execute_process(COMMAND "${nvcc}" --version OUTPUT_VARIABLE said ERROR_QUIET RESULT_VARIABLE result)
    if(result OR NOT said MATCHES "release ([0-9]+[.][0-9]+)")
        set(${why} "${nvcc} does not run" PARENT_SCOPE)
        return()
    endif()
    set(version ${CMAKE_MATCH_1})
    if(version VERSION_LESS 12.4)
        set(${why} "CUDA ${version} is too old: 12.4 is needed" PARENT_SCOPE)
        return()
    endif()
    execute_process(COMMAND "${nvcc}" --list-gpu-arch OUTPUT_VARIABLE known ERROR_QUIET)
    set(kept "")
    set(left "")
    foreach(architecture IN LISTS wanted)
        string(REGEX REPLACE "-.*" "" number "${architecture}")
        if(known MATCHES "compute_${number}\n" OR NOT number MATCHES "^[0-9]+$")     # native, all-major: CMake's words
            list(APPEND kept ${architecture})
        else()
            list(APPEND left ${architecture})
        endif()
    endforeach()
    if(left AND kept)                            # newer cards get PTX, which the last that was wanted would have brought
        list(POP_BACK kept last)
        string(REGEX REPLACE "-real$" "" last "${last}")
        list(APPEND kept ${last})
    endif()
    set(${usable} "${kept}" PARENT_SCOPE)
    set(text "CUDA ${version}, architectures ${kept}")
    if(left)
        set(text "${text} (it does not know ${left})")
    endif()
    string(REPLACE ";" " " text "${text}")
    set(${why} "${text}" PARENT_SCOPE)
endfunction()

if(CMAKE_SCRIPT_MODE_FILE STREQUAL CMAKE_CURRENT_LIST_FILE)
    ghl_nvcc("${NVCC}" "${WANTED}" usable why)
    message("${usable}|${why}")
endif()
