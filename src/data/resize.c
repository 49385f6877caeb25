/* SPDX-License-Identifier: Apache-2.0
 *
 * The antialiased bilinear resize of resize.h: weights, the ring of rows, and the kernels in plain C.
 */
#include "data/resize.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "data/stage.h"

ghl_status ghl_room_reserve(void **buffer, size_t *capacity, size_t bytes)
{
    if (bytes <= *capacity)
        return GHL_OK;
    free(*buffer);
    *capacity = 0;
    GHL_TRY(ghl_allocate(bytes, 1, buffer));
    *capacity = bytes;
    return GHL_OK;
}

/* ---- Weights ---- */

/* Unlike fmax and fmin these are no calls; there is no NaN here. */
static double larger(double a, double b)
{
    return a > b ? a : b;
}

static double smaller(double a, double b)
{
    return a < b ? a : b;
}

typedef struct triangle {
    double size; /* of the picture along the axis */
    double centre, support;
} triangle;

/* Input pixels [*first, *end) that weigh; at least one. */
static void reach(triangle t, int64_t *first, int64_t *end)
{
    const int64_t from = (int64_t)(t.centre - t.support + 0.5), to = (int64_t)(t.centre + t.support + 0.5), pixels = (int64_t)ceil(t.size);

    *first = from < 0 ? 0 : from < pixels ? from : pixels - 1;
    *end = to > pixels ? pixels : to > *first ? to : *first + 1;
}

/* Rounded so that their sum is exactly 1: each takes what the running sum still lacks. */
static void weigh(triangle t, int bits, int64_t first, int64_t count, uint16_t *weights)
{
    const double narrow = 1 / t.support;
    double sum = 0, running = 0;
    int32_t given = 0;

    for (int pass = 0; pass < 2; pass++) {
        const double unit = (1 << bits) / (sum > 0 ? sum : (double)count);
        for (int64_t i = 0; i < count; i++) {
            const double at = (double)(first + i), within = smaller(t.size - at, 1);
            const double w = within * larger(1 - fabs(at + 0.5 - t.centre) * narrow, 0);
            if (pass == 0) {
                sum += w;
                continue;
            }
            running += sum > 0 ? w : 1;
            const int32_t due = (int32_t)(running * unit + 0.5);
            weights[i] = (uint16_t)(due - given);
            given = due;
        }
    }
}

static triangle triangle_of(double size, double start, double extent, int64_t out, int64_t o)
{
    const double scale = extent / (double)out;

    return (triangle){.size = size, .centre = start + ((double)o + 0.5) * scale, .support = larger(scale, 1)};
}

static ghl_status plan_axis(ghl_resize_axis *a, int bits, double size, double start, double extent, int64_t out)
{
    int64_t first, end, last = 0;

    a->out = out;
    a->taps = 0;
    GHL_TRY(GHL_RESERVE(a->from, a->from_bytes, 2 * out));
    reach(triangle_of(size, start, extent, out, 0), &a->first, &end);
    for (int64_t o = 0; o < out; o++) {
        reach(triangle_of(size, start, extent, out, o), &first, &end);
        a->from[2 * o] = (int32_t)(first - a->first);
        a->from[2 * o + 1] = (int32_t)(end - first);
        a->taps = end - first > a->taps ? end - first : a->taps;
        last = end > last ? end : last;
    }
    a->count = last - a->first;
    a->taps = (a->taps + 3) / 4 * 4;
    GHL_TRY(GHL_RESERVE(a->weights, a->weights_bytes, out * a->taps));
    memset(a->weights, 0, (size_t)(out * a->taps) * sizeof *a->weights);
    for (int64_t o = 0; o < out; o++)
        weigh(triangle_of(size, start, extent, out, o), bits, a->first + a->from[2 * o], a->from[2 * o + 1], a->weights + o * a->taps);
    return GHL_OK;
}

/* ---- Kernels in plain C ---- */

static void columns(const uint8_t *const *rows, const uint16_t *weights, int64_t taps, int64_t n, int16_t *out)
{
    for (int64_t i = 0; i < n; i++)
        out[i] = (int16_t)(taps / 2);
    for (int64_t k = 0; k < taps; k++)
        for (int64_t i = 0; i < n; i++)
            out[i] = (int16_t)(out[i] + (rows[k][i] * weights[k] >> 8));
}

static void long_columns(const uint8_t *const *rows, const uint16_t *weights, int64_t taps, int64_t n, int16_t *out)
{
    enum { BLOCK = 64 };

    for (int64_t at = 0; at < n; at += BLOCK) {
        const int64_t m = n - at < BLOCK ? n - at : BLOCK;
        int32_t sum[BLOCK] = {0};
        for (int64_t k = 0; k < taps; k++)
            for (int64_t i = 0; i < m; i++)
                sum[i] += weights[k] * rows[k][at + i];
        for (int64_t i = 0; i < m; i++)
            out[at + i] = (int16_t)((sum[i] + 128) >> 8);
    }
}

static void along(const int16_t *row, const ghl_resize_axis *x, const int16_t *groups, uint8_t *out)
{
    enum { SHIFT = GHL_RESIZE_ALONG_BITS + GHL_RESIZE_BETWEEN_BITS };

    (void)groups;
    for (int64_t o = 0; o < x->out; o++) {
        const int16_t *in = row + 4 * x->from[2 * o];
        const uint16_t *w = x->weights + o * x->taps;
        int32_t sum[3] = {1 << (SHIFT - 1), 1 << (SHIFT - 1), 1 << (SHIFT - 1)};
        for (int64_t k = 0; k < x->from[2 * o + 1]; k++)
            for (int c = 0; c < 3; c++)
                sum[c] += w[k] * in[4 * k + c];
        for (int c = 0; c < 3; c++)
            out[3 * o + c] = (uint8_t)(sum[c] >> SHIFT);
    }
}

static void spread(const uint8_t *rgb, int64_t pixels, uint8_t *rgbx)
{
    for (int64_t i = 0; i < pixels; i++)
        for (int c = 0; c < 3; c++)
            rgbx[4 * i + c] = rgb[3 * i + c];
}

const ghl_resize_kernels ghl_resize_plain = {columns, along, spread};

static const ghl_resize_kernels *best_kernels(void)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2"))
        return &ghl_resize_avx2;
#endif
    return &ghl_resize_plain;
}

/* ---- Rows come and go ---- */

/* The layout that multiplies 4 pixels RGBX by their weights in one instruction. */
static ghl_status group_weights(ghl_resize *r)
{
    const int64_t groups = r->x.out * r->x.taps / 4;

    GHL_TRY(GHL_RESERVE(r->groups, r->groups_bytes, 16 * groups));
    for (int64_t g = 0; g < groups; g++)
        for (int i = 0; i < 16; i++)
            r->groups[16 * g + i] = (int16_t)r->x.weights[4 * g + i / 8 * 2 + i % 2];
    return GHL_OK;
}

ghl_status ghl_resize_begin(ghl_resize *r, const double size[2], const double start[2], const double extent[2], const int64_t out[2],
                            uint8_t *pixels)
{
    if (r->kernels == NULL)
        r->kernels = best_kernels();
    r->pixels = pixels;
    r->read = r->written = 0;
    GHL_TRY(plan_axis(&r->x, GHL_RESIZE_ALONG_BITS, size[0], start[0], extent[0], out[0]));
    GHL_TRY(plan_axis(&r->y, GHL_RESIZE_COLUMN_BITS, size[1], start[1], extent[1], out[1]));
    GHL_TRY(group_weights(r));
    GHL_TRY(GHL_RESERVE(r->mean, r->mean_bytes, 4 * (r->x.count + GHL_RESIZE_SLACK + r->x.taps)));
    return GHL_RESERVE(r->pick, r->pick_bytes, r->y.taps);
}

/* libjpeg-turbo writes rows that are aligned past the caches, where they would be fetched from right away: so every row begins one pixel
 * behind a multiple of 16 bytes. */
ghl_status ghl_resize_rows(ghl_resize *r, int64_t width, int64_t offset)
{
    r->offset = offset;
    r->stride = (width + GHL_RESIZE_SLACK + 4) / 4 * 4;
    r->ring = r->y.taps < r->y.count ? r->y.taps : r->y.count;
    return GHL_RESERVE(r->rows, r->rows_bytes, 4 * (r->ring * r->stride + 1));
}

static uint8_t *row_at(const ghl_resize *r, int64_t i)
{
    return r->rows + 4 * (i % r->ring * r->stride + 1);
}

uint8_t *ghl_resize_slot(const ghl_resize *r)
{
    return row_at(r, r->read);
}

static void put_out(ghl_resize *r, int64_t o)
{
    const int64_t from = r->y.from[2 * o], count = r->y.from[2 * o + 1];

    for (int64_t k = 0; k < count; k++)
        r->pick[k] = row_at(r, from + k) + 4 * r->offset;
    (count <= GHL_RESIZE_SHORT ? r->kernels->columns : long_columns)(r->pick, r->y.weights + o * r->y.taps, count, 4 * r->x.count, r->mean);
    r->kernels->along(r->mean, &r->x, r->groups, r->pixels + 3 * o * r->x.out);
}

void ghl_resize_next(ghl_resize *r)
{
    r->read++;
    ghl_stage_end(GHL_STAGE_DECODE);
    while (r->written < r->y.out && r->y.from[2 * r->written] + r->y.from[2 * r->written + 1] <= r->read)
        put_out(r, r->written++);
    ghl_stage_end(GHL_STAGE_RESIZE);
}

void ghl_resize_release(ghl_resize *r)
{
    free(r->x.from);
    free(r->x.weights);
    free(r->y.from);
    free(r->y.weights);
    free(r->rows);
    free(r->pick);
    free(r->mean);
    free(r->groups);
    *r = (ghl_resize){0};
}
