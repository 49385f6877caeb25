/* SPDX-License-Identifier: Apache-2.0
 *
 * isa_subsample.c - every stride-th row and column with channels of 0 around, and its adjoint: whole runs of channels are copied.
 */
#include <string.h>

#include "device/cpu/isa.h"

/* Rows are short, and every stride-th is jumped to: what comes this many bytes later is asked for. */
enum { AHEAD = 4096 };

static void ask(const char *row, int64_t bytes)
{
    for (int64_t i = 0; i < bytes; i += 64)
        __builtin_prefetch(row + i);
}

ghl_status GHL_CPU_OP(subsample_pad)(const ghl_call *call, void *scratch)
{
    const char *x = call->in[0].data;
    const int32_t *stride = call->attr.window.stride;
    const ghl_shape xs = call->in[0].shape, ys = call->out[0].shape;
    const int64_t size = call->in[0].dtype == GHL_BF16 ? 2 : 4;
    const int64_t rows = ys.n * ys.h, width = ys.w * ys.c * size, before = (ys.c - xs.c) / 2 * size;
    char *y = call->out[0].data;
    (void)scratch;
#pragma omp parallel for schedule(static) if (rows * width > 4 * GHL_CPU_SMALL)
    for (int64_t row = 0; row < rows; row++) {
        const char *from = x + (row / ys.h * xs.h + row % ys.h * stride[0]) * xs.w * xs.c * size;
        char *to = y + row * width;
        ask(from + (AHEAD / (xs.w * xs.c * size) + 1) * stride[0] * xs.w * xs.c * size, xs.w * xs.c * size);
        ask(to + AHEAD, width);
        memset(to, 0, (size_t)width);
        for (int64_t q = 0; q < ys.w; q++)
            memcpy(to + q * ys.c * size + before, from + q * stride[1] * xs.c * size, (size_t)(xs.c * size));
    }
    return GHL_OK;
}

ghl_status GHL_CPU_OP(subsample_pad_backward)(const ghl_call *call, void *scratch)
{
    const char *e = call->in[0].data;
    const int32_t *stride = call->attr.window.stride;
    const ghl_shape es = call->in[0].shape, xs = call->out[0].shape;
    const int64_t size = call->in[0].dtype == GHL_BF16 ? 2 : 4;
    const int64_t rows = xs.n * xs.h, width = xs.w * xs.c * size, before = (es.c - xs.c) / 2 * size;
    char *dx = call->out[0].data;
    (void)scratch;
#pragma omp parallel for schedule(static) if (rows * width > 4 * GHL_CPU_SMALL)
    for (int64_t row = 0; row < rows; row++) {
        const int64_t h = row % xs.h;
        const char *from = e + (row / xs.h * es.h + h / stride[0]) * es.w * es.c * size + before;
        char *to = dx + row * width;
        if (h % stride[0] == 0)
            ask(from + AHEAD, es.w * es.c * size - before);
        ask(to + AHEAD, width);
        memset(to, 0, (size_t)width);
        for (int64_t q = 0; h % stride[0] == 0 && q < es.w; q++)
            memcpy(to + q * stride[1] * xs.c * size, from + q * es.c * size, (size_t)(xs.c * size));
    }
    return GHL_OK;
}
