/* SPDX-License-Identifier: Apache-2.0
 *
 * product_cudnn.c - cuDNN's graph ("backend") API: opening it for a card, and running plans.
 */
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "device/cuda/product_cudnn.h"

/* ---- Running ---- */

ghl_status ghl_cudnn_run(ghl_cudnn *cudnn, const ghl_cudnn_plan *plan, cudaStream_t stream, void *const data[GHL_CUDNN_TENSORS],
                         void *workspace)
{
    const int64_t ids[4] = {GHL_CUDNN_X, GHL_CUDNN_W, GHL_CUDNN_Y, GHL_CUDNN_BIAS}, n = plan->problem.bias ? 4 : 3;
    ghl_cudnn_builder b = {.api = cudnn};
    ghl_descriptor_handle pack = ghl_cudnn_make(&b, CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
    ghl_cudnn_set(&b, pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, n, ids);
    ghl_cudnn_set(&b, pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, n, data + 1);
    ghl_cudnn_set(&b, pack, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, &workspace);
    ghl_cudnn_finalize(&b, pack);
    if (b.failed == CUDNN_STATUS_SUCCESS)
        b.failed = cudnn->cudnnSetStream(cudnn->handle, stream);
    if (b.failed == CUDNN_STATUS_SUCCESS)
        b.failed = cudnn->cudnnBackendExecute(cudnn->handle, plan->descriptor, pack);
    const ghl_status status = ghl_cudnn_check(cudnn, b.failed, "running a convolution");
    ghl_cudnn_unmake(&b);
    return status;
}

/* ---- Opening ---- */

static ghl_status load_functions(const ghl_cuda_library *library, ghl_cudnn *cudnn)
{
    void *symbol;
#define LOAD(name)                                                                                                          \
    symbol = dlsym(library->handle, #name);                                                                                 \
    if (symbol == NULL)                                                                                                     \
        return GHL_CUDA_FAIL(GHL_DEVICE, ghl_cuda_libraries_hint, "device cuda: %s has no function %s", library->path, #name); \
    memcpy(&cudnn->name, &symbol, sizeof symbol);
    GHL_CUDNN_FUNCTIONS(LOAD)
#undef LOAD
    return GHL_OK;
}

static ghl_status open_card(ghl_cudnn *cudnn, const char *properties)
{
    if (properties == NULL)
        return ghl_cudnn_check(cudnn, cudnn->cudnnCreate(&cudnn->handle), "opening the card");
    ghl_cudnn_builder b = {.api = cudnn};
    cudnn->properties = ghl_cudnn_make(&b, CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR);
    ghl_cudnn_set(&b, cudnn->properties, CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR, (int64_t)strlen(properties) + 1,
                  properties);
    ghl_cudnn_finalize(&b, cudnn->properties);
    return ghl_cudnn_check(cudnn, b.failed, "reading a card's properties");
}

ghl_status ghl_cudnn_open(const ghl_cuda_library *library, const char *properties, ghl_cudnn **out)
{
    ghl_cudnn *cudnn = calloc(1, sizeof *cudnn);
    *out = NULL;
    if (cudnn == NULL)
        return GHL_CUDA_FAIL(GHL_MEMORY, NULL, "device cuda: no memory");
    ghl_status status = load_functions(library, cudnn);
    if (status == GHL_OK)
        status = open_card(cudnn, properties);
    if (status != GHL_OK) {
        ghl_cudnn_close(cudnn);
        return status;
    }
    *out = cudnn;
    return GHL_OK;
}

void ghl_cudnn_close(ghl_cudnn *cudnn)
{
    if (cudnn == NULL)
        return;
    if (cudnn->properties != NULL)
        cudnn->cudnnBackendDestroyDescriptor(cudnn->properties);
    if (cudnn->handle != NULL)
        cudnn->cudnnDestroy(cudnn->handle);
    free(cudnn);
}
