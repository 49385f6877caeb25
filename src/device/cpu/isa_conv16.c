/* SPDX-License-Identifier: Apache-2.0
 *
 * isa_conv16.c - the table of the convolutions on bf16 tiles, and the weights' packed form: for 16 outputs, phase by phase, block by
 * block of the runs, pairs of values [depth / 2][16 outputs][2], so that a tile is one load. See conv16.h.
 */
#include "device/cpu/isa.h"
#include "device/cpu/isa_conv16.h"

#if defined(__AVX512BF16__)

/* ---- Weights ---- */

/* Where the values of a tile's row come from: value j of the run, channel and tap. */
typedef struct place {
    int64_t channels, j; /* of a tap in the run; the row's first value */
    const ghl_conv16_run *run;
    const ghl_conv16_phase *phase;
    int far; /* the copy is too large to be in a cache when it is read: stores go around them, and read nothing in */
} place;

enum { FAR = 8 << 20 /* elements */ };

static inline void put(const place *p, uint16_t *to, __m512i v)
{
    if (p->far)
        _mm512_stream_si512((void *)to, v);
    else
        _mm512_store_si512(to, v);
}

/* The offset in w of value j of the run, or -1: a zero. */
static inline int64_t value_at(const ghl_conv16_gather *g, const place *p, int64_t j)
{
    int64_t tap = j / p->channels, channel = j % p->channels;
    if (tap >= p->phase->taps || channel >= g->sources)
        return -1;
    return (p->run->tap + tap * p->run->step) * g->tap_step + channel * g->source_step;
}

/* That of a tile's first value, where its values are equally far apart, else -1: they are of one tap, or taps are one behind the other. */
static inline int64_t first_at(const ghl_conv16_gather *g, const place *p)
{
    const int64_t tap = p->j / p->channels, channel = p->j % p->channels, depth = p->phase->depth;
    const bool dense = g->sources == p->channels && p->run->step * g->tap_step == g->sources * g->source_step;
    if (channel + depth > g->sources && !(dense && p->j + depth <= p->phase->taps * p->channels))
        return -1;
    return (p->run->tap + tap * p->run->step) * g->tap_step + channel * g->source_step;
}

/* Sources are neighbours in w: a row of pairs for each output, transposed. */
static void pack_forward(const ghl_conv16_gather *g, const place *p, const float *w, int64_t outputs, uint16_t *to)
{
    int depth = p->phase->depth;
    const int64_t first = first_at(g, p);
    float row[CONV16_DEPTH] __attribute__((aligned(64))) = {0};
    __m512i v[16];
    for (int64_t o = 0; o < CONV16_ROWS; o++) {
        const float *from = w + o * g->output_step;
        if (o >= outputs)
            v[o] = _mm512_setzero_si512();
        else if (first >= 0) {
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
    conv16_transpose_pairs(v);
    for (int i = 0; i < depth / 2; i++)
        put(p, to + i * CONV16_DEPTH, v[i]);
}

/* Outputs are neighbours in w: two rows of 16 outputs, interleaved. */
static void pack_back(const ghl_conv16_gather *g, const place *p, const float *w, int64_t outputs, uint16_t *to)
{
    __mmask16 mask = outputs >= CONV16_ROWS ? 0xffff : (__mmask16)((1 << outputs) - 1);
    const int depth = p->phase->depth;
    const int64_t first = first_at(g, p), step = g->source_step;
    const bool even = first >= 0, in_turn = !p->far && p->phase->runs == 1; /* filter by filter, far from each other */
    for (int i = 0; i < depth; i += 2, to += CONV16_DEPTH) {
        int64_t a = even ? first + i * step : value_at(g, p, p->j + i), b = even ? a + step : value_at(g, p, p->j + i + 1);
        __m512 low = a < 0 ? _mm512_setzero_ps() : _mm512_maskz_loadu_ps(mask, w + a);
        __m512 high = b < 0 ? _mm512_setzero_ps() : _mm512_maskz_loadu_ps(mask, w + b);
        if (in_turn)
            _mm_prefetch((const char *)(to + 2 * g->filter), _MM_HINT_T0);
        put(p, to, conv16_pair((__m256i)_mm512_cvtneps_pbh(low), (__m256i)_mm512_cvtneps_pbh(high)));
    }
}

/* The tile of 16 outputs, a phase, and the number of a block and run in it. */
static void pack_tile(const ghl_conv16_gather *g, const ghl_conv16_phase *f, int64_t filter, int64_t tile, const float *w, uint16_t *packed)
{
    const place p = {g->channels, tile / f->runs * f->depth, &g->run[f->run + tile % f->runs], f, g->filters * g->filter > FAR};
    const float *from = w + filter * CONV16_ROWS * g->output_step;
    uint16_t *to = packed + filter * g->filter + f->weights_at + tile * f->depth * CONV16_ROWS;
    if (g->source_step == 1)
        pack_forward(g, &p, from, g->outputs - filter * CONV16_ROWS, to);
    else
        pack_back(g, &p, from, g->outputs - filter * CONV16_ROWS, to);
}

/* w is read along its rows in either direction. */
void GHL_ISA_NAME(ghl_conv16_pack_weights)(const void *plan, const float *w, void *w_packed)
{
    const ghl_conv16_gather *g = &((const ghl_conv16 *)plan)->gather;
    for (int i = 0; i < g->phases; i++) {
        const ghl_conv16_phase *f = &g->phase[i];
        const int64_t tiles = (int64_t)f->blocks * f->runs;
        const bool forward = g->source_step == 1;
#pragma omp parallel for schedule(static)
        for (int64_t outer = 0; outer < (forward ? g->filters : tiles); outer++) {
            for (int64_t inner = 0; inner < (forward ? tiles : g->filters); inner++)
                pack_tile(g, f, forward ? outer : inner, forward ? inner : outer, w, w_packed);
            _mm_sfence(); /* stores around the caches come before what others see of this thread */
        }
    }
}

/* The calling thread alone. The rows are outputs, or else a block of sources, which has a tile in each run. Where columns do not stand for
 * tiles in order, all are packed with the last. */
void GHL_ISA_NAME(ghl_conv16_pack_rows)(const void *plan, const float *w, int64_t first, int64_t rows, int64_t begin, int64_t end,
                                       void *w_packed)
{
    const ghl_conv16_gather *g = &((const ghl_conv16 *)plan)->gather;
    const ghl_conv16_phase *f = &g->phase[0];
    const bool forward = g->source_step == 1;
    const int64_t row = forward ? g->output_step : g->source_step, each = forward ? CONV16_DEPTH : CONV16_ROWS;
    const int64_t runs = forward ? 1 : f->runs;
    const bool in_order = f->runs == 1 && f->depth == CONV16_DEPTH && (forward ? f->blocks * f->depth : g->outputs) == row;
    const int64_t all = forward ? (int64_t)f->blocks * f->runs : g->filters, height = forward ? CONV16_ROWS : f->depth;
    if (!in_order && end < row)
        return;
    for (int64_t outer = first / height; outer < (first + rows + height - 1) / height; outer++)
        for (int64_t run = 0; run < runs; run++)
            for (int64_t inner = in_order ? begin / each : 0; inner < (in_order ? end / each : all); inner++)
                pack_tile(g, f, forward ? outer : inner, forward ? inner : outer * runs + run, w, w_packed);
    _mm_sfence();
}

void GHL_ISA_NAME(ghl_conv16_sgd)(const ghl_call *call, int n, const ghl_derived_writing *copies)
{
    enum { ROWS = GHL_CONV16_STEP * CONV16_ROWS };
    const ghl_sgd step = GHL_ISA_NAME(ghl_sgd_of)(call);
    const float *d = call->in[2].data;
    const int64_t all = call->out[0].shape.n, row = ghl_shape_elements(call->out[0].shape) / all;
#pragma omp parallel for schedule(static) if (all * row > GHL_CPU_SMALL)
    for (int64_t first = 0; first < all; first += ROWS) {
        const int64_t rows = ghl_cpu_min(ROWS, all - first);
        GHL_ISA_NAME(ghl_sgd_step)(&step, d + first * row, first * row, rows * row);
        for (int i = 0; i < n; i++)
            GHL_ISA_NAME(ghl_conv16_pack_rows)(copies[i].plan, step.w, first, rows, 0, row, copies[i].copy);
    }
}

const ghl_conv16_kernels GHL_ISA_NAME(ghl_cpu_conv16) = {
    .forward = GHL_ISA_NAME(ghl_conv16_forward),
    .backward_data = GHL_ISA_NAME(ghl_conv16_backward_data),
    .backward_weights = GHL_ISA_NAME(ghl_conv16_backward_weights),
    .sgd_product = GHL_ISA_NAME(ghl_conv16_sgd_product),
    .sgd = GHL_ISA_NAME(ghl_conv16_sgd),
    .pack_weights = GHL_ISA_NAME(ghl_conv16_pack_weights),
#if defined(__AMX_BF16__)
    .cost = {.tile = 16},
#else
    .cost = {.pair = 16},
#endif
};

#endif
