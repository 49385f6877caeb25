/* SPDX-License-Identifier: Apache-2.0
 *
 * isa_sanger.c - d = factor (p - tril(y^T y) w), see sanger.h. The products run on the register tile; what it adds is subtracted by
 * laying out -y: its square is y^T y all the same.
 *
 *   gram    y_B^T y_B of every block of filters: columns in panels, rows of tiles among the threads, only what lies below the diagonal
 *   decay   a strip of inputs a thread: down the blocks, S of the strip in the second-level cache
 */
#include <string.h>

#include "device/cpu/isa.h"
#include "device/cpu/isa_tile.h"
#include "device/cpu/sanger.h"

enum { STRIP = GHL_SANGER_STRIP };

typedef struct sanger {
    ghl_sanger plan;
    const void *y;      /* [M,K], f32 or bf16 */
    int half;
    const float *p, *w; /* [K,F] */
    float factor, *d;
    float *laid;        /* -y: [K / 16][panel][16] */
    float *gram;        /* [blocks][block][block], then its negative, zero above the diagonal */
    float *plain;       /* y: [blocks][panel][block], where there are several blocks */
} sanger;

/* -y of 16 filters and `rows` columns from m on, zeros to a multiple of 16 rows. */
static void lay_out(const sanger *s, int64_t m, int64_t rows, int64_t block)
{
    const int64_t filters = s->plan.filters, depth = (rows + 15) / 16 * 16, n = ghl_cpu_min(GHL_LANES, filters - block * GHL_LANES);
    float *to = s->laid + block * s->plan.panel * GHL_LANES;
    for (int64_t i = 0; i < depth; i++, to += GHL_LANES) {
        const int64_t at = (m + i) * filters + block * GHL_LANES;
        if (n == GHL_LANES && i < rows && !s->half) {
            for (int64_t j = 0; j < GHL_LANES; j += GHL_WIDTH)
                GHL_STORE(to + j, -GHL_LOAD((const float *)s->y + at + j));
            continue;
        }
        for (int64_t j = 0; j < GHL_LANES; j++)
            to[j] = i < rows && j < n ? -ghl_get(s->y, at + j, s->half) : 0.0f;
    }
}

static const float *laid_filter(const sanger *s, int64_t k)
{
    return s->laid + k / GHL_LANES * s->plan.panel * GHL_LANES + k % GHL_LANES;
}

/* Filters [k, k + GHL_TILE_ROWS) against those of their block up to them. */
static void gram_rows(const sanger *s, int64_t k, int64_t depth, int add)
{
    const int64_t n = s->plan.block, first = k / n * n, blocks = (k - first) / GHL_LANES + 1;
    for (int64_t j = 0, count; j < blocks; j += count) {
        count = ghl_tile_blocks(blocks - j);
        const ghl_tile t = {.a = laid_filter(s, k), .group_step = GHL_LANES * GHL_LANES, .b = laid_filter(s, first + j * GHL_LANES),
                            .b_block = s->plan.panel * GHL_LANES, .c = s->gram + k * n + j * GHL_LANES, .c_row = n,
                            .c_block = GHL_LANES, .groups = depth / GHL_LANES};
        ghl_tile_channels(&t, count, add);
    }
}

/* Of row k the negative, up to the diagonal, and zero from there to the end of the tile. */
static void gram_finish(const sanger *s, int64_t k)
{
    const int64_t n = s->plan.block, within = k % n;
    float *row = s->gram + k * n;
    for (int64_t j = 0; j < (within / GHL_LANES + 1) * GHL_LANES; j++)
        row[j] = j <= within ? -row[j] : 0.0f;
}

/* ---- A strip of inputs ---- */

typedef struct strip {
    int64_t at, wide, blocks; /* first input, inputs, blocks of 16 */
    float *w, *sums;          /* [blocks][block][16] of the block at hand; S [blocks][panel][16] */
} strip;

static void strip_weights(const sanger *s, const strip *t, int64_t first, int64_t count)
{
    const int64_t pitch = s->plan.block * GHL_LANES, last = t->wide % GHL_LANES;
    for (int64_t i = 0; i < count; i++) {
        const float *from = s->w + (first + i) * s->plan.fan_in + t->at;
        float *to = t->w + i * GHL_LANES;
        const int64_t whole = first + i < s->plan.filters ? t->wide / GHL_LANES : 0;
        for (int64_t j = 0; j < whole; j++)
            ghl_block_copy(to + j * pitch, from + j * GHL_LANES);
        for (int64_t j = whole; j < t->blocks; j++)
            memset(to + j * pitch, 0, GHL_LANES * sizeof *to);
        if (last > 0 && first + i < s->plan.filters)
            memcpy(to + whole * pitch, from + whole * GHL_LANES, (size_t)last * sizeof *to);
    }
}

/* Filters [k, k + GHL_TILE_ROWS) of d. */
static void strip_rows(const sanger *s, const strip *t, int64_t k)
{
    const ghl_sanger *g = &s->plan;
    const int64_t rows = ghl_cpu_min(GHL_TILE_ROWS, g->filters - k);
    float c[GHL_TILE_ROWS * STRIP] __attribute__((aligned(64))) = {0};
    for (int64_t i = 0; i < rows; i++)
        memcpy(c + i * STRIP, s->p + (k + i) * g->fan_in + t->at, (size_t)t->wide * sizeof *c);
    for (int64_t j = 0, count; j < t->blocks; j += count) {
        count = ghl_tile_blocks(t->blocks - j);
        ghl_tile tile = {.a = s->gram + k * g->block, .group_step = GHL_LANES, .b = t->w + j * g->block * GHL_LANES,
                         .b_block = g->block * GHL_LANES, .c = c + j * GHL_LANES, .c_row = STRIP, .c_block = GHL_LANES,
                         .groups = k % g->block / GHL_LANES + 1};
        ghl_tile_rows(&tile, g->block, count, 1);
        if (k < g->block)
            continue;
        tile.a = laid_filter(s, k), tile.group_step = GHL_LANES * GHL_LANES, tile.groups = g->panel / GHL_LANES;
        tile.b = t->sums + j * g->panel * GHL_LANES, tile.b_block = g->panel * GHL_LANES;
        ghl_tile_channels(&tile, count, 1);
    }
    for (int64_t i = 0; i < rows; i++)
        for (int64_t f = 0; f < t->wide; f++)
            s->d[(k + i) * g->fan_in + t->at + f] = s->factor * c[i * STRIP + f];
}

/* S += y w over the filters [first, first + count). */
static void strip_sums(const sanger *s, const strip *t, int64_t first, int64_t count)
{
    const ghl_sanger *g = &s->plan;
    for (int64_t m = 0; m < g->panel; m += GHL_TILE_ROWS)
        for (int64_t j = 0, some; j < t->blocks; j += some) {
            some = ghl_tile_blocks(t->blocks - j);
            const ghl_tile tile = {.a = s->plain + (first / g->block * g->panel + m) * g->block, .group_step = GHL_LANES,
                                   .b = t->w + j * g->block * GHL_LANES, .b_block = g->block * GHL_LANES,
                                   .c = t->sums + (j * g->panel + m) * GHL_LANES, .c_row = GHL_LANES, .c_block = g->panel * GHL_LANES,
                                   .groups = count / GHL_LANES};
            ghl_tile_rows(&tile, g->block, some, first > 0);
        }
}

static void strip_decay(const sanger *s, int64_t number, float *own)
{
    const ghl_sanger *g = &s->plan;
    strip t = {.at = number * g->strip, .w = own, .sums = own + g->strip * g->block};
    t.wide = ghl_cpu_min(g->strip, g->fan_in - t.at);
    t.blocks = (t.wide + GHL_LANES - 1) / GHL_LANES;
    for (int64_t first = 0; first < g->rows; first += g->block) {
        const int64_t count = ghl_cpu_min(g->block, g->rows - first);
        strip_weights(s, &t, first, count);
        for (int64_t k = first; k < ghl_cpu_min(first + count, g->filters); k += GHL_TILE_ROWS)
            strip_rows(s, &t, k);
        if (first + g->block < g->rows)
            strip_sums(s, &t, first, count);
    }
}

ghl_status GHL_CPU_OP(sanger_decay)(const ghl_call *call, void *scratch)
{
    sanger s = {.plan = ghl_sanger_plan(call, 1), .y = call->in[0].data, .half = call->in[0].dtype == GHL_BF16, .p = call->in[1].data,
                .w = call->in[2].data, .factor = call->attr.decay.factor, .d = call->out[0].data, .laid = scratch};
    const ghl_sanger *g = &s.plan;
    const int64_t strips = (g->fan_in + g->strip - 1) / g->strip;
    s.gram = s.laid + g->gram;
    s.plain = s.laid + g->plain;
#pragma omp parallel if (g->columns * g->filters > GHL_CPU_SMALL || g->filters * g->fan_in > GHL_CPU_SMALL)
    {
        for (int64_t m = 0; m < g->columns; m += g->panel) {
            const int64_t rows = ghl_cpu_min(g->panel, g->columns - m), depth = (rows + 15) / 16 * 16;
#pragma omp for schedule(static)
            for (int64_t block = 0; block < g->rows / GHL_LANES; block++)
                lay_out(&s, m, rows, block);
#pragma omp for schedule(static, 1)
            for (int64_t tile = 0; tile < g->rows / GHL_TILE_ROWS; tile++)
                gram_rows(&s, tile * GHL_TILE_ROWS, depth, m > 0);
        }
#pragma omp for schedule(static)
        for (int64_t k = 0; k < g->rows; k++)
            gram_finish(&s, k);
        if (g->blocks > 1) {
#pragma omp for schedule(static)
            for (int64_t i = 0; i < g->blocks * g->panel; i++)
                for (int64_t j = 0; j < g->block; j++) {
                    const int64_t m = i % g->panel, k = i / g->panel * g->block + j;
                    s.plain[i * g->block + j] = m < g->columns && k < g->filters ? ghl_get(s.y, m * g->filters + k, s.half) : 0.0f;
                }
        }
#pragma omp for schedule(static)
        for (int64_t i = 0; i < strips; i++)
            strip_decay(&s, i, s.laid + g->own + omp_get_thread_num() * g->own_floats);
    }
    return GHL_OK;
}
