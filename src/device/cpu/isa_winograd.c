/* SPDX-License-Identifier: Apache-2.0
 *
 * isa_winograd.c - F(2x2, 3x3) in the three directions. See winograd.h.
 *
 * Everything between the transforms lies in blocks of 16 channels: [frequency][channel block][tile or channel][16]. Tiles and output
 * channels are done in blocks whose transforms stay in the last-level cache; only x, w and y touch memory. Backward-data is the forward
 * pass of e with the filters turned round and input and output channels exchanged.
 */
#include <string.h>

#include "device/cpu/isa.h"
#include "device/cpu/isa_tile.h"

enum { FREQUENCIES = 16, DEPTH_BLOCK = 384, ROW_TASK = 64, SKEW = 64 };

/* One direction's view: `in` channels are summed over by the forward product. */
typedef struct pass {
    const ghl_winograd *g;
    ghl_shape from, to;       /* maps: the convolution's input and output here */
    int64_t padding[2];
    int64_t tiles_h, tiles_w, tiles, tile_block;
    float *v, *u, *m;         /* transforms of the input; of filters or errors; products */
} pass;

static int64_t round_up(int64_t n, int64_t unit)
{
    return (n + unit - 1) / unit * unit;
}

/* Floats of one frequency: a little more than needed, so that the 16 frequencies of a place do not fall into one set of the cache. */
static int64_t plane(int64_t channels, int64_t places)
{
    return channels * places + SKEW;
}

typedef struct tile_place {
    int64_t n, h, w; /* image, and first output row and column */
} tile_place;

static tile_place place_of(const pass *p, int64_t tile)
{
    int64_t map = p->tiles_h * p->tiles_w;
    return (tile_place){tile / map, tile % map / p->tiles_w * 2, tile % p->tiles_w * 2};
}

/* B' d B of 16 channels; d[h][w] -> out[frequency * step]. */
static inline void input_transform(ghl_vec d[4][4], float *out, int64_t step)
{
    ghl_vec t[4][4];
    for (int j = 0; j < 4; j++) {
        t[0][j] = d[0][j] - d[2][j];
        t[1][j] = d[1][j] + d[2][j];
        t[2][j] = d[2][j] - d[1][j];
        t[3][j] = d[1][j] - d[3][j];
    }
    for (int i = 0; i < 4; i++) {
        float *to = out + i * 4 * step;
        GHL_STORE(to, t[i][0] - t[i][2]);
        GHL_STORE(to + step, t[i][1] + t[i][2]);
        GHL_STORE(to + 2 * step, t[i][2] - t[i][1]);
        GHL_STORE(to + 3 * step, t[i][1] - t[i][3]);
    }
}

/* Channels [block * 16, + 16) of the map `data` under tiles [first, first + count) -> v. */
static void transform_inputs(const pass *p, const float *data, int64_t first, int64_t count, int64_t block, int64_t blocks)
{
    const ghl_shape s = p->from;
    int64_t step = plane(blocks * GHL_LANES, p->tile_block);
    float *out = p->v + block * p->tile_block * GHL_LANES;
    ghl_vec d[4][4];
    for (int64_t t = 0; t < p->tile_block; t++, out += GHL_LANES) {
        tile_place at = place_of(p, first + t);
        int64_t h = at.h - p->padding[0], w = at.w - p->padding[1];
        const float *image = data + at.n * s.h * s.w * s.c + block * GHL_LANES;
        int inside = t < count && h >= 0 && w >= 0 && h + 4 <= s.h && w + 4 <= s.w;
        for (int i = 0; i < 4; i++)
            for (int j = 0; j < 4; j++) {
                if (inside || (t < count && h + i >= 0 && h + i < s.h && w + j >= 0 && w + j < s.w))
                    d[i][j] = GHL_LOAD(image + ((h + i) * s.w + w + j) * s.c);
                else
                    d[i][j] = (ghl_vec){0};
            }
        input_transform(d, out, step);
    }
}

/* A' m A of 16 channels: m[frequency * step] -> o[2][2]. */
static inline void output_transform(const float *m, int64_t step, ghl_vec o[2][2])
{
    ghl_vec t[2][4];
    for (int j = 0; j < 4; j++) {
        ghl_vec m0 = GHL_LOAD(m + j * step), m1 = GHL_LOAD(m + (4 + j) * step), m2 = GHL_LOAD(m + (8 + j) * step), m3 = GHL_LOAD(m + (12 + j) * step);
        t[0][j] = m0 + m1 + m2;
        t[1][j] = m1 - m2 - m3;
    }
    for (int i = 0; i < 2; i++) {
        o[i][0] = t[i][0] + t[i][1] + t[i][2];
        o[i][1] = t[i][1] - t[i][2] - t[i][3];
    }
}

/* bias: of the block's 16 channels, or NULL. */
static void transform_outputs(const pass *p, int64_t first, int64_t count, int64_t block, int64_t blocks, const float *bias,
                              float *out)
{
    const ghl_shape s = p->to;
    int64_t step = plane(blocks * GHL_LANES, p->tile_block);
    const float *m = p->m + block * p->tile_block * GHL_LANES;
    ghl_vec shift = {0};
    if (bias != NULL)
        shift = GHL_LOAD(bias);
    for (int64_t t = 0; t < count; t++, m += GHL_LANES) {
        tile_place at = place_of(p, first + t);
        ghl_vec o[2][2];
        output_transform(m, step, o);
        for (int i = 0; i < 2 && at.h + i < s.h; i++)
            for (int j = 0; j < 2 && at.w + j < s.w; j++)
                GHL_STORE(out + ((at.n * s.h + at.h + i) * s.w + at.w + j) * s.c, o[i][j] + shift);
    }
}

/* G f G' of one filter's 16 channels; taps[r * 3 + s] -> out[frequency]. */
static inline void filter_transform(const ghl_vec taps[9], ghl_vec out[FREQUENCIES])
{
    ghl_vec t[4][3];
    for (int j = 0; j < 3; j++) {
        ghl_vec sum = (taps[j] + taps[6 + j]) * 0.5f, middle = taps[3 + j] * 0.5f;
        t[0][j] = taps[j];
        t[1][j] = sum + middle;
        t[2][j] = sum - middle;
        t[3][j] = taps[6 + j];
    }
    for (int i = 0; i < 4; i++) {
        ghl_vec sum = (t[i][0] + t[i][2]) * 0.5f, middle = t[i][1] * 0.5f;
        out[i * 4] = t[i][0];
        out[i * 4 + 1] = sum + middle;
        out[i * 4 + 2] = sum - middle;
        out[i * 4 + 3] = t[i][2];
    }
}

/* Forward: filters [k0, k0 + 16), channels [c0, c0 + 16) -> u[frequency][block][c][k]. */
static void transform_filters(const pass *p, const float *w, int64_t k0, int64_t c0, int64_t block, int64_t blocks)
{
    int64_t in = p->from.c, step = plane(blocks * GHL_LANES, in);
    float turned[FREQUENCIES][GHL_LANES][GHL_LANES];
    for (int k = 0; k < GHL_LANES; k++) {
        ghl_vec taps[9], out[FREQUENCIES];
        for (int tap = 0; tap < 9; tap++)
            taps[tap] = GHL_LOAD(w + ((k0 + k) * 9 + tap) * in + c0);
        filter_transform(taps, out);
        for (int f = 0; f < FREQUENCIES; f++)
            for (int c = 0; c < GHL_LANES; c++)
                turned[f][c][k] = out[f][c];
    }
    for (int f = 0; f < FREQUENCIES; f++)
        memcpy(p->u + f * step + (block * in + c0) * GHL_LANES, turned[f], sizeof turned[f]);
}

/* Backward: the channels [c0, c0 + 16) of filter k, turned by half a turn -> u[frequency][block][k][c]. */
static void transform_filters_back(const pass *p, const float *w, int64_t k, int64_t c0, int64_t block, int64_t blocks)
{
    int64_t in = p->from.c, step = plane(blocks * GHL_LANES, in);
    ghl_vec taps[9], out[FREQUENCIES];
    for (int tap = 0; tap < 9; tap++)
        taps[8 - tap] = GHL_LOAD(w + (k * 9 + tap) * p->to.c + c0);
    filter_transform(taps, out);
    for (int f = 0; f < FREQUENCIES; f++)
        GHL_STORE(p->u + f * step + (block * in + k) * GHL_LANES, out[f]);
}

/* m[f][block][row] = sum over in channels, for rows [begin, end) of the tile block. */
static void multiply_rows(const pass *p, int64_t f, int64_t begin, int64_t end, int64_t blocks)
{
    int64_t in = p->from.c, rows = p->tile_block;
    const float *v = p->v + f * plane(in, rows), *u = p->u + f * plane(blocks * GHL_LANES, in);
    float *m = p->m + f * plane(blocks * GHL_LANES, rows);
    for (int64_t depth = 0; depth < in; depth += DEPTH_BLOCK) {
        int64_t groups = ghl_cpu_min(DEPTH_BLOCK, in - depth) / GHL_LANES;
        for (int64_t row = begin; row < end; row += GHL_TILE_ROWS)
            for (int64_t block = 0, n; block < blocks; block += n) {
                n = ghl_tile_blocks(blocks - block);
                ghl_tile t = {.a = v + (depth / GHL_LANES * rows + row) * GHL_LANES, .b = u + (block * in + depth) * GHL_LANES,
                              .c = m + (block * rows + row) * GHL_LANES, .group_step = rows * GHL_LANES, .b_block = in * GHL_LANES,
                              .c_block = rows * GHL_LANES, .c_row = GHL_LANES, .groups = groups};
                ghl_tile_rows(&t, GHL_LANES, n, depth > 0);
            }
    }
}

typedef void transform_weights(const pass *p, const float *w, int64_t first, int64_t blocks);

static void weights_forward(const pass *p, const float *w, int64_t first, int64_t blocks)
{
    int64_t in_blocks = p->from.c / GHL_LANES;
#pragma omp for schedule(static)
    for (int64_t i = 0; i < blocks * in_blocks; i++)
        transform_filters(p, w, first + i / in_blocks * GHL_LANES, i % in_blocks * GHL_LANES, i / in_blocks, blocks);
}

static void weights_back(const pass *p, const float *w, int64_t first, int64_t blocks)
{
    int64_t in = p->from.c;
#pragma omp for schedule(static)
    for (int64_t i = 0; i < blocks * in; i++)
        transform_filters_back(p, w, i % in, first + i / in * GHL_LANES, i / in, blocks);
}

/* Output channels [first, first + 16 blocks) of all tiles. Inside a parallel region. */
static void correlate_channels(const pass *p, const float *data, int64_t first, int64_t blocks, const float *bias,
                              float *out)
{
    int64_t in_blocks = p->from.c / GHL_LANES, parts = (p->tile_block + ROW_TASK - 1) / ROW_TASK;
    for (int64_t tile = 0; tile < p->tiles; tile += p->tile_block) {
        int64_t count = ghl_cpu_min(p->tile_block, p->tiles - tile);
#pragma omp for schedule(static)
        for (int64_t block = 0; block < in_blocks; block++)
            transform_inputs(p, data, tile, count, block, in_blocks);
#pragma omp for schedule(static)
        for (int64_t i = 0; i < FREQUENCIES * parts; i++)
            multiply_rows(p, i / parts, i % parts * ROW_TASK, ghl_cpu_min(p->tile_block, (i % parts + 1) * ROW_TASK), blocks);
#pragma omp for schedule(static)
        for (int64_t block = 0; block < blocks; block++) {
            int64_t k = first + block * GHL_LANES;
            transform_outputs(p, tile, count, block, blocks, bias != NULL ? bias + k : NULL, out + k);
        }
    }
}

static void correlate(const pass *p, const float *data, const float *w, transform_weights *transform, const float *bias, float *out)
{
#pragma omp parallel
    for (int64_t first = 0; first < p->to.c; first += p->g->channel_block) {
        int64_t blocks = ghl_cpu_min(p->g->channel_block, p->to.c - first) / GHL_LANES;
        transform(p, w, first, blocks);
        correlate_channels(p, data, first, blocks, bias, out);
    }
}

static pass pass_of(const ghl_winograd *g, ghl_shape from, ghl_shape to, int64_t padding_h, int64_t padding_w, float *scratch)
{
    pass p = {.g = g, .from = from, .to = to, .padding = {padding_h, padding_w}, .tiles_h = (to.h + 1) / 2, .tiles_w = (to.w + 1) / 2};
    p.tiles = to.n * p.tiles_h * p.tiles_w;
    p.tile_block = ghl_cpu_min(g->tile_block, round_up(p.tiles, GHL_LANES));
    p.v = scratch + g->input_at;
    p.u = scratch + g->output_at;
    p.m = scratch + g->product_at;
    return p;
}

static void forward(const void *plan, const float *x, const float *w, const float *bias, float *y, float *scratch)
{
    const ghl_winograd *g = plan;
    pass p = pass_of(g, g->x, g->y, g->padding[0], g->padding[1], scratch);
    correlate(&p, x, w, weights_forward, bias, y);
}

static void backward_data(const void *plan, const float *e, const float *w, float *dx, float *scratch)
{
    const ghl_winograd *g = plan;
    pass p = pass_of(g, g->y, g->x, 2 - g->padding[0], 2 - g->padding[1], scratch);
    correlate(&p, e, w, weights_back, NULL, dx);
}

/* ---- Weight gradient ---- */

/* A e A' of 16 channels of tiles [first, first + count) -> u[frequency][block][tile][16]. */
static void transform_errors(const pass *p, const float *e, int64_t first, int64_t count, int64_t block, int64_t blocks)
{
    const ghl_shape s = p->to;
    int64_t step = plane(blocks * GHL_LANES, p->tile_block);
    float *out = p->u + block * p->tile_block * GHL_LANES;
    for (int64_t t = 0; t < p->tile_block; t++, out += GHL_LANES) {
        tile_place at = place_of(p, first + t);
        ghl_vec d[2][2], column[4][2];
        for (int i = 0; i < 2; i++)
            for (int j = 0; j < 2; j++) {
                d[i][j] = (ghl_vec){0};
                if (t < count && at.h + i < s.h && at.w + j < s.w)
                    d[i][j] = GHL_LOAD(e + ((at.n * s.h + at.h + i) * s.w + at.w + j) * s.c);
            }
        for (int j = 0; j < 2; j++) {
            column[0][j] = d[0][j];
            column[1][j] = d[0][j] + d[1][j];
            column[2][j] = d[0][j] - d[1][j];
            column[3][j] = -d[1][j];
        }
        for (int i = 0; i < 4; i++) {
            float *to = out + i * 4 * step;
            GHL_STORE(to, column[i][0]);
            GHL_STORE(to + step, column[i][0] + column[i][1]);
            GHL_STORE(to + 2 * step, column[i][0] - column[i][1]);
            GHL_STORE(to + 3 * step, -column[i][1]);
        }
    }
}

/* m[f][channel block][row] += sum over tiles, rows [begin, end) of the K-block. */
static void multiply_tiles(const pass *p, int64_t f, int64_t begin, int64_t end, int64_t blocks, int add)
{
    int64_t tiles = p->tile_block, in_blocks = p->from.c / GHL_LANES, rows = blocks * GHL_LANES;
    const float *e = p->u + f * plane(rows, tiles), *v = p->v + f * plane(p->from.c, tiles);
    float *m = p->m + f * plane(p->from.c, rows);
    for (int64_t row = begin; row < end; row += GHL_TILE_ROWS)
        for (int64_t block = 0, n; block < in_blocks; block += n) {
            n = ghl_tile_blocks(in_blocks - block);
            ghl_tile t = {.a = e + row / GHL_LANES * tiles * GHL_LANES + row % GHL_LANES, .b = v + block * tiles * GHL_LANES,
                          .c = m + (block * rows + row) * GHL_LANES, .group_step = GHL_LANES * GHL_LANES, .b_block = tiles * GHL_LANES,
                          .c_block = rows * GHL_LANES, .c_row = GHL_LANES, .groups = tiles / GHL_LANES};
            ghl_tile_channels(&t, n, add);
        }
}

/* G' m G: m[f][block][k][16] -> dw[k][3][3][block * 16 ...]. */
static void transform_gradient(const pass *p, int64_t k, int64_t block, int64_t rows, float *dw)
{
    int64_t c = p->from.c, step = plane(c, rows);
    const float *m = p->m + (block * rows + k) * GHL_LANES;
    ghl_vec t[3][4];
    for (int j = 0; j < 4; j++) {
        ghl_vec m1 = GHL_LOAD(m + (4 + j) * step), m2 = GHL_LOAD(m + (8 + j) * step), sum = (m1 + m2) * 0.5f;
        t[0][j] = GHL_LOAD(m + j * step) + sum;
        t[1][j] = (m1 - m2) * 0.5f;
        t[2][j] = sum + GHL_LOAD(m + (12 + j) * step);
    }
    for (int i = 0; i < 3; i++) {
        ghl_vec sum = (t[i][1] + t[i][2]) * 0.5f;
        float *to = dw + (k * 9 + i * 3) * c + block * GHL_LANES;
        GHL_STORE(to, t[i][0] + sum);
        GHL_STORE(to + c, (t[i][1] - t[i][2]) * 0.5f);
        GHL_STORE(to + 2 * c, sum + t[i][3]);
    }
}

/* Filters [first, first + 16 blocks). Inside a parallel region. */
static void gradient_channels(const pass *p, const float *x, const float *e, int64_t first, int64_t blocks, float *dw)
{
    int64_t in_blocks = p->from.c / GHL_LANES, rows = blocks * GHL_LANES, parts = (rows + ROW_TASK - 1) / ROW_TASK;
    for (int64_t tile = 0; tile < p->tiles; tile += p->tile_block) {
        int64_t count = ghl_cpu_min(p->tile_block, p->tiles - tile);
#pragma omp for schedule(static)
        for (int64_t i = 0; i < in_blocks + blocks; i++) {
            if (i < in_blocks)
                transform_inputs(p, x, tile, count, i, in_blocks);
            else
                transform_errors(p, e + first + (i - in_blocks) * GHL_LANES, tile, count, i - in_blocks, blocks);
        }
#pragma omp for schedule(static)
        for (int64_t i = 0; i < FREQUENCIES * parts; i++)
            multiply_tiles(p, i / parts, i % parts * ROW_TASK, ghl_cpu_min(rows, (i % parts + 1) * ROW_TASK), blocks, tile > 0);
    }
#pragma omp for schedule(static)
    for (int64_t i = 0; i < in_blocks * rows; i++)
        transform_gradient(p, i / in_blocks, i % in_blocks, rows, dw + first * 9 * p->from.c);
}

static void backward_weights(const void *plan, const float *x, const float *e, float *dw, float *scratch)
{
    const ghl_winograd *g = plan;
    pass p = pass_of(g, g->x, g->y, g->padding[0], g->padding[1], scratch);
#pragma omp parallel
    for (int64_t first = 0; first < g->y.c; first += g->channel_block)
        gradient_channels(&p, x, e, first, ghl_cpu_min(g->channel_block, g->y.c - first) / GHL_LANES, dw);
}

const ghl_conv_kernels GHL_ISA_NAME(ghl_cpu_winograd) = {
    .forward = forward,
    .backward_data = backward_data,
    .backward_weights = backward_weights,
};
