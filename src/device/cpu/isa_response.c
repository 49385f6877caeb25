/* SPDX-License-Identifier: Apache-2.0
 *
 * isa_response.c - what responses are made of beside u: the labels, and the norms of columns.
 *
 * The norms of columns need no columns: squares are summed over the channels of each pixel, and pixels over windows.
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

static GHL_CPU_BODY float pixel_square(const void *x, int64_t at, int64_t channels, int half)
{
    float sum = 0.0f;
#pragma omp simd reduction(+ : sum)
    for (int64_t c = at; c < at + channels; c++)
        sum += ghl_get(x, c, half) * ghl_get(x, c, half);
    return sum;
}

/* An image at a time. scratch: [N,H,W], the squares of pixels. */
static GHL_CPU_BODY void column_norms_range(const ghl_call *call, void *scratch, int64_t begin, int64_t end, int half)
{
    const ghl_window *win = &call->attr.window;
    const ghl_shape xs = call->in[0].shape, ns = call->out[0].shape;
    for (int64_t n = begin; n < end; n++) {
        float *squares = (float *)scratch + n * xs.h * xs.w, *norms = (float *)call->out[0].data + n * ns.h * ns.w;
        for (int64_t i = 0; i < xs.h * xs.w; i++)
            squares[i] = pixel_square(call->in[0].data, (n * xs.h * xs.w + i) * xs.c, xs.c, half);
        for (int64_t i = 0; i < ns.h * ns.w; i++) {
            const int64_t h = i / ns.w * win->stride[0] - win->padding[0], w = i % ns.w * win->stride[1] - win->padding[1];
            double sum = 0.0;
            for (int64_t r = h < 0 ? 0 : h; r < ghl_cpu_min(h + win->kernel[0], xs.h); r++)
                for (int64_t s = w < 0 ? 0 : w; s < ghl_cpu_min(w + win->kernel[1], xs.w); s++)
                    sum += (double)squares[r * xs.w + s];
            norms[i] = (float)sqrt(sum);
        }
    }
}
GHL_CPU_RANGES(column_norms, call->in[0], call->in[0].shape.n, ghl_shape_elements(call->in[0].shape) / call->in[0].shape.n)
