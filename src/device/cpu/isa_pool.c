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

static void larger(const float *x, int32_t tap, int64_t n, float *best, int32_t *winner)
{
#pragma omp simd
    for (int64_t c = 0; c < n; c++) {
        float v = x[c], b = best[c];
        int take = (v > b) | ((v != v) & (b == b));
        best[c] = take ? v : b;
        winner[c] = take ? tap : winner[c];
    }
}

static void max_pool_place(const geometry *g, const float *x, int64_t p, int64_t q, int relu, float *y, uint8_t *index)
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
                const float *from = x + (h * g->x.w + w) * g->x.c + at;
                int32_t tap = (int32_t)(r * g->kernel[1] + s);
                if (first) {
                    memcpy(best, from, (size_t)n * sizeof *best);
                    for (int64_t c = 0; c < n; c++)
                        winner[c] = tap;
                    first = 0;
                } else
                    larger(from, tap, n, best, winner);
            }
        for (int64_t c = 0; c < n; c++) {
            int cut = relu & (best[c] <= 0.0f);
            y[at + c] = cut ? 0.0f : best[c];
            index[at + c] = (uint8_t)(cut ? NOTHING : winner[c]);
        }
    }
}

ghl_status GHL_CPU_OP(max_pool)(const ghl_call *call, void *scratch)
{
    geometry g = geometry_of(call, call->in[0].shape, call->out[0].shape);
    const float *x = call->in[0].data;
    float *y = call->out[0].data;
    uint8_t *index = call->out[1].data;
    int64_t rows = g.y.n * g.y.h;
    (void)scratch;
#pragma omp parallel for schedule(static) if (rows * g.y.w * g.y.c > GHL_CPU_SMALL / 8)
    for (int64_t row = 0; row < rows; row++) {
        const float *image = x + row / g.y.h * g.x.h * g.x.w * g.x.c;
        for (int64_t q = 0; q < g.y.w; q++) {
            int64_t at = (row * g.y.w + q) * g.y.c;
            max_pool_place(&g, image, row % g.y.h, q, call->attr.pool.relu != 0, y + at, index + at);
        }
    }
    return GHL_OK;
}

static void add_where(const float *e, const uint8_t *index, uint8_t tap, int64_t n, float *sum)
{
#pragma omp simd
    for (int64_t c = 0; c < n; c++) {
        float error = e[c];
        sum[c] += index[c] == tap ? error : 0.0f;
    }
}

static void add_all(const float *e, int64_t n, float *sum)
{
#pragma omp simd
    for (int64_t c = 0; c < n; c++)
        sum[c] += e[c];
}

/* Gathers the error of one input place; index NULL: mean pool, without the factor. */
static void gather_place(const geometry *g, const float *e, const uint8_t *index, int64_t h, int64_t w, float *dx)
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
                    add_where(e + from, index + from, (uint8_t)(r * g->kernel[1] + s), n, sum);
                else
                    add_all(e + from, n, sum);
            }
        memcpy(dx + at, sum, (size_t)n * sizeof *sum);
    }
}

ghl_status GHL_CPU_OP(max_pool_backward)(const ghl_call *call, void *scratch)
{
    geometry g = geometry_of(call, call->out[0].shape, call->in[0].shape);
    const float *e = call->in[0].data;
    const uint8_t *index = call->in[1].data;
    float *dx = call->out[0].data;
    int64_t rows = g.x.n * g.x.h, image = g.y.h * g.y.w * g.y.c;
    (void)scratch;
#pragma omp parallel for schedule(static) if (rows * g.x.w * g.x.c > GHL_CPU_SMALL / 2)
    for (int64_t row = 0; row < rows; row++) {
        int64_t from = row / g.x.h * image;
        for (int64_t w = 0; w < g.x.w; w++)
            gather_place(&g, e + from, index + from, row % g.x.h, w, dx + (row * g.x.w + w) * g.x.c);
    }
    return GHL_OK;
}

static void average_pool_place(const geometry *g, const float *x, int64_t p, int64_t q, int relu, float *y)
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
                const float *from = x + (h * g->x.w + w) * g->x.c + at;
                if (relu)
#pragma omp simd
                    for (int64_t c = 0; c < n; c++)
                        sum[c] += from[c] <= 0.0f ? 0.0f : from[c];
                else
                    add_all(from, n, sum);
            }
        for (int64_t c = 0; c < n; c++)
            y[at + c] = sum[c] * factor;
    }
}

ghl_status GHL_CPU_OP(average_pool)(const ghl_call *call, void *scratch)
{
    geometry g = geometry_of(call, call->in[0].shape, call->out[0].shape);
    const float *x = call->in[0].data;
    float *y = call->out[0].data;
    int64_t places = g.y.n * g.y.h * g.y.w, map = g.y.h * g.y.w;
    (void)scratch;
#pragma omp parallel for schedule(static) if (places * g.y.c > GHL_CPU_SMALL / 8)
    for (int64_t i = 0; i < places; i++)
        average_pool_place(&g, x + i / map * g.x.h * g.x.w * g.x.c, i % map / g.y.w, i % g.y.w, call->attr.pool.relu != 0, y + i * g.y.c);
    return GHL_OK;
}

ghl_status GHL_CPU_OP(average_pool_backward)(const ghl_call *call, void *scratch)
{
    geometry g = geometry_of(call, call->out[0].shape, call->in[0].shape);
    const float *e = call->in[0].data, *u = call->n_in > 1 ? call->in[1].data : NULL;
    float *dx = call->out[0].data, factor = 1.0f / (float)(g.kernel[0] * g.kernel[1]);
    int64_t rows = g.x.n * g.x.h, image = g.y.h * g.y.w * g.y.c, width = g.x.w * g.x.c;
    (void)scratch;
#pragma omp parallel for schedule(static) if (rows * width > GHL_CPU_SMALL / 2)
    for (int64_t row = 0; row < rows; row++) {
        float *to = dx + row * width;
        for (int64_t w = 0; w < g.x.w; w++) {
            gather_place(&g, e + row / g.x.h * image, NULL, row % g.x.h, w, to + w * g.x.c);
            if (u != NULL)
#pragma omp simd
                for (int64_t c = w * g.x.c; c < (w + 1) * g.x.c; c++)
                    to[c] = u[row * width + c] <= 0.0f ? 0.0f : to[c] * factor;
            else
#pragma omp simd
                for (int64_t c = w * g.x.c; c < (w + 1) * g.x.c; c++)
                    to[c] *= factor;
        }
    }
    return GHL_OK;
}
