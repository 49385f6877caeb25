/* SPDX-License-Identifier: Apache-2.0
 *
 * isa_random.c - dropout from counters, and pixels to numbers. The random words are those of ghl_random4 (Philox4x32-10), here many
 * counters side by side in vectors; a test compares the bits. Pixels of a row that is flipped are turned round as bytes, sixteen at a
 * time, before they become numbers.
 */
#include <string.h>

#include "device/cpu/isa_half.h"

/* The key of ghl_random4. */
static uint64_t philox_key(uint64_t seed, uint64_t purpose)
{
    uint64_t x = purpose;
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return seed ^ x ^ (x >> 31);
}

/* What a draw is compared with: words are whole numbers, so that word >= rate 2^32 is word >= its ceiling. */
typedef struct dropping {
    uint64_t key, moment;
    uint32_t limit;
    float factor; /* of what is kept */
} dropping;

#if defined(__AVX512F__)

enum { XOR = 0x96 }; /* of three, as a table */

/* Counters in lanes of 64 bits, of which the products read the lower halves: so what stands in the upper ones need not be cleared. Four
 * vectors at a time, for a round is a chain of seven cycles. */
enum { LANES = 8, VECTORS = 4, DRAWS = LANES * VECTORS };

static GHL_CPU_BODY void philox(uint64_t key, uint64_t a, uint64_t b, __m512i word[4][VECTORS])
{
    const __m512i m0 = _mm512_set1_epi64(0xD2511F53), m1 = _mm512_set1_epi64(0xCD9E8D57);
    uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
#pragma GCC unroll 4
    for (int v = 0; v < VECTORS; v++) {
        word[0][v] = _mm512_add_epi64(_mm512_set1_epi64((int64_t)a + v * LANES), _mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 7));
        word[1][v] = _mm512_srli_epi64(word[0][v], 32);
        word[2][v] = _mm512_set1_epi64((int64_t)b);
        word[3][v] = _mm512_set1_epi64((int64_t)(b >> 32));
    }
    for (int round = 0; round < 10; round++, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u)
#pragma GCC unroll 4
        for (int v = 0; v < VECTORS; v++) {
            const __m512i p0 = _mm512_mul_epu32(word[0][v], m0), p1 = _mm512_mul_epu32(word[2][v], m1);
            const __m512i high0 = _mm512_shuffle_epi32(p0, _MM_PERM_DDBB), high1 = _mm512_shuffle_epi32(p1, _MM_PERM_DDBB);
            word[0][v] = _mm512_ternarylogic_epi64(high1, word[1][v], _mm512_set1_epi64(k0), XOR);
            word[1][v] = p1;
            word[2][v] = _mm512_ternarylogic_epi64(high0, word[3][v], _mm512_set1_epi64(k1), XOR);
            word[3][v] = p0;
        }
}

/* Words a in the even lanes, b in the odd ones. */
static GHL_CPU_BODY __m512i pairs(__m512i a, __m512i b)
{
    return _mm512_mask_shuffle_epi32(a, 0xAAAA, b, _MM_PERM_CCAA);
}

/* A unit, the elements of eight counters. In registers of bf16 the even elements have the words 0 and 2, the odd ones 1 and 3. */
static GHL_CPU_BODY void dropout_unit(const dropping *d, const void *x, void *y, int64_t n, const __m512i word[4], int half)
{
    const __m512i a = pairs(word[0], word[half ? 2 : 1]), b = half ? pairs(word[1], word[3]) : pairs(word[2], word[3]);
    const __m512i low = _mm512_setr_epi64(0, 8, 1, 9, 2, 10, 3, 11), high = _mm512_setr_epi64(4, 12, 5, 13, 6, 14, 7, 15);
    const __m512i words[2] = {half ? a : _mm512_permutex2var_epi64(a, low, b), half ? b : _mm512_permutex2var_epi64(a, high, b)};
    ghl_vec v[2];
    ghl_unit_load_some(x, n, v, half);
    for (int i = 0; i < 2; i++) {
        const __mmask16 kept = _mm512_cmp_epu32_mask(words[i], _mm512_set1_epi32((int32_t)d->limit), _MM_CMPINT_NLT);
        v[i] *= (ghl_vec)_mm512_maskz_mov_ps(kept, _mm512_set1_ps(d->factor));
    }
    ghl_unit_store_some(y, n, v, half);
}

/* Elements [at, at + n), at most 4 DRAWS, `at` a multiple of that. */
static GHL_CPU_BODY void dropout_block(const dropping *d, const void *x, void *y, int64_t at, int64_t n, int half)
{
    __m512i word[4][VECTORS];
    philox(d->key, (uint64_t)at / 4, d->moment, word);
#pragma GCC unroll 4
    for (int v = 0; v < VECTORS; v++) {
        const __m512i own[4] = {word[0][v], word[1][v], word[2][v], word[3][v]};
        if (n > v * GHL_UNIT)
            dropout_unit(d, ghl_at(x, at + v * GHL_UNIT, half), ghl_at(y, at + v * GHL_UNIT, half), n - v * GHL_UNIT, own, half);
    }
}

#else

enum { DRAWS = 64 }; /* counters side by side; four words each */

/* word[i] of the counters a, a + 1, ... */
static void philox(uint64_t key, uint64_t a, uint64_t b, uint32_t word[4][DRAWS])
{
    uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32), b0 = (uint32_t)b, b1 = (uint32_t)(b >> 32);
#pragma omp simd
    for (int i = 0; i < DRAWS; i++) {
        uint64_t counter = a + (uint64_t)i;
        word[0][i] = (uint32_t)counter;
        word[1][i] = (uint32_t)(counter >> 32);
        word[2][i] = b0;
        word[3][i] = b1;
    }
    for (int round = 0; round < 10; round++) {
#pragma omp simd
        for (int i = 0; i < DRAWS; i++) {
            uint64_t p0 = (uint64_t)0xD2511F53u * word[0][i], p1 = (uint64_t)0xCD9E8D57u * word[2][i];
            word[0][i] = (uint32_t)(p1 >> 32) ^ word[1][i] ^ k0;
            word[1][i] = (uint32_t)p1;
            word[2][i] = (uint32_t)(p0 >> 32) ^ word[3][i] ^ k1;
            word[3][i] = (uint32_t)p0;
        }
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
}

/* Elements [at, at + n), at most 4 DRAWS, `at` a multiple of four. */
static GHL_CPU_BODY void dropout_block(const dropping *d, const void *x, void *y, int64_t at, int64_t n, int half)
{
    uint32_t word[4][DRAWS];
    float gain[4 * DRAWS];
    philox(d->key, (uint64_t)at / 4, d->moment, word);
#pragma omp simd
    for (int i = 0; i < DRAWS; i++) {
        gain[4 * i] = word[0][i] >= d->limit ? d->factor : 0.0f;
        gain[4 * i + 1] = word[1][i] >= d->limit ? d->factor : 0.0f;
        gain[4 * i + 2] = word[2][i] >= d->limit ? d->factor : 0.0f;
        gain[4 * i + 3] = word[3][i] >= d->limit ? d->factor : 0.0f;
    }
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        ghl_put(y, at + i, ghl_get(x, at + i, half) * gain[i], half);
}

#endif

static GHL_CPU_BODY void dropout_range(const ghl_call *call, void *scratch, int64_t begin, int64_t end, int half)
{
    const int64_t *clock = call->in[1].data, n = ghl_shape_elements(call->out[0].shape);
    const double rate = (double)call->attr.dropout.rate, threshold = rate * 4294967296.0;
    dropping d = {.key = philox_key(call->attr.seed, GHL_RANDOM_DROPOUT + (uint64_t)call->attr.dropout.node),
                  .moment = (uint64_t)clock[GHL_CLOCK_PHASE] << 56 | (uint64_t)clock[GHL_CLOCK_STEP],
                  .limit = threshold >= 4294967295.0 ? UINT32_MAX : (uint32_t)threshold,
                  .factor = (float)(1.0 / (1.0 - rate))};
    d.limit += (double)d.limit < threshold;
    (void)scratch;
    for (int64_t at = begin * 4 * DRAWS; at < ghl_cpu_min(end * 4 * DRAWS, n); at += 4 * DRAWS)
        dropout_block(&d, call->in[0].data, call->out[0].data, at, ghl_cpu_min(4 * DRAWS, n - at), half);
}
GHL_CPU_RANGES(dropout, call->in[0], (ghl_shape_elements(call->in[0].shape) + 4 * DRAWS - 1) / (4 * DRAWS), 16 * DRAWS)

/* ---- Pixels ---- */

typedef struct augmentation {
    int64_t dy, dx;
    int flip;
} augmentation;

static augmentation draw(const ghl_call *call, int64_t sample)
{
    const int64_t *clock = call->in[2].data, padding = call->attr.input.padding;
    uint64_t moment = (uint64_t)clock[GHL_CLOCK_PHASE] << 32 | (uint64_t)clock[GHL_CLOCK_EPOCH];
    uint32_t word[4];
    augmentation a = {0, 0, 0};
    if (call->attr.input.augment == 0)
        return a;
    ghl_random4(call->attr.seed, GHL_RANDOM_AUGMENT, (uint64_t)sample, moment, word);
    if (call->attr.input.augment & GHL_AUGMENT_CROP) {
        a.dy = (int64_t)(word[0] % (uint64_t)(2 * padding + 1)) - padding;
        a.dx = (int64_t)(word[1] % (uint64_t)(2 * padding + 1)) - padding;
    }
    a.flip = (call->attr.input.augment & GHL_AUGMENT_FLIP) != 0 && (word[2] & 1) != 0;
    return a;
}

/* n neighbouring values; the affine map's factors, and shifts, for the first of them on. */
static GHL_CPU_BODY void show(const uint8_t *pixels, int64_t n, const float *factor, const float *shift, void *x, int64_t at, int half)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        ghl_put(x, at + i, factor[i] * (float)pixels[i] + shift[i], half);
}

enum { LINE = 192, GROUP = 16 }; /* values at a time, where pixels are no larger; bytes that are turned round at a time */
typedef uint8_t group_bytes __attribute__((vector_size(GROUP)));
typedef uint8_t group_loose __attribute__((vector_size(GROUP), aligned(1), may_alias));

/* The affine map, for `pixels` of them side by side. */
typedef struct mapping {
    const float *factor, *shift;
    int64_t pixels, grouped; /* grouped: pixels in a group; 0: larger than that */
    group_bytes turned;      /* where the bytes of a group turned round are found in it */
    float table[2][LINE];
} mapping;

static void mapping_init(mapping *m, const float *affine, int64_t channels)
{
    m->pixels = channels <= LINE ? LINE / channels : 1;
    m->grouped = GROUP / channels;
    m->factor = channels <= LINE ? m->table[0] : affine;
    m->shift = channels <= LINE ? m->table[1] : affine + channels;
    for (int64_t i = 0; channels <= LINE && i < m->pixels * channels; i++) {
        m->table[0][i] = affine[i % channels];
        m->table[1][i] = affine[channels + i % channels];
    }
    for (int64_t i = 0; i < GROUP; i++)
        m->turned[i] = (uint8_t)(i < m->grouped * channels ? (m->grouped - 1 - i / channels) * channels + i % channels : 0);
}

static inline group_bytes reordered(group_bytes group, group_bytes order)
{
#if defined(__clang__) /* it has no shuffle by an order that is not constant */
    group_bytes out;
    for (int64_t i = 0; i < GROUP; i++)
        out[i] = group[order[i]];
    return out;
#else
    return __builtin_shuffle(group, order);
#endif
}

/* line [n,C]: n pixels from `last` on backwards. A group is read to its sixteenth byte, which belongs to the pixel behind it: so one at
 * least goes before, alone. */
static void turn_round(const uint8_t *last, int64_t n, int64_t channels, const mapping *m, uint8_t line[LINE + GROUP])
{
    const int64_t alone = m->grouped > 0 ? (n - 1) % m->grouped + 1 : n;
    for (int64_t i = 0; i < alone; i++)
        for (int64_t c = 0; c < channels; c++)
            line[i * channels + c] = last[c - i * channels];
    for (int64_t i = alone; i < n; i += m->grouped) {
        const group_bytes group = *(const group_loose *)(last - (i + m->grouped - 1) * channels);
        *(group_loose *)(line + i * channels) = reordered(group, m->turned);
    }
}

/* What pixels outside become, places [begin, end) of the row from element `to` on. */
static GHL_CPU_BODY void fill_outside(int64_t begin, int64_t end, int64_t channels, const mapping *m, void *x, int64_t to, int half)
{
    for (int64_t w = begin, n; w < end; w += n) {
        n = ghl_cpu_min(m->pixels, end - w);
        for (int64_t i = 0; i < n * channels; i++)
            ghl_put(x, to + w * channels + i, m->shift[i], half);
    }
}

/* Row h of x, from element `to` on. */
static GHL_CPU_BODY void input_row(const uint8_t *pixels, ghl_shape s, augmentation a, int64_t h, const mapping *m, void *x, int64_t to,
                                   int half)
{
    const int64_t from = h + a.dy, moved = a.flip ? -a.dx : a.dx, last = from >= 0 && from < s.h ? ghl_cpu_min(s.w, s.w - moved) : 0;
    const int64_t begin = ghl_cpu_min(s.w, moved < 0 ? -moved : 0), end = last > begin ? last : begin; /* of what is inside */
    uint8_t line[LINE + GROUP];
    fill_outside(0, begin, s.c, m, x, to, half);
    for (int64_t w = begin, n; w < end; w += n) {
        const uint8_t *some = pixels + (from * s.w + (a.flip ? s.w - 1 - w : w) + a.dx) * s.c;
        n = ghl_cpu_min(m->pixels, end - w);
        if (a.flip && n > 1) {
            turn_round(some, n, s.c, m, line);
            some = line;
        }
        show(some, n * s.c, m->factor, m->shift, x, to + w * s.c, half);
    }
    fill_outside(end, s.w, s.c, m, x, to, half);
}

static GHL_CPU_BODY void input_range(const ghl_call *call, void *scratch, int64_t begin, int64_t end, int half)
{
    const ghl_shape s = call->out[0].shape;
    const int64_t *samples = call->in[1].data, *rows = call->n_in > 4 ? call->in[4].data : NULL, image = s.h * s.w * s.c;
    mapping m;
    (void)scratch;
    mapping_init(&m, call->in[3].data, s.c);
    for (int64_t n = begin; n < end; n++) {
        const augmentation a = draw(call, samples[n]);
        const uint8_t *pixels = (const uint8_t *)call->in[0].data + (rows != NULL ? rows[n] : n) * image;
        for (int64_t h = 0; h < s.h; h++)
            input_row(pixels, s, a, h, &m, call->out[0].data, n * image + h * s.w * s.c, half);
    }
}
GHL_CPU_RANGES(input, call->out[0], call->out[0].shape.n, 2 * ghl_shape_elements(call->out[0].shape) / call->out[0].shape.n)
