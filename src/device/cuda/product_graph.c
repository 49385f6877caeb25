/* SPDX-License-Identifier: Apache-2.0
 *
 * product_graph.c - a convolution as a graph of cuDNN's: tensors and one or two operations.
 *
 * cuDNN counts sizes as N, C, H, W whatever the order in memory, which the strides say: channels last here, as all tensors of ghl are.
 */
#include <stdbool.h>

#include "device/cuda/product_cudnn.h"

enum { ALIGNMENT = 16 };
typedef ghl_descriptor_handle descriptor;

/* ---- Descriptors ---- */

descriptor ghl_cudnn_make(ghl_cudnn_builder *b, cudnnBackendDescriptorType_t type)
{
    descriptor d = NULL;
    if (b->failed == CUDNN_STATUS_SUCCESS)
        b->failed = b->n < GHL_CUDNN_MADE ? b->api->cudnnBackendCreateDescriptor(type, &d) : CUDNN_STATUS_INTERNAL_ERROR;
    if (d != NULL)
        b->made[b->n++] = d;
    return d;
}

void ghl_cudnn_set(ghl_cudnn_builder *b, descriptor d, cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, int64_t n,
                   const void *values)
{
    if (b->failed == CUDNN_STATUS_SUCCESS)
        b->failed = b->api->cudnnBackendSetAttribute(d, name, type, n, values);
}

void ghl_cudnn_set_descriptor(ghl_cudnn_builder *b, descriptor d, cudnnBackendAttributeName_t name, descriptor value)
{
    ghl_cudnn_set(b, d, name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &value);
}

void ghl_cudnn_finalize(ghl_cudnn_builder *b, descriptor d)
{
    if (b->failed == CUDNN_STATUS_SUCCESS)
        b->failed = b->api->cudnnBackendFinalize(d);
}

void ghl_cudnn_unmake(ghl_cudnn_builder *b)
{
    while (b->n > 0)
        b->api->cudnnBackendDestroyDescriptor(b->made[--b->n]);
}

ghl_status ghl_cudnn_check(const ghl_cudnn *api, cudnnStatus_t status, const char *doing)
{
    char why[160] = "";
    if (status == CUDNN_STATUS_SUCCESS)
        return GHL_OK;
    if (status == CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED)
        return GHL_CUDA_FAIL(GHL_MEMORY, GHL_CUDA_MEMORY_HINT, "device cuda: cuDNN: %s: out of memory", doing);
    api->cudnnGetLastErrorString(why, sizeof why);
    return GHL_CUDA_FAIL(GHL_DEVICE, "ghl doctor says which cuDNN was found", "device cuda: cuDNN: %s: %s%s%s", doing,
                         api->cudnnGetErrorString(status), why[0] != 0 ? ": " : "", why);
}

/* ---- Operations ---- */

static descriptor tensor(ghl_cudnn_builder *b, int64_t id, ghl_shape s, int half, int virtual)
{
    const int64_t sizes[4] = {s.n, s.c, s.h, s.w}, strides[4] = {s.h * s.w * s.c, 1, s.w * s.c, s.c}, alignment = ALIGNMENT;
    const cudnnDataType_t type = half ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_FLOAT;
    const bool is_virtual = virtual != 0;
    descriptor d = ghl_cudnn_make(b, CUDNN_BACKEND_TENSOR_DESCRIPTOR);
    ghl_cudnn_set(b, d, CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type);
    ghl_cudnn_set(b, d, CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, 4, sizes);
    ghl_cudnn_set(b, d, CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, 4, strides);
    ghl_cudnn_set(b, d, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, &id);
    ghl_cudnn_set(b, d, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, 1, &alignment);
    ghl_cudnn_set(b, d, CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, 1, &is_virtual);
    ghl_cudnn_finalize(b, d);
    return d;
}

static descriptor convolution(ghl_cudnn_builder *b, const ghl_window *w)
{
    const int64_t axes = 2, one[2] = {1, 1}, stride[2] = {w->stride[0], w->stride[1]}, padding[2] = {w->padding[0], w->padding[1]};
    const cudnnDataType_t type = CUDNN_DATA_FLOAT;
    const cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
    descriptor d = ghl_cudnn_make(b, CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
    ghl_cudnn_set(b, d, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_TYPE_INT64, 1, &axes);
    ghl_cudnn_set(b, d, CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type);
    ghl_cudnn_set(b, d, CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1, &mode);
    ghl_cudnn_set(b, d, CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_TYPE_INT64, 2, one);
    ghl_cudnn_set(b, d, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_TYPE_INT64, 2, stride);
    ghl_cudnn_set(b, d, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_TYPE_INT64, 2, padding);
    ghl_cudnn_set(b, d, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_TYPE_INT64, 2, padding);
    ghl_cudnn_finalize(b, d);
    return d;
}

/* What the three kinds are called, and where x, w and y go. */
static const struct {
    cudnnBackendDescriptorType_t type;
    cudnnBackendAttributeName_t x, w, y, convolution, alpha, beta;
} kinds[] = {
    [GHL_CUDNN_FORWARD] = {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
                           CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y,
                           CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,
                           CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA},
    [GHL_CUDNN_DATA] = {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
                        CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY,
                        CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
                        CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA},
    [GHL_CUDNN_WEIGHTS] = {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
                           CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY,
                           CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
                           CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA},
};

/* out = in + bias, or in where there is no bias; in f32 until it is written. */
static descriptor pointwise(ghl_cudnn_builder *b, descriptor in, descriptor bias, descriptor out)
{
    const cudnnPointwiseMode_t mode = bias != NULL ? CUDNN_POINTWISE_ADD : CUDNN_POINTWISE_IDENTITY;
    const cudnnDataType_t type = CUDNN_DATA_FLOAT;
    descriptor does = ghl_cudnn_make(b, CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
    ghl_cudnn_set(b, does, CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, 1, &mode);
    ghl_cudnn_set(b, does, CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, 1, &type);
    ghl_cudnn_finalize(b, does);
    descriptor d = ghl_cudnn_make(b, CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
    ghl_cudnn_set_descriptor(b, d, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, does);
    ghl_cudnn_set_descriptor(b, d, CUDNN_ATTR_OPERATION_POINTWISE_XDESC, in);
    if (bias != NULL)
        ghl_cudnn_set_descriptor(b, d, CUDNN_ATTR_OPERATION_POINTWISE_BDESC, bias);
    ghl_cudnn_set_descriptor(b, d, CUDNN_ATTR_OPERATION_POINTWISE_YDESC, out);
    ghl_cudnn_finalize(b, d);
    return d;
}

/* What the convolution makes is not stored where it goes on as f32: to have the bias added, or to be written in another type than that of
 * the operands. */
descriptor ghl_cudnn_graph(ghl_cudnn_builder *b, const ghl_cudnn_problem *p)
{
    const float one = 1.0f, zero = 0.0f;
    const int wide = p->half && p->kind == GHL_CUDNN_WEIGHTS && p->wide, operations = p->bias || wide ? 2 : 1;
    descriptor all[2] = {NULL, NULL};
    descriptor x = tensor(b, GHL_CUDNN_X, p->x, p->half, 0), y = tensor(b, GHL_CUDNN_Y, p->y, p->half, 0);
    descriptor w = tensor(b, GHL_CUDNN_W, p->w, p->half && !wide, 0);
    descriptor sum = operations == 2 ? tensor(b, GHL_CUDNN_SUM, wide ? p->w : p->y, 0, 1) : NULL;
    descriptor d = all[0] = ghl_cudnn_make(b, kinds[p->kind].type);
    ghl_cudnn_set_descriptor(b, d, kinds[p->kind].x, x);
    ghl_cudnn_set_descriptor(b, d, kinds[p->kind].w, wide ? sum : w);
    ghl_cudnn_set_descriptor(b, d, kinds[p->kind].y, p->bias ? sum : y);
    ghl_cudnn_set_descriptor(b, d, kinds[p->kind].convolution, convolution(b, &p->window));
    ghl_cudnn_set(b, d, kinds[p->kind].alpha, CUDNN_TYPE_FLOAT, 1, &one);
    ghl_cudnn_set(b, d, kinds[p->kind].beta, CUDNN_TYPE_FLOAT, 1, &zero);
    ghl_cudnn_finalize(b, d);
    if (operations == 2)
        all[1] = pointwise(b, sum, p->bias ? tensor(b, GHL_CUDNN_BIAS, (ghl_shape){1, 1, 1, p->y.c}, p->half, 0) : NULL, wide ? w : y);
    descriptor graph = ghl_cudnn_make(b, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
    ghl_cudnn_set(b, graph, CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, operations, all);
    if (b->api->handle != NULL)
        ghl_cudnn_set(b, graph, CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, 1, &b->api->handle);
    ghl_cudnn_finalize(b, graph);
    return graph;
}
