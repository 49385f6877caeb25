/* SPDX-License-Identifier: Apache-2.0
 *
 * product.c - convolutions, and what is made of them, as steps.
 *
 *     conv                     [round w, bias]  u = conv(x, w) + bias
 *     conv_unit_norm           [round w]  u = conv(x, w),  u = u / |w| + bias
 *     conv_backward_data       [round w]  dx
 *     conv_backward_weights    gradient.c
 *     sanger_decay             G = y^T y,  G below its diagonal,  s = G w,  d = factor (p - s)
 *
 * In brackets: for bf16, since cuDNN takes weights of the images' type alone.
 */
#include <stdlib.h>

#include "device/cuda/steps.h"

/* ---- Builders ---- */

static ghl_status build_conv(ghl_product *p, const ghl_call *call)
{
    const int half = call->in[0].dtype == GHL_BF16, norm = call->op == GHL_OP_conv_unit_norm;
    const int bias = ghl_cuda_has(call->in, call->n_in, 2) && !norm;
    const ghl_cudnn_problem problem = {.kind = GHL_CUDNN_FORWARD, .x = call->in[0].shape, .w = call->in[1].shape, .y = call->out[0].shape,
                                       .window = call->attr.window, .half = half, .bias = bias};
    ghl_place w, b = ghl_nowhere();
    GHL_TRY(ghl_product_convert(p, &call->in[1], ghl_in(1), half, &w));
    if (bias)
        GHL_TRY(ghl_product_convert(p, &call->in[2], ghl_in(2), half, &b));
    GHL_TRY(ghl_product_convolve(p, &problem, ghl_in(0), w, ghl_out(0), b));
    if (!norm)
        return GHL_OK;
    const ghl_place in[3] = {ghl_in(0), ghl_in(1), ghl_in(2)}, out[3] = {ghl_out(0), ghl_out(1), ghl_out(2)};
    return ghl_product_own(p, ghl_cuda_unit_norm, call, in, out);
}

static ghl_status build_data(ghl_product *p, const ghl_call *call)
{
    const int half = call->in[0].dtype == GHL_BF16;
    const ghl_cudnn_problem problem = {.kind = GHL_CUDNN_DATA, .x = call->out[0].shape, .w = call->in[1].shape, .y = call->in[0].shape,
                                       .window = call->attr.window, .half = half};
    ghl_place w;
    GHL_TRY(ghl_product_convert(p, &call->in[1], ghl_in(1), half, &w));
    return ghl_product_convolve(p, &problem, ghl_out(0), w, ghl_in(0), ghl_nowhere());
}

static ghl_status build_sanger(ghl_product *p, const ghl_call *call)
{
    const ghl_shape ys = call->in[0].shape, ws = call->in[1].shape;
    const int64_t k = ws.n, f = ws.h * ws.w * ws.c;
    const ghl_window one = {{1, 1}, {1, 1}, {0, 0}};
    const ghl_shape square = {k, 1, 1, k}, rows = {k, 1, 1, f}, columns = {ys.n * ys.h * ys.w, 1, 1, k};
    const ghl_cudnn_problem gram = {.kind = GHL_CUDNN_WEIGHTS, .x = columns, .w = square, .y = columns, .window = one,
                                    .half = call->in[0].dtype == GHL_BF16};
    const ghl_cudnn_problem sum = {.kind = GHL_CUDNN_DATA, .x = rows, .w = rows, .y = square, .window = one};
    const ghl_place y = ghl_in(0), g = ghl_product_part(p, (size_t)(k * k) * sizeof(float));
    const ghl_place s = ghl_product_part(p, (size_t)(k * f) * sizeof(float));
    GHL_TRY(ghl_product_convolve(p, &gram, y, g, y, ghl_nowhere()));
    ghl_operand triangle = {.shape = square}, in[2] = {call->in[1], call->in[1]}, d = call->out[0];
    const ghl_call lower = {.op = call->op, .n_out = 1, .out = &triangle};
    GHL_TRY(ghl_product_own(p, ghl_cuda_lower, &lower, NULL, &g));
    GHL_TRY(ghl_product_convolve(p, &sum, s, ghl_in(2), g, ghl_nowhere()));
    const ghl_call rest = {.op = call->op, .n_in = 2, .n_out = 1, .in = in, .out = &d, .attr = call->attr};
    const ghl_place from[2] = {s, ghl_in(1)}, to = ghl_out(0);
    return ghl_product_own(p, ghl_cuda_sanger, &rest, from, &to);
}

static ghl_status (*const builders[GHL_OP_COUNT])(ghl_product *p, const ghl_call *call) = {
    [GHL_OP_conv] = build_conv,
    [GHL_OP_conv_unit_norm] = build_conv,
    [GHL_OP_conv_backward_data] = build_data,
    [GHL_OP_conv_backward_weights] = ghl_gradient_build,
    [GHL_OP_conv_backward_weights_pair] = ghl_gradient_build,
    [GHL_OP_sanger_decay] = build_sanger,
};

/* ---- Preparing ---- */

static void release(void *state)
{
    ghl_product *p = state;
    ghl_cuda_program_free(p->base.program);
    ghl_product_clear(p);
    free(p);
}

static ghl_status build(ghl_product *p, const ghl_call *call)
{
    ghl_cuda *cuda = p->base.cuda;
    if (cuda->cudnn == NULL)
        GHL_TRY(ghl_cudnn_open(&cuda->libraries.cudnn, NULL, &cuda->cudnn));
    GHL_TRY(builders[call->op](p, call));
    return ghl_cuda_reserve_scratch(cuda, ghl_product_scratch(p));
}

ghl_status ghl_cuda_product_prepare(ghl_cuda *cuda, const ghl_call *call, ghl_kernel *kernel)
{
    if (builders[call->op] == NULL)
        return GHL_CUDA_FAIL(GHL_DEVICE, "take train.device=cpu", "device cuda has no kernel for op %s",
                             ghl_cuda_services->describe(call->op)->name);
    ghl_product *p = calloc(1, sizeof *p);
    if (p == NULL)
        return GHL_CUDA_FAIL(GHL_MEMORY, NULL, "device cuda: no memory");
    p->base.cuda = cuda;
    const ghl_status status = build(p, call);
    if (status != GHL_OK) {
        release(p);
        return status;
    }
    *kernel = (ghl_kernel){.run = ghl_product_run, .state = p, .release = release, .note = p->note};
    return GHL_OK;
}

void ghl_cuda_product_close(ghl_cuda *cuda)
{
    ghl_cudnn_close(cuda->cudnn);
    ghl_blas_close(cuda->blas);
    cuda->cudnn = NULL;
    cuda->blas = NULL;
}
