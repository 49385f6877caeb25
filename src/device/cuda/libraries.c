/* SPDX-License-Identifier: Apache-2.0
 *
 * libraries.c - where cuDNN and cuBLASLt are. Both are hundreds of megabytes that a machine with PyTorch has already, in a folder of that
 * Python's packages; so they are not installed with ghl, but looked for: in the folders that the program names, under their soname where
 * the system looks, in the folders of the usual Pythons and of CUDA itself.
 */
#include <dlfcn.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>

#include "device/cuda/cuda.h"

enum { CUDNN = 9, BLAS = CUDART_VERSION / 1000 };

#if CUDART_VERSION >= 13000
#define PACKAGE "nvidia-cudnn-cu13"
#else
#define PACKAGE "nvidia-cudnn-cu12"
#endif
const char ghl_cuda_libraries_hint[] =
    "pip install --target FOLDER " PACKAGE " brings cuDNN and cuBLASLt; GHL_CUDNN_PATH=FOLDER says where they are";

static const char usual[] =
    "/usr/local/cuda/lib64:/usr/local/lib/python3*/*-packages/nvidia/*/lib:/usr/lib/python3*/*-packages/nvidia/*/lib:"
    "/opt/*/lib/python3*/site-packages/nvidia/*/lib:/opt/*/.venv/lib/python3*/site-packages/nvidia/*/lib";

/* A library's version is a number: 91900 for cuDNN 9.19.0 (8907 for 8.9.7), 130100 for cuBLASLt 13.1.0. */
static void split(ghl_cuda_library *l, size_t version)
{
    const size_t unit = version >= 10000 ? 10000 : 1000;
    l->major = (int)(version / unit);
    l->minor = (int)(version % unit / 100);
    l->patch = (int)(version % 100);
}

static int open_at(const char *path, const char *function, ghl_cuda_library *out)
{
    size_t (*version)(void) = NULL;
    Dl_info info;
    void *handle = dlopen(path, RTLD_NOW | RTLD_GLOBAL); /* cuDNN finds cuBLASLt by its soname, loaded already */
    void *symbol = handle != NULL ? dlsym(handle, function) : NULL;
    if (symbol == NULL)
        return 0; /* another library of that name stays loaded, and unused */
    memcpy(&version, &symbol, sizeof version);
    split(out, version());
    snprintf(out->path, sizeof out->path, "%s", dladdr(symbol, &info) != 0 && info.dli_fname != NULL ? info.dli_fname : path);
    out->handle = handle;
    return 1;
}

/* In each folder of a list, which may be patterns. */
static int open_in(const char *folders, const char *name, const char *function, ghl_cuda_library *out)
{
    for (const char *at = folders; *at != 0; at += strspn(at, ":")) {
        char pattern[512];
        glob_t found;
        const int length = (int)strcspn(at, ":");
        snprintf(pattern, sizeof pattern, "%.*s/%s", length, at, name);
        at += length;
        int there = 0;
        if (glob(pattern, 0, NULL, &found) != 0)
            continue;
        for (size_t i = 0; i < found.gl_pathc && !there; i++)
            there = open_at(found.gl_pathv[i], function, out);
        globfree(&found);
        if (there)
            return 1;
    }
    return 0;
}

static void find(const char *folders, const char *name, const char *function, ghl_cuda_library *out)
{
    *out = (ghl_cuda_library){0};
    if (!open_in(folders, name, function, out) && !open_at(name, function, out))
        open_in(usual, name, function, out);
}

void ghl_cuda_libraries_find(const char *folders, ghl_cuda_libraries *out)
{
    char blas[32];
    snprintf(blas, sizeof blas, "libcublasLt.so.%d", BLAS);
    find(folders, blas, "cublasLtGetVersion", &out->blas);
    find(folders, "libcudnn.so.9", "cudnnGetVersion", &out->cudnn);
}

ghl_status ghl_cuda_libraries_check(const ghl_cuda_libraries *l)
{
    if (l->cudnn.handle == NULL)
        return GHL_CUDA_FAIL(GHL_DEVICE, ghl_cuda_libraries_hint, "device cuda: cuDNN %d (libcudnn.so.%d) was not found", CUDNN, CUDNN);
    if (l->cudnn.major != CUDNN)
        return GHL_CUDA_FAIL(GHL_DEVICE, ghl_cuda_libraries_hint, "device cuda: %s is cuDNN %d.%d.%d, and cuDNN %d is needed",
                             l->cudnn.path, l->cudnn.major, l->cudnn.minor, l->cudnn.patch, CUDNN);
    if (l->blas.handle == NULL)
        return GHL_CUDA_FAIL(GHL_DEVICE, ghl_cuda_libraries_hint, "device cuda: cuBLASLt %d (libcublasLt.so.%d) was not found", BLAS, BLAS);
    return GHL_OK;
}
