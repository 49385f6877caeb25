/* SPDX-License-Identifier: Apache-2.0
 *
 * isa_conv16_gather.c - forward and backward data on bf16 tiles, see conv16.h: copy a block of the source, then for 32 outputs after 32
 * multiply the copy's rows with their weights, and round the sums. The weights of 32 outputs stay in the cache for a whole block.
 */
#include <omp.h>

#include "device/cpu/isa.h"
#include "device/cpu/isa_conv16.h"

#if defined(__AVX512BF16__)

typedef struct work {
    const ghl_conv16_gather *g;
    const uint16_t *source, *weights;
    const float *bias, *factor; /* of outputs: sum * factor + bias; either may be NULL */
    uint16_t *out;
} work;

/* What is done at a time: images or a band of the rows of one. */
typedef struct part {
    int64_t image, images, row, rows; /* rows of a phase, not of the map */
    uint16_t *copy;
    int64_t each; /* tiles of an image */
    int32_t *to;  /* the output's position from the first image on, or -1, for every computed position */
} part;

/* ---- The copy ---- */

/* `count` positions of c channels become positions of four. */
static void widen(const uint16_t *from, int64_t c, int64_t count, uint16_t *to)
{
    uint16_t source[CONV16_DEPTH];
    __mmask32 real = 0;
    for (int i = 0; i < CONV16_DEPTH; i++) {
        source[i] = (uint16_t)(i / 4 * c + i % 4);
        real |= (__mmask32)(i % 4 < c) << i;
    }
    const __m512i order = _mm512_loadu_si512(source);
    for (int64_t left = count; left > 0; left -= 8, from += 8 * c, to += CONV16_DEPTH) {
        int64_t n = ghl_cpu_min(left, 8);
        __m512i values = _mm512_maskz_loadu_epi16(((__mmask32)1 << n * c) - 1, from);
        __mmask32 whole = n == 8 ? ~(__mmask32)0 : ((__mmask32)1 << n * 4) - 1;
        _mm512_mask_storeu_epi16(to, whole, _mm512_maskz_permutexvar_epi16(real, order, values));
    }
}

/* `count` positions, `stride` apart, of a slab; with zeros behind their channels: what lies there may be no number, times a weight of 0. */
static void copy_positions(const ghl_conv16_gather *g, const uint16_t *from, int64_t slab, int64_t count, int64_t stride, uint16_t *to)
{
    int64_t c = ghl_cpu_min(g->sources - slab * CONV16_DEPTH, g->width), next = stride * g->sources;
    const __mmask32 real = c >= CONV16_DEPTH ? ~(__mmask32)0 : ((__mmask32)1 << c) - 1;
    from += slab * CONV16_DEPTH;
    if (g->slabs > 1)
        for (int64_t i = 0; i < count; i++)
            _mm512_storeu_si512(to + i * CONV16_DEPTH, _mm512_maskz_loadu_epi16(real, from + i * next));
    else if (c == g->width && stride == 1)
        conv16_copy(to, from, count * c);
    else if (g->width == 4 && stride == 1)
        widen(from, c, count, to);
    else
        for (int64_t i = 0; i < count; i++) {
            conv16_copy(to + i * g->width, from + i * next, c);
            conv16_zero(to + i * g->width + c, g->width - c);
        }
}

/* A row of the source, or NULL: padding. */
static const uint16_t *source_row(const work *k, const part *p, int64_t image, int64_t row)
{
    const ghl_conv16_gather *g = k->g;
    if (row < 0 || row >= g->rows)
        return NULL;
    return k->source + ((p->image + image) * g->rows + row) * g->columns * g->sources;
}

static void copy_padded(const work *k, const part *p, int64_t image, int64_t slab, uint16_t *to)
{
    const ghl_conv16_gather *g = k->g;
    int64_t front = -g->low[1], rest = g->pitch - front - g->columns;
    for (int64_t plane = 0; plane < g->in_stride[0]; plane++) {
        uint16_t *at = to + plane * g->plane;
        for (int64_t i = 0; i < g->plane_rows; i++, at += g->pitch * g->width) {
            const uint16_t *from = source_row(k, p, image, (p->row + i) * g->in_stride[0] + g->low[0] + plane);
            if (from == NULL) {
                conv16_zero(at, g->pitch * g->width);
                continue;
            }
            conv16_zero(at, front * g->width);
            copy_positions(g, from, slab, g->columns, 1, at + front * g->width);
            conv16_zero(at + (front + g->columns) * g->width, rest * g->width);
        }
        conv16_zero(at, front * g->width);
    }
}

static void copy_shifted(const work *k, const part *p, int64_t image, int64_t slab, uint16_t *to)
{
    const ghl_conv16_gather *g = k->g;
    int64_t stride = g->in_stride[1];
    for (int64_t plane = 0; plane < g->in_stride[0] * (g->reach[1] + 1); plane++) {
        int64_t shift = g->low[1] + plane % (g->reach[1] + 1), lower = plane / (g->reach[1] + 1);
        int64_t begin = shift < 0 ? ghl_cpu_min(g->line, (stride - 1 - shift) / stride) : 0;
        int64_t end = g->columns > shift ? ghl_cpu_min(g->line, (g->columns - shift + stride - 1) / stride) : 0;
        end = end < begin ? begin : end;
        uint16_t *at = to + plane * g->plane;
        for (int64_t i = 0; i < g->plane_rows; i++, at += g->line * g->width) {
            const uint16_t *from = source_row(k, p, image, (p->row + i) * g->in_stride[0] + g->low[0] + lower);
            if (from == NULL) {
                conv16_zero(at, g->line * g->width);
                continue;
            }
            conv16_zero(at, begin * g->width);
            if (end > begin)
                copy_positions(g, from + (begin * stride + shift) * g->sources, slab, end - begin, stride, at + begin * g->width);
            conv16_zero(at + end * g->width, (g->line - end) * g->width);
        }
    }
}

/* `count` values of a position's column, from value `at` on; NULL: zeros. */
static void copy_column(const ghl_conv16_gather *g, const uint16_t *from, int64_t at, int64_t count, uint16_t *to)
{
    if (g->slabs == 1 && from == NULL)
        conv16_zero(to + at, count);
    else if (g->slabs == 1)
        conv16_copy(to + at, from, count);
    else
        for (int64_t i = 0; i < count; i += CONV16_DEPTH)
            _mm512_storeu_si512(to + (at + i) / CONV16_DEPTH * g->slab,
                                from == NULL ? _mm512_setzero_si512() : _mm512_loadu_si512(from + i));
}

static void copy_columns(const work *k, const part *p, int64_t image, int64_t slab, uint16_t *to)
{
    const ghl_conv16_gather *g = k->g;
    int64_t c = g->sources, wide = g->reach[1] + 1, run = wide * c, length = (g->reach[0] + 1) * run;
    (void)slab; /* a position at a time, all of its slabs */
    for (int64_t row = p->row; row < p->row + p->rows; row++)
        for (int64_t column = 0; column < g->line; column++, to += g->step) {
            int64_t left = column * g->in_stride[1] + g->low[1], begin = left < 0 ? ghl_cpu_min(-left, wide) : 0;
            int64_t end = ghl_cpu_min(wide, g->columns - left);
            end = end < begin ? begin : end;
            for (int64_t r = 0, at = 0; r <= g->reach[0]; r++, at += run) {
                const uint16_t *from = source_row(k, p, image, row * g->in_stride[0] + g->low[0] + r);
                if (from == NULL) {
                    copy_column(g, NULL, at, run, to);
                    continue;
                }
                copy_column(g, NULL, at, begin * c, to);
                copy_column(g, from + (left + begin) * c, at + begin * c, (end - begin) * c, to);
                copy_column(g, NULL, at + end * c, run - end * c, to);
            }
            if (g->slabs == 1)
                conv16_zero(to + length, g->step - length);
        }
}

static void copy_part(const work *k, const part *p)
{
    static void (*const copy[])(const work *, const part *, int64_t, int64_t, uint16_t *) = {copy_padded, copy_shifted, copy_columns};
    const ghl_conv16_gather *g = k->g;
    bool columns = g->form == GHL_CONV16_COLUMNS;
    int64_t next = columns ? g->band * g->line * g->step : g->image, slabs = columns ? 1 : g->slabs;
    for (int64_t image = 0; g->form != GHL_CONV16_DIRECT && image < p->images; image++)
        for (int64_t slab = 0; slab < slabs; slab++)
            copy[g->form](k, p, image, slab, p->copy + image * next + slab * g->slab);
}

/* ---- Outputs ---- */

/* The 16 positions of a tile are 16 neighbouring outputs: places grow along a tile, and with a stride they may leap. */
static inline bool is_whole(const ghl_conv16_gather *g, const int32_t *to)
{
    return g->phases == 1 && to[0] >= 0 && to[CONV16_ROWS - 1] - to[0] == CONV16_ROWS - 1;
}

/* What 32 outputs are multiplied with, and what is added. */
typedef struct line {
    __m512 factor[2], bias[2];
    __mmask32 mask;
} line;

/* Of outputs from `first` on, where there are `n` more. */
static inline line line_of(const work *k, int64_t first, int64_t n)
{
    line l = {.mask = n >= 32 ? ~(__mmask32)0 : ((__mmask32)1 << n) - 1};
    for (int i = 0; i < 2; i++) {
        const __mmask16 mask = (__mmask16)(l.mask >> 16 * i);
        l.factor[i] = k->factor != NULL ? _mm512_maskz_loadu_ps(mask, k->factor + first + 16 * i) : _mm512_set1_ps(1.0f);
        l.bias[i] = k->bias != NULL ? _mm512_maskz_loadu_ps(mask, k->bias + first + 16 * i) : _mm512_setzero_ps();
    }
    return l;
}

/* A row of 32 or 16 sums. */
static inline void put_row(const float *sums, int pair, const line *l, uint16_t *to)
{
    const __m512 a = _mm512_fmadd_ps(_mm512_load_ps(sums), l->factor[0], l->bias[0]);
    if (pair) {
        const __m512 b = _mm512_fmadd_ps(_mm512_load_ps(sums + 16), l->factor[1], l->bias[1]);
        _mm512_mask_storeu_epi16(to, l->mask, (__m512i)_mm512_cvtne2ps_pbh(b, a));
    } else
        _mm256_mask_storeu_epi16(to, (__mmask16)l->mask, (__m256i)_mm512_cvtneps_pbh(a));
}

/* Rounds `tiles` tiles of rows to their places; outputs from `first` on. */
static inline __attribute__((always_inline)) void put_tiles(const work *k, const float *sums, int64_t tiles, int pair, const int32_t *to,
                                                            uint16_t *out, int64_t first)
{
    const int64_t pitch = k->g->outputs;
    const line l = line_of(k, first, pitch - first);
    const int64_t wide = pair ? 32 : 16;
    for (int64_t tile = 0; tile < tiles; tile++, to += CONV16_ROWS, sums += CONV16_ROWS * wide) {
        if (is_whole(k->g, to)) {
            uint16_t *at = out + to[0] * pitch + first;
            for (int i = 0; i < CONV16_ROWS; i++, at += pitch)
                put_row(sums + i * wide, pair, &l, at);
            continue;
        }
        for (int i = 0; i < CONV16_ROWS; i++)
            if (to[i] >= 0)
                put_row(sums + i * wide, pair, &l, out + to[i] * pitch + first);
    }
}

/* Which output each computed position of a phase is; returns the number of tiles. */
static int64_t places(const ghl_conv16_gather *g, const ghl_conv16_phase *f, part *p, int64_t rows)
{
    bool joined = g->form >= GHL_CONV16_COLUMNS;
    int64_t line = joined ? f->columns : g->line, computed = (rows - 1) * line + f->columns;
    p->each = (computed + CONV16_ROWS - 1) / CONV16_ROWS;
    int64_t next = joined ? rows * f->columns : p->each * CONV16_ROWS;
    int64_t tiles = joined ? (p->images * next + CONV16_ROWS - 1) / CONV16_ROWS : p->images * p->each;
    for (int64_t m = 0; m < tiles * CONV16_ROWS; m++)
        p->to[m] = -1;
    for (int64_t image = 0; image < p->images; image++)
        for (int64_t row = 0; row < rows; row++) {
            int64_t at = (image * g->out_rows + (p->row + row) * g->out_stride[0] + f->first[0]) * g->out_columns + f->first[1];
            int32_t *to = p->to + image * next + row * line;
            for (int64_t column = 0; column < f->columns; column++)
                to[column] = (int32_t)(at + column * g->out_stride[1]);
        }
    if (joined)
        p->each = tiles;
    return tiles;
}

/* Tiles of positions from `begin` on for one or two tiles of outputs. */
static void multiply_filters(const work *k, const part *p, conv16_product *t, int64_t begin, int64_t end, int64_t filter, int columns)
{
    const ghl_conv16_gather *g = k->g;
    float sums[4 * CONV16_ROWS * CONV16_ROWS] __attribute__((aligned(64)));
    uint16_t *out = k->out + p->image * g->out_rows * g->out_columns * g->outputs;
    t->c_bytes = columns * 64;
    for (int i = 0; i < 4; i++)
        t->c[i] = sums + i / columns * columns * CONV16_ROWS * CONV16_ROWS + i % columns * CONV16_ROWS;
    for (int64_t tile = begin, rows; tile < end; tile += rows) {
        rows = conv16_next(end - tile, 4 / columns);
        for (int64_t i = 0; i < rows; i++)
            t->a[i] = p->copy + (tile + i) / p->each * g->image + (tile + i) % p->each * CONV16_ROWS * g->step;
        GHL_ISA_NAME(ghl_conv16_multiply)(t, (int)rows, columns);
        t->ahead += (int64_t)t->ahead_lines * t->runs * t->blocks * 64;
        if (columns == 2)
            put_tiles(k, sums, rows, 1, p->to + tile * CONV16_ROWS, out, filter * CONV16_ROWS);
        else
            put_tiles(k, sums, rows, 0, p->to + tile * CONV16_ROWS, out, filter * CONV16_ROWS);
    }
}

/* What to bring in while `tiles` of positions meet so many filters: the next part of a source that lies in place, where the weights
 * stay in the cache; for each pair of filters the next pair's weights, where they do not. */
static void look_ahead(const work *k, const part *p, conv16_product *t, int64_t tile, int64_t tiles, int64_t filters)
{
    const ghl_conv16_gather *g = k->g;
    int64_t calls = (tiles + 1) / 2, steps = (filters + 1) / 2 * calls * t->runs * t->blocks;
    t->ahead = (const char *)(t->b[0] + 2 * g->filter);
    t->ahead_lines = g->at_once > 0 ? 0 : (int)((t->depth + calls - 1) / calls);
    if (g->at_once > 0 && g->form == GHL_CONV16_DIRECT) {
        t->ahead = (const char *)(p->copy + (tile + tiles) * CONV16_ROWS * g->step);
        t->ahead_lines = (int)((tiles * CONV16_ROWS * g->step / 32 + steps - 1) / steps);
    }
}

static void run_part(const work *k, part *p, int64_t begin, int64_t end)
{
    const ghl_conv16_gather *g = k->g;
    for (int i = 0; i < g->phases; i++) {
        const ghl_conv16_phase *f = &g->phase[i];
        int64_t rows = ghl_cpu_min(p->rows, f->rows - p->row), tiles, some;
        if (rows <= 0 || f->columns <= 0)
            continue;
        tiles = places(g, f, p, rows);
        some = g->at_once > 0 ? g->at_once : tiles;
        conv16_begin(f->depth);
        conv16_product t = {.a_bytes = g->step * 2, .a_block = g->slabs > 1 ? g->slab : f->depth, .run = g->run + f->run, .runs = f->runs,
                            .blocks = f->blocks, .depth = f->depth};
        for (int64_t tile = 0; tile < tiles; tile += some)
            for (int64_t filter = begin; filter < end; filter += 2) {
                t.b[0] = k->weights + filter * g->filter + f->weights_at;
                t.b[1] = t.b[0] + g->filter;
                if (f->runs > 0 && (g->at_once == 0 || filter == begin))
                    look_ahead(k, p, &t, tile, ghl_cpu_min(tiles - tile, some), end - begin);
                multiply_filters(k, p, &t, tile, ghl_cpu_min(tiles, tile + some), filter, end - filter > 1 ? 2 : 1);
            }
    }
}

static void gather(const ghl_conv16 *plan, const work *k, char *scratch)
{
    const ghl_conv16_gather *g = k->g;
    int64_t blocks = (g->images + g->group - 1) / g->group * g->bands, pairs = (g->filters + 1) / 2;
    int64_t all_rows = (g->out_rows + g->out_stride[0] - 1) / g->out_stride[0];
#pragma omp parallel
    {
        char *own = scratch + (size_t)omp_get_thread_num() * plan->own_bytes;
        int64_t copied = -1;
        part p;
#pragma omp for schedule(dynamic, 1)
        for (int64_t task = 0; task < blocks * g->parts; task++) {
            int64_t block = task / g->parts, cut = task % g->parts;
            if (block != copied) {
                p.image = block / g->bands * g->group;
                p.images = ghl_cpu_min(g->group, g->images - p.image);
                p.row = block % g->bands * g->band;
                p.rows = ghl_cpu_min(g->band, all_rows - p.row);
                p.to = (int32_t *)own;
                p.copy = (uint16_t *)(own + plan->own_bytes - g->copy_bytes);
                if (g->form == GHL_CONV16_DIRECT)
                    p.copy = (uint16_t *)(k->source + p.row * g->sources);
                copy_part(k, &p);
                copied = block;
            }
            run_part(k, &p, ghl_cpu_part(pairs, g->parts, cut) * 2, ghl_cpu_min(ghl_cpu_part(pairs, g->parts, cut + 1) * 2, g->filters));
        }
        conv16_end();
    }
}

void GHL_ISA_NAME(ghl_conv16_forward)(const void *plan, const uint16_t *x, const void *w, const ghl_conv_tail *tail, uint16_t *y,
                                      void *scratch)
{
    const work k = {&((const ghl_conv16 *)plan)->gather, x, w, tail->bias, tail->factor, y};
    gather(plan, &k, scratch);
}

void GHL_ISA_NAME(ghl_conv16_backward_data)(const void *plan, const uint16_t *e, const void *w, uint16_t *dx, void *scratch)
{
    GHL_ISA_NAME(ghl_conv16_forward)(plan, e, w, &(ghl_conv_tail){0}, dx, scratch);
}

#endif
