/* SPDX-License-Identifier: Apache-2.0
 *
 * isa_amx.c - the table of the convolutions on bf16 tiles, the product they are made of, and the weights' packed form: for 16 outputs,
 * phase by phase, block by block of the runs, pairs of values [depth / 2][16 outputs][2], so that a tile is one load. See amx.h.
 */
#include "device/cpu/isa.h"
#include "device/cpu/isa_amx.h"

#if defined(__AMX_BF16__)

/* ---- Products ---- */

/* For the whole reduction the sums of `rows` times `columns` tiles stay in tiles. Up to four sums leave two tiles for each operand; six
 * leave one, and b is loaded twice. In the last 16 steps the lines of the sums are brought in, a row of each at a time: else the stores
 * would hold up the next product. `many`: there may be more than one run. */
static inline __attribute__((always_inline)) void multiply(const amx_product *t, int rows, int columns, int many)
{
    const uint16_t *a0 = t->a[0], *a1 = t->a[1], *a2 = t->a[2], *a3 = t->a[3];
    const uint16_t *b0 = t->b[0], *b1 = t->b[1], *b2 = t->b[2], *b3 = t->b[3];
    const int64_t a_bytes = t->a_bytes, c_bytes = t->c_bytes, a_block = t->a_block, tile = (int64_t)t->depth * AMX_ROWS;
    const int64_t blocks = t->blocks, late = t->expect ? (blocks > AMX_ROWS ? blocks - AMX_ROWS : 0) : blocks;
    const int n = rows * columns, runs = many ? t->runs : 1, lines = t->ahead_lines;
    const char *ahead = t->ahead;
    int64_t expected = 0;
#define EACH_SUM(f) f(0) f(1) f(2) f(3) f(4) f(5)
#define LOAD_SUM(i)                                                                                                            \
    if (n > i && t->add)                                                                                                       \
        _tile_loadd(i, t->c[i], c_bytes);                                                                                      \
    else if (n > i)                                                                                                            \
        _tile_zero(i);
#define STORE_SUM(i)                                                                                                           \
    if (n > i)                                                                                                                 \
        _tile_stored(i, t->c[i], c_bytes);
#define EXPECT_SUM(i)                                                                                                          \
    if (n > i)                                                                                                                 \
        __builtin_prefetch((const char *)t->c[i] + expected, 1);
#define TIMES(sum, a, a_tile, load_a, b, b_tile, load_b)                                                                       \
    do {                                                                                                                       \
        if (load_a)                                                                                                            \
            _tile_loadd(a_tile, a + at, a_bytes);                                                                              \
        if (load_b)                                                                                                            \
            _tile_loadd(b_tile, b + of_b, 64);                                                                                 \
        _tile_dpbf16ps(sum, a_tile, b_tile);                                                                                   \
    } while (0)
    EACH_SUM(LOAD_SUM)
    int64_t of_b = 0;
    int unbroken = t->unbroken;
    for (int64_t j = 0, block = 0; j < blocks; j++, block += a_block) {
        if (j >= late) {
            EACH_SUM(EXPECT_SUM)
            expected += c_bytes;
        }
        if (!many && j > 0 && --unbroken == 0) {
            unbroken = t->unbroken;
            of_b += t->skip;
        }
        for (int r = 0; r < runs; r++, of_b += tile) {
            const int64_t at = many ? t->run[r].at + block : block;
            for (int i = 0; i < lines; i++, ahead += 64)
                _mm_prefetch(ahead, _MM_HINT_T1);
            if (n == 6) {
                TIMES(0, a0, 6, 1, b0, 7, 1);
                TIMES(1, a0, 6, 0, b1, 7, 1);
                TIMES(2, a0, 6, 0, b2, 7, 1);
                TIMES(3, a1, 6, 1, b0, 7, 1);
                TIMES(4, a1, 6, 0, b1, 7, 1);
                TIMES(5, a1, 6, 0, b2, 7, 1);
                continue;
            }
            TIMES(0, a0, 4, 1, b0, 6, 1);
            if (rows == 2 && columns == 2) {
                TIMES(1, a0, 4, 0, b1, 7, 1);
                TIMES(2, a1, 5, 1, b0, 6, 0);
                TIMES(3, a1, 5, 0, b1, 7, 0);
                continue;
            }
            if (rows > 1)
                TIMES(1, a1, 5, 1, b0, 6, 0);
            if (rows > 2)
                TIMES(2, a2, 4, 1, b0, 6, 0);
            if (rows > 3)
                TIMES(3, a3, 5, 1, b0, 6, 0);
            if (columns > 1)
                TIMES(1, a0, 4, 0, b1, 7, 1);
            if (columns > 2)
                TIMES(2, a0, 4, 0, b2, 6, 1);
            if (columns > 3)
                TIMES(3, a0, 4, 0, b3, 7, 1);
        }
    }
    EACH_SUM(STORE_SUM)
#undef EACH_SUM
#undef LOAD_SUM
#undef STORE_SUM
#undef EXPECT_SUM
#undef TIMES
}

#define SHAPES(X)                                                                                                              \
    X(1, 1, 0) X(2, 1, 0) X(1, 2, 0) X(1, 3, 0) X(1, 4, 0) X(2, 2, 0) X(2, 3, 0)                                               \
    X(1, 1, 1) X(2, 1, 1) X(3, 1, 1) X(4, 1, 1) X(1, 2, 1) X(2, 2, 1)
#define SHAPE(rows, columns, many)                                                                                             \
    static __attribute__((noinline)) void multiply_##rows##x##columns##_##many(const amx_product *t)                           \
    {                                                                                                                          \
        multiply(t, rows, columns, many);                                                                                      \
    }
SHAPES(SHAPE)
#define SHAPE_ROW(rows, columns, many) [many][rows][columns] = multiply_##rows##x##columns##_##many,

void ghl_amx_multiply(const amx_product *t, int rows, int columns)
{
    static void (*const of[2][5][5])(const amx_product *) = {SHAPES(SHAPE_ROW)};
    of[t->run != NULL][rows][columns](t);
}

/* ---- Weights ---- */

/* Where the values of a tile's row come from: value j of the run, channel and tap. */
typedef struct place {
    int64_t channels, j; /* of a tap in the run; the row's first value */
    const ghl_amx_run *run;
    const ghl_amx_phase *phase;
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
static inline int64_t value_at(const ghl_amx_gather *g, const place *p, int64_t j)
{
    int64_t tap = j / p->channels, channel = j % p->channels;
    if (tap >= p->phase->taps || channel >= g->sources)
        return -1;
    return (p->run->tap + tap * p->run->step) * g->tap_step + channel * g->source_step;
}

/* That of a tile's first value, where its values are equally far apart, else -1: they are of one tap, or taps are one behind the other. */
static inline int64_t first_at(const ghl_amx_gather *g, const place *p)
{
    const int64_t tap = p->j / p->channels, channel = p->j % p->channels, depth = p->phase->depth;
    const bool dense = g->sources == p->channels && p->run->step * g->tap_step == g->sources * g->source_step;
    if (channel + depth > g->sources && !(dense && p->j + depth <= p->phase->taps * p->channels))
        return -1;
    return (p->run->tap + tap * p->run->step) * g->tap_step + channel * g->source_step;
}

/* Sources are neighbours in w: a row of pairs for each output, transposed. */
static void pack_forward(const ghl_amx_gather *g, const place *p, const float *w, int64_t outputs, uint16_t *to)
{
    int depth = p->phase->depth;
    const int64_t first = first_at(g, p);
    float row[AMX_DEPTH] __attribute__((aligned(64))) = {0};
    __m512i v[16];
    for (int64_t o = 0; o < AMX_ROWS; o++) {
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
    amx_transpose_pairs(v);
    for (int i = 0; i < depth / 2; i++)
        put(p, to + i * AMX_DEPTH, v[i]);
}

/* Outputs are neighbours in w: two rows of 16 outputs, interleaved. */
static void pack_back(const ghl_amx_gather *g, const place *p, const float *w, int64_t outputs, uint16_t *to)
{
    __mmask16 mask = outputs >= AMX_ROWS ? 0xffff : (__mmask16)((1 << outputs) - 1);
    const int depth = p->phase->depth;
    const int64_t first = first_at(g, p), step = g->source_step;
    const bool even = first >= 0, in_turn = !p->far && p->phase->runs == 1; /* filter by filter, far from each other */
    for (int i = 0; i < depth; i += 2, to += AMX_DEPTH) {
        int64_t a = even ? first + i * step : value_at(g, p, p->j + i), b = even ? a + step : value_at(g, p, p->j + i + 1);
        __m512 low = a < 0 ? _mm512_setzero_ps() : _mm512_maskz_loadu_ps(mask, w + a);
        __m512 high = b < 0 ? _mm512_setzero_ps() : _mm512_maskz_loadu_ps(mask, w + b);
        if (in_turn)
            _mm_prefetch((const char *)(to + 2 * g->filter), _MM_HINT_T0);
        put(p, to, amx_pair((__m256i)_mm512_cvtneps_pbh(low), (__m256i)_mm512_cvtneps_pbh(high)));
    }
}

/* The tile of 16 outputs, a phase, and the number of a block and run in it. */
static void pack_tile(const ghl_amx_gather *g, const ghl_amx_phase *f, int64_t filter, int64_t tile, const float *w, uint16_t *packed)
{
    const place p = {g->channels, tile / f->runs * f->depth, &g->run[f->run + tile % f->runs], f, g->filters * g->filter > FAR};
    const float *from = w + filter * AMX_ROWS * g->output_step;
    uint16_t *to = packed + filter * g->filter + f->weights_at + tile * f->depth * AMX_ROWS;
    if (g->source_step == 1)
        pack_forward(g, &p, from, g->outputs - filter * AMX_ROWS, to);
    else
        pack_back(g, &p, from, g->outputs - filter * AMX_ROWS, to);
}

/* w is read along its rows in either direction. */
void ghl_amx_pack_weights(const void *plan, const float *w, void *w_packed)
{
    const ghl_amx_gather *g = &((const ghl_amx *)plan)->gather;
    for (int i = 0; i < g->phases; i++) {
        const ghl_amx_phase *f = &g->phase[i];
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
void ghl_amx_pack_rows(const void *plan, const float *w, int64_t first, int64_t rows, int64_t begin, int64_t end, void *w_packed)
{
    const ghl_amx_gather *g = &((const ghl_amx *)plan)->gather;
    const ghl_amx_phase *f = &g->phase[0];
    const bool forward = g->source_step == 1;
    const int64_t row = forward ? g->output_step : g->source_step, each = forward ? AMX_DEPTH : AMX_ROWS, runs = forward ? 1 : f->runs;
    const bool in_order = f->runs == 1 && f->depth == AMX_DEPTH && (forward ? f->blocks * f->depth : g->outputs) == row;
    const int64_t all = forward ? (int64_t)f->blocks * f->runs : g->filters, height = forward ? AMX_ROWS : f->depth;
    if (!in_order && end < row)
        return;
    for (int64_t outer = first / height; outer < (first + rows + height - 1) / height; outer++)
        for (int64_t run = 0; run < runs; run++)
            for (int64_t inner = in_order ? begin / each : 0; inner < (in_order ? end / each : all); inner++)
                pack_tile(g, f, forward ? outer : inner, forward ? inner : outer * runs + run, w, w_packed);
    _mm_sfence();
}

void ghl_amx_sgd(const ghl_call *call, int n, const ghl_derived_writing *copies)
{
    enum { ROWS = GHL_AMX_STEP * AMX_ROWS };
    const ghl_sgd step = GHL_ISA_NAME(ghl_sgd_of)(call);
    const float *d = call->in[2].data;
    const int64_t all = call->out[0].shape.n, row = ghl_shape_elements(call->out[0].shape) / all;
#pragma omp parallel for schedule(static) if (all * row > GHL_CPU_SMALL)
    for (int64_t first = 0; first < all; first += ROWS) {
        const int64_t rows = ghl_cpu_min(ROWS, all - first);
        GHL_ISA_NAME(ghl_sgd_step)(&step, d + first * row, first * row, rows * row);
        for (int i = 0; i < n; i++)
            ghl_amx_pack_rows(copies[i].plan, step.w, first, rows, 0, row, copies[i].copy);
    }
}

const ghl_conv16_kernels GHL_ISA_NAME(ghl_cpu_amx) = {
    .forward = ghl_amx_forward,
    .backward_data = ghl_amx_backward_data,
    .backward_weights = ghl_amx_backward_weights,
    .sgd_product = ghl_amx_sgd_product,
    .sgd = ghl_amx_sgd,
    .pack_weights = ghl_amx_pack_weights,
};

#endif
