/* SPDX-License-Identifier: Apache-2.0
 *
 * isa_response.c - what responses are made of beside u: the labels, and the norms of columns.
 *
 * The norms of columns need no columns: squares are summed over the channels of each pixel, and pixels over windows, along and then down.
 */
#include <math.h>
#include <string.h>

#include "device/cpu/isa.h"

ghl_status GHL_CPU_OP(one_hot)(const ghl_call *call, void *scratch)
{
    const int32_t *labels = call->in[0].data;
    const int64_t *clock = call->in[1].data, rows = call->out[0].shape.n, classes = call->out[0].shape.c;
    const int half = call->out[0].dtype == GHL_BF16;
    (void)scratch;
    memset(call->out[0].data, 0, (size_t)(rows * classes) * ghl_dtype_bytes(call->out[0].dtype));
    for (int64_t n = 0; n < rows && n < clock[GHL_CLOCK_COUNT]; n++) {
        if (labels[n] < 0 || labels[n] >= classes)
            return ghl_fail(GHL_DATA, "a layer that learns from labels has a unit a class", "row %lld has label %d, the layer %lld units",
                            (long long)n, labels[n], (long long)classes);
        ghl_put(call->out[0].data, n * classes + labels[n], 1.0f, half);
    }
    return GHL_OK;
}

/* ---- Norms of columns ---- */

/* squares [W] of the pixels of a row, each the sum over its channels; images have few, which a loop of constant length suits. */
static GHL_CPU_BODY void pixel_squares(const void *x, int64_t at, int64_t columns, int64_t channels, double *squares, int half)
{
    for (int64_t w = 0; w < columns; w++, at += channels) {
        float sum = 0.0f;
#pragma omp simd reduction(+ : sum)
        for (int64_t c = 0; c < channels; c++)
            sum += ghl_get(x, at + c, half) * ghl_get(x, at + c, half);
        squares[w] = (double)sum;
    }
}

/* An image at a time: sums along each row under each window, then down the rows. scratch, of each thread: see ghl_norms_scratch. */
static GHL_CPU_BODY void column_norms_range(const ghl_call *call, void *scratch, int64_t begin, int64_t end, int half)
{
    const ghl_window *win = &call->attr.window;
    const ghl_shape xs = call->in[0].shape, ns = call->out[0].shape;
    const size_t bytes = ghl_norms_scratch(win->padding[1], xs.w, xs.h, ns.w);
    double *squares = (double *)((char *)scratch + (size_t)omp_get_thread_num() * bytes), *sums = squares + xs.w + 2 * win->padding[1];
    memset(squares, 0, bytes);
    for (int64_t n = begin; n < end; n++) {
        for (int64_t h = 0; h < xs.h; h++) {
            const int64_t at = (n * xs.h + h) * xs.w * xs.c;
            if (xs.c == 3)
                pixel_squares(call->in[0].data, at, xs.w, 3, squares + win->padding[1], half);
            else
                pixel_squares(call->in[0].data, at, xs.w, xs.c, squares + win->padding[1], half);
            for (int64_t q = 0; q < ns.w; q++) {
                double sum = 0.0;
                for (int64_t s = 0; s < win->kernel[1]; s++)
                    sum += squares[q * win->stride[1] + s];
                sums[h * ns.w + q] = sum;
            }
        }
        for (int64_t i = 0; i < ns.h * ns.w; i++) {
            const int64_t h = i / ns.w * win->stride[0] - win->padding[0];
            double sum = 0.0;
            for (int64_t r = h < 0 ? 0 : h; r < ghl_cpu_min(h + win->kernel[0], xs.h); r++)
                sum += sums[r * ns.w + i % ns.w];
            ((float *)call->out[0].data)[n * ns.h * ns.w + i] = (float)sqrt(sum);
        }
    }
}
GHL_CPU_RANGES(column_norms, call->in[0], call->in[0].shape.n, ghl_shape_elements(call->in[0].shape) / call->in[0].shape.n)
