/* SPDX-License-Identifier: Apache-2.0
 *
 * product_cudnn.h - what the files that call cuDNN share. The library is loaded at run time, so its functions are a table.
 *
 *     product_cudnn.c   opening, running       product_graph.c   operations as a graph       product_engine.c   plans of a graph
 */
#ifndef GHL_DEVICE_CUDA_PRODUCT_CUDNN_H
#define GHL_DEVICE_CUDA_PRODUCT_CUDNN_H

#include <cudnn_backend.h>

#include "device/cuda/product.h"

#define GHL_CUDNN_FUNCTIONS(X)                                                                                                \
    X(cudnnCreate) X(cudnnDestroy) X(cudnnSetStream) X(cudnnGetErrorString) X(cudnnGetLastErrorString)                        \
    X(cudnnBackendCreateDescriptor) X(cudnnBackendDestroyDescriptor) X(cudnnBackendSetAttribute) X(cudnnBackendGetAttribute)  \
    X(cudnnBackendFinalize) X(cudnnBackendExecute)

typedef cudnnBackendDescriptor_t ghl_descriptor_handle;

struct ghl_cudnn {
    cudnnHandle_t handle;             /* NULL: of a card that is not there */
    ghl_descriptor_handle properties; /* of that card */
#define GHL_CUDNN_MEMBER(name) __typeof__(name) *name;
    GHL_CUDNN_FUNCTIONS(GHL_CUDNN_MEMBER)
#undef GHL_CUDNN_MEMBER
};

/* ---- Descriptors. A builder remembers the first failure, and does nothing after it ---- */

enum { GHL_CUDNN_MADE = 64 };
typedef struct ghl_cudnn_builder {
    ghl_cudnn *api;
    cudnnStatus_t failed;
    ghl_descriptor_handle made[GHL_CUDNN_MADE]; /* to be destroyed when the plan is there, which keeps what it needs */
    int n;
} ghl_cudnn_builder;

ghl_descriptor_handle ghl_cudnn_make(ghl_cudnn_builder *b, cudnnBackendDescriptorType_t type);
void ghl_cudnn_set(ghl_cudnn_builder *b, ghl_descriptor_handle d, cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type,
                   int64_t n, const void *values);
void ghl_cudnn_set_descriptor(ghl_cudnn_builder *b, ghl_descriptor_handle d, cudnnBackendAttributeName_t name, ghl_descriptor_handle value);
void ghl_cudnn_finalize(ghl_cudnn_builder *b, ghl_descriptor_handle d);
void ghl_cudnn_unmake(ghl_cudnn_builder *b);
/* GHL_OK, or GHL_DEVICE with cuDNN's own words. */
ghl_status ghl_cudnn_check(const ghl_cudnn *api, cudnnStatus_t status, const char *doing);

/* The problem as a graph of operations. */
ghl_descriptor_handle ghl_cudnn_graph(ghl_cudnn_builder *b, const ghl_cudnn_problem *problem);

#endif
