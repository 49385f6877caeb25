/* SPDX-License-Identifier: Apache-2.0
 *
 * isa_pool.c - maximum and mean over windows and their adjoints. Channels lie in vectors; a strip of channels of one place is kept in
 * L1 while the taps of its window are visited. The adjoints gather, so that no two threads write one element.
 */
#include <string.h>

#include "device/cpu/isa.h"

enum { STRIP = 128, NOTHING = 255 };

typedef struct span {
    int64_t begin, end;
} span;

/* Taps of the window at output place `at` that lie inside an axis of `size`. */
static span taps_inside(int64_t at, int64_t kernel, int64_t stride, int64_t padding, int64_t size)
{
    int64_t first = at * stride - padding;
    return (span){first < 0 ? -first : 0, first + kernel > size ? size - first : kernel};
}

/* Output places whose window covers input place `at`. */
static span windows_over(int64_t at, int64_t kernel, int64_t stride, int64_t padding, int64_t outputs)
{
    int64_t last = (at + padding) / stride, low = at + padding - kernel + 1;
    span s = {low <= 0 ? 0 : (low + stride - 1) / stride, last + 1 < outputs ? last + 1 : outputs};
    return s;
}

typedef struct geometry {
    ghl_shape x, y;
    int64_t kernel[2], stride[2], padding[2];
} geometry;

static geometry geometry_of(const ghl_call *call, ghl_shape x, ghl_shape y)
{
    geometry g = {.x = x, .y = y};
    for (int i = 0; i < 2; i++) {
        g.kernel[i] = call->attr.window.kernel[i];
        g.stride[i] = call->attr.window.stride[i];
        g.padding[i] = call->attr.window.padding[i];
    }
    return g;
}

static GHL_CPU_BODY void larger(const void *x, int32_t tap, int64_t n, float *best, int32_t *winner, int half)
{
#pragma omp simd
    for (int64_t c = 0; c < n; c++) {
        float v = ghl_get(x, c, half), b = best[c];
        int take = (v > b) | ((v != v) & (b == b));
        best[c] = take ? v : b;
        winner[c] = take ? tap : winner[c];
    }
}

static GHL_CPU_BODY void max_pool_place(const geometry *g, const void *x, int64_t p, int64_t q, int relu, void *y, uint8_t *index, int half)
{
    span rows = taps_inside(p, g->kernel[0], g->stride[0], g->padding[0], g->x.h);
    span columns = taps_inside(q, g->kernel[1], g->stride[1], g->padding[1], g->x.w);
    float best[STRIP];
    int32_t winner[STRIP];
    for (int64_t at = 0; at < g->x.c; at += STRIP) {
        int64_t n = ghl_cpu_min(STRIP, g->x.c - at);
        int first = 1;
        for (int64_t r = rows.begin; r < rows.end; r++)
            for (int64_t s = columns.begin; s < columns.end; s++) {
                int64_t h = p * g->stride[0] - g->padding[0] + r, w = q * g->stride[1] - g->padding[1] + s;
                const void *from = ghl_at(x, (h * g->x.w + w) * g->x.c + at, half);
                int32_t tap = (int32_t)(r * g->kernel[1] + s);
                if (first) {
                    for (int64_t c = 0; c < n; c++) {
                        best[c] = ghl_get(from, c, half);
                        winner[c] = tap;
                    }
                    first = 0;
                } else
                    larger(from, tap, n, best, winner, half);
            }
        for (int64_t c = 0; c < n; c++) {
            int cut = relu & (best[c] <= 0.0f);
            ghl_put(y, at + c, cut ? 0.0f : best[c], half);
            index[at + c] = (uint8_t)(cut ? NOTHING : winner[c]);
        }
    }
}

static GHL_CPU_BODY void max_pool_range(const ghl_call *call, void *scratch, int64_t begin, int64_t end, int half)
{
    geometry g = geometry_of(call, call->in[0].shape, call->out[0].shape);
    const void *x = call->in[0].data;
    void *y = call->out[0].data;
    uint8_t *index = call->out[1].data;
    (void)scratch;
    for (int64_t row = begin; row < end; row++) {
        const void *image = ghl_at(x, row / g.y.h * g.x.h * g.x.w * g.x.c, half);
        for (int64_t q = 0; q < g.y.w; q++) {
            int64_t at = (row * g.y.w + q) * g.y.c;
            max_pool_place(&g, image, row % g.y.h, q, call->attr.pool.relu != 0, ghl_at(y, at, half), index + at, half);
        }
    }
}
GHL_CPU_RANGES(max_pool, call->in[0], call->out[0].shape.n * call->out[0].shape.h, 8 * call->out[0].shape.w * call->out[0].shape.c)

static GHL_CPU_BODY void add_where(const void *e, const uint8_t *index, uint8_t tap, int64_t n, float *sum, int half)
{
#pragma omp simd
    for (int64_t c = 0; c < n; c++) {
        float error = ghl_get(e, c, half);
        sum[c] += index[c] == tap ? error : 0.0f;
    }
}

static GHL_CPU_BODY void add_all(const void *e, int64_t n, float *sum, int half)
{
#pragma omp simd
    for (int64_t c = 0; c < n; c++)
        sum[c] += ghl_get(e, c, half);
}

/* Gathers the error of one input place, times a factor; index NULL: mean pool. Nothing where a mask is given and <= 0. */
static GHL_CPU_BODY void gather_place(const geometry *g, const void *e, const uint8_t *index, int64_t h, int64_t w, float factor,
                                      const void *mask, void *dx, int half)
{
    span rows = windows_over(h, g->kernel[0], g->stride[0], g->padding[0], g->y.h);
    span columns = windows_over(w, g->kernel[1], g->stride[1], g->padding[1], g->y.w);
    float sum[STRIP];
    for (int64_t at = 0; at < g->x.c; at += STRIP) {
        int64_t n = ghl_cpu_min(STRIP, g->x.c - at);
        memset(sum, 0, sizeof sum);
        for (int64_t p = rows.begin; p < rows.end; p++)
            for (int64_t q = columns.begin; q < columns.end; q++) {
                int64_t r = h + g->padding[0] - p * g->stride[0], s = w + g->padding[1] - q * g->stride[1];
                int64_t from = (p * g->y.w + q) * g->y.c + at;
                if (index != NULL)
                    add_where(ghl_at(e, from, half), index + from, (uint8_t)(r * g->kernel[1] + s), n, sum, half);
                else
                    add_all(ghl_at(e, from, half), n, sum, half);
            }
        if (mask != NULL)
#pragma omp simd
            for (int64_t c = 0; c < n; c++)
                ghl_put(dx, at + c, ghl_get(mask, at + c, half) <= 0.0f ? 0.0f : sum[c] * factor, half);
        else
#pragma omp simd
            for (int64_t c = 0; c < n; c++)
                ghl_put(dx, at + c, sum[c] * factor, half);
    }
}

static GHL_CPU_BODY void max_pool_backward_range(const ghl_call *call, void *scratch, int64_t begin, int64_t end, int half)
{
    geometry g = geometry_of(call, call->out[0].shape, call->in[0].shape);
    const void *e = call->in[0].data;
    const uint8_t *index = call->in[1].data;
    void *dx = call->out[0].data;
    int64_t image = g.y.h * g.y.w * g.y.c;
    (void)scratch;
    for (int64_t row = begin; row < end; row++) {
        int64_t from = row / g.x.h * image;
        for (int64_t w = 0; w < g.x.w; w++)
            gather_place(&g, ghl_at(e, from, half), index + from, row % g.x.h, w, 1.0f, NULL,
                         ghl_at(dx, (row * g.x.w + w) * g.x.c, half), half);
    }
}
GHL_CPU_RANGES(max_pool_backward, call->in[0], call->out[0].shape.n * call->out[0].shape.h, 2 * call->out[0].shape.w * call->out[0].shape.c)

static GHL_CPU_BODY void average_pool_place(const geometry *g, const void *x, int64_t p, int64_t q, int relu, void *y, int half)
{
    span rows = taps_inside(p, g->kernel[0], g->stride[0], g->padding[0], g->x.h);
    span columns = taps_inside(q, g->kernel[1], g->stride[1], g->padding[1], g->x.w);
    float factor = 1.0f / (float)(g->kernel[0] * g->kernel[1]), sum[STRIP];
    for (int64_t at = 0; at < g->x.c; at += STRIP) {
        int64_t n = ghl_cpu_min(STRIP, g->x.c - at);
        memset(sum, 0, sizeof sum);
        for (int64_t r = rows.begin; r < rows.end; r++)
            for (int64_t s = columns.begin; s < columns.end; s++) {
                int64_t h = p * g->stride[0] - g->padding[0] + r, w = q * g->stride[1] - g->padding[1] + s;
                const void *from = ghl_at(x, (h * g->x.w + w) * g->x.c + at, half);
                if (relu)
#pragma omp simd
                    for (int64_t c = 0; c < n; c++) {
                        float v = ghl_get(from, c, half);
                        sum[c] += v <= 0.0f ? 0.0f : v;
                    }
                else
                    add_all(from, n, sum, half);
            }
        for (int64_t c = 0; c < n; c++)
            ghl_put(y, at + c, sum[c] * factor, half);
    }
}

static GHL_CPU_BODY void average_pool_range(const ghl_call *call, void *scratch, int64_t begin, int64_t end, int half)
{
    geometry g = geometry_of(call, call->in[0].shape, call->out[0].shape);
    int64_t map = g.y.h * g.y.w;
    (void)scratch;
    for (int64_t i = begin; i < end; i++)
        average_pool_place(&g, ghl_at(call->in[0].data, i / map * g.x.h * g.x.w * g.x.c, half), i % map / g.y.w, i % g.y.w,
                           call->attr.pool.relu != 0, ghl_at(call->out[0].data, i * g.y.c, half), half);
}
GHL_CPU_RANGES(average_pool, call->in[0], ghl_shape_elements(call->out[0].shape) / call->out[0].shape.c, 8 * call->out[0].shape.c)

static GHL_CPU_BODY void average_pool_backward_range(const ghl_call *call, void *scratch, int64_t begin, int64_t end, int half)
{
    geometry g = geometry_of(call, call->out[0].shape, call->in[0].shape);
    const void *e = call->in[0].data, *u = call->n_in > 1 ? call->in[1].data : NULL;
    float factor = 1.0f / (float)(g.kernel[0] * g.kernel[1]);
    int64_t image = g.y.h * g.y.w * g.y.c;
    (void)scratch;
    for (int64_t row = begin; row < end; row++)
        for (int64_t w = 0; w < g.x.w; w++) {
            int64_t at = (row * g.x.w + w) * g.x.c;
            gather_place(&g, ghl_at(e, row / g.x.h * image, half), NULL, row % g.x.h, w, factor, u != NULL ? ghl_at(u, at, half) : NULL,
                         ghl_at(call->out[0].data, at, half), half);
        }
}
GHL_CPU_RANGES(average_pool_backward, call->in[0], call->out[0].shape.n * call->out[0].shape.h,
               2 * call->out[0].shape.w * call->out[0].shape.c)
