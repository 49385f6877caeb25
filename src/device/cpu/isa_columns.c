/* SPDX-License-Identifier: Apache-2.0
 *
 * isa_columns.c - convolutions by columns, see columns.h:
 *
 *   forward           y [M,K] = x [M,F] w' [F,K], w laid out once a call
 *   backward weights  dw [K,F] = e' [K,M] x [M,F]; every chunk of images sums by itself, the chunks are added in order
 */
#include <omp.h>
#include <string.h>

#include "device/cpu/columns.h"
#include "device/cpu/isa.h"
#include "device/cpu/isa_tile.h"

enum { BLOCK = GHL_COLUMNS_BLOCK };

enum { SLACK = GHL_LANES }; /* floats past a block of columns that column_write may overwrite */

/* A row of a window that lies inside the image from tap `before` to tap `end`; the rest is padding. */
static void run_write(const float *from, int64_t before, int64_t end, int64_t run, float *to)
{
    for (int64_t i = 0; i < before; i++)
        to[i] = 0.0f;
    for (int64_t i = before; i < end; i++)
        to[i] = from[i];
    for (int64_t i = end; i < run; i++)
        to[i] = 0.0f;
}

/* The column of position m: F floats, padding of the image and past F is 0. Writes whole vectors, up to SLACK floats past its end. */
static void column_write(const ghl_columns *g, const float *x, int64_t m, float *to)
{
    int64_t map = g->y.h * g->y.w, c = g->x.c, run = g->w.w * c;
    int64_t h0 = m % map / g->y.w * g->window.stride[0] - g->window.padding[0];
    int64_t w0 = m % g->y.w * g->window.stride[1] - g->window.padding[1];
    int64_t before = w0 < 0 ? -w0 : 0, end = w0 + g->w.w > g->x.w ? g->x.w - w0 : g->w.w;
    int64_t at = ((m / map * g->x.h + h0) * g->x.w + w0) * c, last = g->x.n * g->x.h * g->x.w * c - run - GHL_LANES;
    for (int64_t r = 0; r < g->w.h; r++, to += run, at += g->x.w * c) {
        if (h0 + r < 0 || h0 + r >= g->x.h || end <= before)
            memset(to, 0, (size_t)run * sizeof *to);
        else if (before > 0 || end < g->w.w || at > last)
            run_write(x + at, before * c, end * c, run, to);
        else
            for (int64_t i = 0; i < run; i += GHL_LANES)
                ghl_block_copy(to + i, x + at + i);
    }
    for (int64_t i = g->w.h * run; i < g->width; i++)
        *to++ = 0.0f;
}

static int64_t positions(const ghl_columns *g)
{
    return g->y.n * g->y.h * g->y.w;
}

/* ---- Forward ---- */

/* w [K,F] -> [K / 16][width][16] */
static void lay_out_filters(const ghl_columns *g, const float *w, int64_t block, float *to)
{
    int64_t f = g->w.h * g->w.w * g->w.c;
    for (int64_t i = 0; i < g->width; i++)
        for (int64_t k = 0; k < GHL_LANES; k++)
            to[i * GHL_LANES + k] = i < f ? w[(block * GHL_LANES + k) * f + i] : 0.0f;
}

/* Positions [m, m + n), n at most BLOCK; columns [BLOCK][width]. */
static void forward_block(const ghl_columns *g, const float *columns, const float *filters, int64_t m, int64_t n, const float *bias,
                          float *y)
{
    int64_t k = g->y.c, blocks = k / GHL_LANES;
    float edge[GHL_TILE_ROWS * GHL_TILE_BLOCKS * GHL_LANES] __attribute__((aligned(64)));
    for (int64_t row = 0; row < n; row += GHL_TILE_ROWS) {
        bool whole = row + GHL_TILE_ROWS <= n;
        for (int64_t block = 0, count; block < blocks; block += count) {
            count = whole ? ghl_tile_blocks(blocks - block) : 1;
            float *out = y + (m + row) * k + block * GHL_LANES;
            ghl_tile t = {.a = columns + row * g->width, .b = filters + block * g->width * GHL_LANES, .c = whole ? out : edge,
                          .group_step = GHL_LANES, .b_block = g->width * GHL_LANES, .c_block = GHL_LANES, .c_row = whole ? k : GHL_LANES,
                          .groups = g->width / GHL_LANES};
            ghl_tile_rows(&t, g->width, count, 0);
            for (int64_t i = 0; !whole && i < n - row; i++)
                memcpy(out + i * k, edge + i * GHL_LANES, GHL_LANES * sizeof *out);
        }
    }
    if (bias != NULL)
        for (int64_t i = 0; i < n; i++)
#pragma omp simd
            for (int64_t j = 0; j < k; j++)
                y[(m + i) * k + j] += bias[j];
}

static void forward(const void *plan, const float *x, const float *w, const float *bias, float *y, float *scratch)
{
    const ghl_columns *g = plan;
    int64_t total = positions(g), blocks = (total + BLOCK - 1) / BLOCK, k_blocks = g->y.c / GHL_LANES;
    float *own = scratch + k_blocks * g->width * GHL_LANES;
#pragma omp parallel
    {
        float *columns = own + omp_get_thread_num() * (BLOCK * g->width + SLACK);
#pragma omp for schedule(static)
        for (int64_t block = 0; block < k_blocks; block++)
            lay_out_filters(g, w, block, scratch + block * g->width * GHL_LANES);
#pragma omp for schedule(static)
        for (int64_t block = 0; block < blocks; block++) {
            int64_t m = block * BLOCK, n = ghl_cpu_min(BLOCK, total - m);
            for (int64_t i = 0; i < n; i++)
                column_write(g, x, m + i, columns + i * g->width);
            forward_block(g, columns, scratch, m, n, bias, y);
        }
    }
}

/* ---- Backward weights ---- */

/* columns [width / 16][BLOCK][16], zero past n. */
static void lay_out_columns(const ghl_columns *g, const float *x, int64_t m, int64_t n, float *columns)
{
    float column[GHL_COLUMNS_WIDEST + SLACK] __attribute__((aligned(64)));
    memset(column, 0, (size_t)g->width * sizeof *column);
    for (int64_t i = 0; i < BLOCK; i++) {
        if (i < n)
            column_write(g, x, m + i, column);
        else if (i == n)
            memset(column, 0, (size_t)g->width * sizeof *column);
        for (int64_t f = 0; f < g->width; f += GHL_LANES)
            ghl_block_copy(columns + f * BLOCK + i * GHL_LANES, column + f);
    }
}

/* sum [K][width] (+)= e' columns */
static void gradient_block(const ghl_columns *g, const float *columns, const float *e, int64_t depth, int add, float *sum)
{
    int64_t blocks = g->width / GHL_LANES;
    for (int64_t k = 0; k < g->y.c; k += GHL_TILE_ROWS)
        for (int64_t block = 0, count; block < blocks; block += count) {
            count = ghl_tile_blocks(blocks - block);
            ghl_tile t = {.a = e + k, .b = columns + block * BLOCK * GHL_LANES, .c = sum + k * g->width + block * GHL_LANES,
                          .group_step = GHL_LANES * g->y.c, .b_block = BLOCK * GHL_LANES, .c_block = GHL_LANES, .c_row = g->width,
                          .groups = depth / GHL_LANES};
            ghl_tile_plain(&t, g->y.c, count, add);
        }
}

typedef struct gradient_part {
    const ghl_columns *g;
    const float *x, *e[2];
    int n;          /* of the two errors */
    float *partial; /* [chunks][2][K][width] */
    float *own;     /* a thread's: columns, then BLOCK rows of e */
} gradient_part;

static void gradient_chunk(const gradient_part *p, int64_t chunk, float *columns)
{
    const ghl_columns *g = p->g;
    int64_t map = g->y.h * g->y.w, k = g->y.c, size = k * g->width;
    int64_t begin = ghl_cpu_part(g->y.n, g->chunks, chunk) * map, end = ghl_cpu_part(g->y.n, g->chunks, chunk + 1) * map;
    float *edge = columns + BLOCK * g->width;
    for (int64_t m = begin; m < end; m += BLOCK) {
        int64_t n = ghl_cpu_min(BLOCK, end - m), depth = (n + GHL_LANES - 1) / GHL_LANES * GHL_LANES;
        lay_out_columns(g, p->x, m, n, columns);
        for (int i = 0; i < p->n; i++) {
            const float *e = p->e[i] + m * k;
            if (depth > n) { /* rows past the chunk must be 0, not whatever follows: 0 times NaN is NaN */
                memcpy(edge, e, (size_t)(n * k) * sizeof *e);
                memset(edge + n * k, 0, (size_t)((depth - n) * k) * sizeof *e);
                e = edge;
            }
            gradient_block(g, columns, e, depth, m > begin, p->partial + (chunk * 2 + i) * size);
        }
    }
}

static void gradient_finish(const gradient_part *p, int i, int64_t k, float *dw)
{
    const ghl_columns *g = p->g;
    int64_t f = g->w.h * g->w.w * g->w.c, size = g->y.c * g->width;
    const float *from = p->partial + i * size + k * g->width;
    float *to = dw + k * f;
    memcpy(to, from, (size_t)f * sizeof *to);
    for (int64_t chunk = 1; chunk < g->chunks; chunk++) {
        from += 2 * size;
#pragma omp simd
        for (int64_t j = 0; j < f; j++)
            to[j] += from[j];
    }
}

static void gradients(const gradient_part *p, float *const *dw)
{
    const ghl_columns *g = p->g;
#pragma omp parallel
    {
        float *own = p->own + omp_get_thread_num() * BLOCK * (g->width + g->y.c);
#pragma omp for schedule(static)
        for (int64_t chunk = 0; chunk < g->chunks; chunk++)
            gradient_chunk(p, chunk, own);
#pragma omp for schedule(static)
        for (int64_t i = 0; i < p->n * g->y.c; i++)
            gradient_finish(p, (int)(i / g->y.c), i % g->y.c, dw[i / g->y.c]);
    }
}

static float *after_partial(const ghl_columns *g, float *scratch)
{
    return scratch + g->chunks * 2 * g->y.c * g->width;
}

static void backward_weights(const void *plan, const float *x, const float *e, float *dw, float *scratch)
{
    const gradient_part p = {.g = plan, .x = x, .e = {e}, .n = 1, .partial = scratch, .own = after_partial(plan, scratch)};
    gradients(&p, &dw);
}

static void backward_weights_pair(const void *plan, const float *x, const float *const e[2], float *const dw[2], float *scratch)
{
    const gradient_part p = {.g = plan, .x = x, .e = {e[0], e[1]}, .n = 2, .partial = scratch, .own = after_partial(plan, scratch)};
    gradients(&p, dw);
}

const ghl_conv_kernels GHL_ISA_NAME(ghl_cpu_columns) = {
    .forward = forward,
    .backward_weights = backward_weights,
    .backward_weights_pair = backward_weights_pair,
};
