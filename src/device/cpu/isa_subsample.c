/* SPDX-License-Identifier: Apache-2.0
 *
 * isa_subsample.c - every stride-th row and column with channels of 0 around, and its adjoint: whole runs of channels are copied.
 */
#include <string.h>

#include "device/cpu/isa.h"

static void copy_channels(float *to, const float *from, int64_t n)
{
#pragma omp simd
    for (int64_t c = 0; c < n; c++)
        to[c] = from[c];
}

ghl_status GHL_CPU_OP(subsample_pad)(const ghl_call *call, void *scratch)
{
    const float *x = call->in[0].data;
    const int32_t *stride = call->attr.window.stride;
    const ghl_shape xs = call->in[0].shape, ys = call->out[0].shape;
    const int64_t rows = ys.n * ys.h, width = ys.w * ys.c, before = (ys.c - xs.c) / 2;
    float *y = call->out[0].data;
    (void)scratch;
#pragma omp parallel for schedule(static) if (rows * width > GHL_CPU_SMALL)
    for (int64_t row = 0; row < rows; row++) {
        const float *from = x + (row / ys.h * xs.h + row % ys.h * stride[0]) * xs.w * xs.c;
        float *to = y + row * width;
        memset(to, 0, (size_t)width * sizeof *to);
        for (int64_t q = 0; q < ys.w; q++)
            copy_channels(to + q * ys.c + before, from + q * stride[1] * xs.c, xs.c);
    }
    return GHL_OK;
}

ghl_status GHL_CPU_OP(subsample_pad_backward)(const ghl_call *call, void *scratch)
{
    const float *e = call->in[0].data;
    const int32_t *stride = call->attr.window.stride;
    const ghl_shape es = call->in[0].shape, xs = call->out[0].shape;
    const int64_t rows = xs.n * xs.h, width = xs.w * xs.c, before = (es.c - xs.c) / 2;
    float *dx = call->out[0].data;
    (void)scratch;
#pragma omp parallel for schedule(static) if (rows * width > GHL_CPU_SMALL)
    for (int64_t row = 0; row < rows; row++) {
        const int64_t h = row % xs.h;
        const float *from = e + (row / xs.h * es.h + h / stride[0]) * es.w * es.c + before;
        float *to = dx + row * width;
        memset(to, 0, (size_t)width * sizeof *to);
        for (int64_t q = 0; h % stride[0] == 0 && q < es.w; q++)
            copy_channels(to + q * stride[1] * xs.c, from + q * es.c, xs.c);
    }
    return GHL_OK;
}
