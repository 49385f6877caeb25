/* SPDX-License-Identifier: Apache-2.0
 *
 * isa_amx.c - the table of the convolutions on bf16 tiles, the product they are made of, and the weights' packed form: for 16 outputs, tile by tile of the phases'
 * runs, pairs of values [depth / 2][16 outputs][2], so that a tile is one load. See amx.h.
 */
#include "device/cpu/isa.h"
#include "device/cpu/isa_amx.h"

#if defined(__AMX_BF16__)

/* ---- Products ---- */

static inline __attribute__((always_inline)) void multiply(const amx_product *t, int rows, int columns)
{
    const uint16_t *b = t->b;
    const int64_t a_bytes = t->a_bytes, c_bytes = t->c_bytes, next = t->b_next, tile = (int64_t)t->depth * AMX_ROWS;
    const int n = rows * columns;
    const char *ahead = t->ahead;
    if (t->add) {
        _tile_loadd(0, t->c[0], c_bytes);
        if (n > 1)
            _tile_loadd(1, t->c[1], c_bytes);
        if (n > 2)
            _tile_loadd(2, t->c[2], c_bytes);
        if (n > 3)
            _tile_loadd(3, t->c[3], c_bytes);
    } else {
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
    }
    for (int r = 0; r < t->runs; r++)
        for (int64_t j = 0, at = t->run[r].at; j < t->blocks; j++, at += t->depth, b += tile) {
            for (int i = 0; i < t->ahead_lines; i++, ahead += 64)
                _mm_prefetch(ahead, _MM_HINT_T1);
            _tile_loadd(6, b, 64);
            _tile_loadd(4, t->a[0] + at, a_bytes);
            _tile_dpbf16ps(0, 4, 6);
            if (columns == 2) {
                _tile_loadd(7, b + next, 64);
                _tile_dpbf16ps(1, 4, 7);
            }
            if (rows > 1) {
                _tile_loadd(5, t->a[1] + at, a_bytes);
                if (columns == 2) {
                    _tile_dpbf16ps(2, 5, 6);
                    _tile_dpbf16ps(3, 5, 7);
                } else
                    _tile_dpbf16ps(1, 5, 6);
            }
            if (rows > 2) {
                _tile_loadd(4, t->a[2] + at, a_bytes);
                _tile_dpbf16ps(2, 4, 6);
            }
            if (rows > 3) {
                _tile_loadd(5, t->a[3] + at, a_bytes);
                _tile_dpbf16ps(3, 5, 6);
            }
        }
    _tile_stored(0, t->c[0], c_bytes);
    if (n > 1)
        _tile_stored(1, t->c[1], c_bytes);
    if (n > 2)
        _tile_stored(2, t->c[2], c_bytes);
    if (n > 3)
        _tile_stored(3, t->c[3], c_bytes);
}

static __attribute__((noinline)) void multiply_1x1(const amx_product *t)
{
    multiply(t, 1, 1);
}

static __attribute__((noinline)) void multiply_2x1(const amx_product *t)
{
    multiply(t, 2, 1);
}

static __attribute__((noinline)) void multiply_3x1(const amx_product *t)
{
    multiply(t, 3, 1);
}

static __attribute__((noinline)) void multiply_4x1(const amx_product *t)
{
    multiply(t, 4, 1);
}

static __attribute__((noinline)) void multiply_1x2(const amx_product *t)
{
    multiply(t, 1, 2);
}

static __attribute__((noinline)) void multiply_2x2(const amx_product *t)
{
    multiply(t, 2, 2);
}

void ghl_amx_multiply(const amx_product *t, int rows, int columns)
{
    static void (*const of[2][4])(const amx_product *) = {{multiply_1x1, multiply_2x1, multiply_3x1, multiply_4x1},
                                                         {multiply_1x2, multiply_2x2, NULL, NULL}};
    of[columns - 1][rows - 1](t);
}

/* ---- Weights ---- */

/* Where the values of a tile's row come from: value j of the run, channel and tap. */
typedef struct place {
    int64_t channels, j; /* of a tap in the run; the row's first value */
    const ghl_amx_run *run;
    const ghl_amx_phase *phase;
} place;

/* The offset in w of value j of the run, or -1: a zero. */
static inline int64_t value_at(const ghl_amx_gather *g, const place *p, int64_t j)
{
    int64_t tap = j / p->channels, channel = j % p->channels;
    if (tap >= p->phase->taps || channel >= g->sources)
        return -1;
    return (p->run->tap + tap * p->run->step) * g->tap_step + channel * g->source_step;
}

/* Sources are neighbours in w: a row of pairs for each output, transposed. */
static void pack_forward(const ghl_amx_gather *g, const place *p, const float *w, int64_t outputs, uint16_t *to)
{
    int depth = p->phase->depth;
    int64_t first = value_at(g, p, p->j), last = value_at(g, p, p->j + depth - 1);
    float row[AMX_DEPTH] __attribute__((aligned(64))) = {0};
    __m512i v[16];
    for (int64_t o = 0; o < AMX_ROWS; o++) {
        const float *from = w + o * g->output_step;
        if (o >= outputs)
            v[o] = _mm512_setzero_si512();
        else if (first >= 0 && last - first == depth - 1) {
            __mmask32 mask = (__mmask32)(((uint64_t)1 << depth) - 1);
            v[o] = (__m512i)_mm512_cvtne2ps_pbh(_mm512_maskz_loadu_ps((__mmask16)(mask >> 16), from + first + 16),
                                                _mm512_maskz_loadu_ps((__mmask16)mask, from + first));
        } else {
            for (int j = 0; j < depth; j++) {
                int64_t at = value_at(g, p, p->j + j);
                row[j] = at < 0 ? 0.0f : from[at];
            }
            v[o] = (__m512i)_mm512_cvtne2ps_pbh(_mm512_load_ps(row + 16), _mm512_load_ps(row));
        }
    }
    amx_transpose_pairs(v);
    for (int i = 0; i < depth / 2; i++)
        _mm512_store_si512(to + i * AMX_DEPTH, v[i]);
}

/* Outputs are neighbours in w: two rows of 16 outputs, interleaved. */
static void pack_back(const ghl_amx_gather *g, const place *p, const float *w, int64_t outputs, uint16_t *to)
{
    __mmask16 mask = outputs >= AMX_ROWS ? 0xffff : (__mmask16)((1 << outputs) - 1);
    for (int i = 0; i < p->phase->depth; i += 2, to += AMX_DEPTH) {
        int64_t a = value_at(g, p, p->j + i), b = value_at(g, p, p->j + i + 1);
        __m512 low = a < 0 ? _mm512_setzero_ps() : _mm512_maskz_loadu_ps(mask, w + a);
        __m512 high = b < 0 ? _mm512_setzero_ps() : _mm512_maskz_loadu_ps(mask, w + b);
        _mm512_store_si512(to, amx_pair((__m256i)_mm512_cvtneps_pbh(low), (__m256i)_mm512_cvtneps_pbh(high)));
    }
}

void ghl_amx_pack_weights(const void *plan, const float *w, void *w_packed)
{
    const ghl_amx_gather *g = &((const ghl_amx *)plan)->gather;
#pragma omp parallel for schedule(static)
    for (int64_t filter = 0; filter < g->filters; filter++) {
        uint16_t *to = (uint16_t *)w_packed + filter * g->filter;
        const float *from = w + filter * AMX_ROWS * g->output_step;
        int64_t outputs = g->outputs - filter * AMX_ROWS;
        for (int i = 0; i < g->phases; i++) {
            const ghl_amx_phase *f = &g->phase[i];
            for (int run = 0; run < f->runs; run++)
                for (int block = 0; block < f->blocks; block++, to += f->depth * AMX_ROWS) {
                    const place p = {g->channels, (int64_t)block * f->depth, &g->run[f->run + run], f};
                    if (g->source_step == 1)
                        pack_forward(g, &p, from, outputs, to);
                    else
                        pack_back(g, &p, from, outputs, to);
                }
        }
    }
}

const ghl_conv16_kernels GHL_ISA_NAME(ghl_cpu_amx) = {
    .forward = ghl_amx_forward,
    .backward_data = ghl_amx_backward_data,
    .backward_weights = ghl_amx_backward_weights,
    .pack_weights = ghl_amx_pack_weights,
};

#endif
