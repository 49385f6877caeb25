/* SPDX-License-Identifier: Apache-2.0
 *
 * isa_softmax.c - the response of GHL's and SoftHebb's units: r = softmax over channels of t u, a row (a column of the product, in the
 * rules' words) at a time. Exponentials wait in f32 until their sum is known, so that bf16 is rounded once. NaN passes the maximum by and
 * meets it in the sum.
 *
 * The maximum is subtracted so that nothing overflows, and no other digit depends on it. With AVX-512 it is left out: where a row's sum of
 * exp(t u) comes out neither very large nor very small, which a comparison tells, it is right, and one pass is saved; else, as where
 * something is not finite, the row is done again with its maximum. Convolutions of few channels have many short rows: sixteen are summed
 * together by a tree of joins that leaves the sum of row i in lane i, two shuffles a row in the place of eight.
 */
#include <math.h>
#include <string.h>

#include "device/cpu/isa_half.h"
#include "device/cpu/isa_math.h"

#if defined(__AVX512F__)

/* WIDEST: channels of rows that are done together: their exponentials stay in the first cache. AHEAD_BYTES: from what is done to what is
 * asked for; the processor's own look-ahead ends with a page. */
enum { ROWS = 16, WIDEST = 128, AHEAD_BYTES = 4096 };

/* 2^y = 2^floor(y) p(f), f = y - floor(y), p the polynomial of least relative error: below 8e-5, a fiftieth of what bf16 shows, or
 * 1e-7. */
static GHL_CPU_BODY __m512 power_of_two(__m512 y, int half)
{
    const __m512 f = _mm512_reduce_ps(y, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC); /* 0 for infinities */
    __m512 p = _mm512_set1_ps(half ? 0.07802459f : 0.00187758f);
    if (!half) {
        p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(0.00898934f));
        p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(0.05582632f));
    }
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(half ? 0.22606737f : 0.24015361f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(half ? 0.6958333f : 0.6931531f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(half ? 0.9999253f : 0.99999994f));
    return _mm512_scalef_ps(p, y);
}

/* Lanes of a and b by halves of their groups: groups of `width` lanes become pairs of groups of width / 2, the first half of each from
 * `low`, the second from `high`; joined, the partial results of a's rows and then of b's. */
#define GHL_HALVES(width, second)                                                                                                     \
    _mm512_setr_epi32(GHL_HALF(0, width, second), GHL_HALF(1, width, second), GHL_HALF(2, width, second), GHL_HALF(3, width, second), \
                      GHL_HALF(4, width, second), GHL_HALF(5, width, second), GHL_HALF(6, width, second), GHL_HALF(7, width, second), \
                      GHL_HALF(8, width, second), GHL_HALF(9, width, second), GHL_HALF(10, width, second),                           \
                      GHL_HALF(11, width, second), GHL_HALF(12, width, second), GHL_HALF(13, width, second),                         \
                      GHL_HALF(14, width, second), GHL_HALF(15, width, second))
#define GHL_HALF(i, width, second) ((i) / ((width) / 2) * (width) + (i) % ((width) / 2) + (second) * ((width) / 2))

static GHL_CPU_BODY __m512 join(__m512 a, __m512 b, __m512i low, __m512i high)
{
    return _mm512_add_ps(_mm512_permutex2var_ps(a, low, b), _mm512_permutex2var_ps(a, high, b));
}

/* v[i] -> lane i: the sum of its lanes; or of eight v[i], lane 2i: of the lower half, 2i + 1: of the upper. v is used up. */
static GHL_CPU_BODY __m512 sums_of(__m512 v[ROWS], int halves)
{
    const __m512i low[4] = {GHL_HALVES(16, 0), GHL_HALVES(8, 0), GHL_HALVES(4, 0), GHL_HALVES(2, 0)};
    const __m512i high[4] = {GHL_HALVES(16, 1), GHL_HALVES(8, 1), GHL_HALVES(4, 1), GHL_HALVES(2, 1)};
#pragma GCC unroll 4
    for (int level = halves ? 1 : 0; level < 4; level++)
#pragma GCC unroll 8
        for (int i = 0; i < 8; i++) /* a bound that is a constant: unrolled without optimisation too */
            if (i < 8 >> level)
                v[i] = join(v[2 * i], v[2 * i + 1], low[level], high[level]);
    return v[0];
}

/* Elements [i, i + 16), those that are there, in order. */
static GHL_CPU_BODY __m512 load_vector(const void *u, int64_t i, __mmask16 there, int half)
{
    const __m512i narrow = half ? _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(there, ghl_at(u, i, 1))) : _mm512_setzero_si512();
    return half ? _mm512_castsi512_ps(_mm512_slli_epi32(narrow, 16)) : _mm512_maskz_loadu_ps(there, (const float *)u + i);
}

static GHL_CPU_BODY void store_vector(void *r, int64_t i, __mmask16 there, __m512 v, int half)
{
    if (half)
        _mm256_mask_storeu_epi16(ghl_at(r, i, 1), there,
                                 _mm512_cvtepi32_epi16(_mm512_srli_epi32((__m512i)ghl_bits_round((ghl_vec)v), 16)));
    else
        _mm512_mask_storeu_ps((float *)r + i, there, v);
}

/* e = 2^(s u) of elements [i, end), a step at a time: units of bf16 (then e is in the order of slots), or vectors. Adds to the sums. */
static GHL_CPU_BODY __m512 exponentials_of(const void *u, __m512 s, int64_t i, int64_t end, int step, float *e, __m512 sum, int half)
{
    for (; i < end; i += step) {
        ghl_vec x[2];
        __builtin_prefetch((const char *)ghl_at(u, i, half) + AHEAD_BYTES);
        if (step == GHL_UNIT)
            ghl_unit_load(ghl_at(u, i, 1), x, 1);
        else
            x[0] = (ghl_vec)load_vector(u, i, 0xFFFF, half);
        for (int k = 0; k < step / GHL_WIDTH; k++) {
            const __m512 power = power_of_two(_mm512_mul_ps((__m512)x[k], s), half);
            _mm512_storeu_ps(e + i + k * GHL_WIDTH, power);
            sum = _mm512_add_ps(sum, power);
        }
    }
    return sum;
}

/* Of n, whole vectors; of bf16 in units, and what is left over is a vector. */
static GHL_CPU_BODY __m512 exponentials(const void *u, __m512 s, int64_t n, float *e, int half)
{
    const int64_t units = half ? n / GHL_UNIT * GHL_UNIT : 0;
    const __m512 sum = exponentials_of(u, s, 0, units, GHL_UNIT, e, _mm512_setzero_ps(), half);
    return exponentials_of(u, s, units, n, GHL_WIDTH, e, sum, half);
}

/* r = e factor, finite: so bf16 is rounded by adding half of its last digit, at half of what ghl_unit_store() costs. */
static GHL_CPU_BODY void scaled(const float *e, __m512 factor, int64_t n, void *r, int half)
{
    const int64_t units = half ? n / GHL_UNIT * GHL_UNIT : 0;
    for (int64_t i = 0; i < units; i += GHL_UNIT) {
        const __m512i up = _mm512_set1_epi32(0x8000), even = (__m512i)_mm512_mul_ps(_mm512_loadu_ps(e + i), factor);
        const __m512i odd = (__m512i)_mm512_mul_ps(_mm512_loadu_ps(e + i + GHL_WIDTH), factor);
        const __m512i low = _mm512_srli_epi32(_mm512_add_epi32(even, up), 16), high = _mm512_add_epi32(odd, up);
        __builtin_prefetch((char *)ghl_at(r, i, 1) + AHEAD_BYTES, 1);
        _mm512_storeu_si512(ghl_at(r, i, 1), _mm512_mask_mov_epi16(low, 0xAAAAAAAA, high));
    }
    for (int64_t i = units; i < n; i += GHL_WIDTH) {
        __builtin_prefetch((char *)ghl_at(r, i, half) + AHEAD_BYTES, 1);
        store_vector(r, i, 0xFFFF, _mm512_mul_ps(_mm512_loadu_ps(e + i), factor), half);
    }
}

/* Lanes whose sum is right: far from overflow, and from numbers so small that digits are lost; in f32 closer still, for the digits that
 * the whole part of the largest exponent takes from its fraction show. NaN is not. */
static GHL_CPU_BODY __mmask16 right(__m512 sum, int half)
{
    const __m512 least = _mm512_set1_ps(half ? 0x1p-40f : 0x1p-4f), most = _mm512_set1_ps(half ? 0x1p60f : 0x1p12f);
    return _mm512_mask_cmp_ps_mask(_mm512_cmp_ps_mask(sum, least, _CMP_GE_OQ), sum, most, _CMP_LE_OQ);
}

/* Sixteen rows of n channels. In bf16 two rows of 16 are a unit, each in half of its registers' lanes. False: nothing is written. */
static GHL_CPU_BODY int rows_together(const void *u, __m512 s, int64_t n, void *r, int half)
{
    float e[ROWS * WIDEST] __attribute__((aligned(64))), factor[ROWS] __attribute__((aligned(64)));
    const int halves = half && n == 16, parts = halves ? ROWS / 2 : ROWS;
    const int64_t each = halves ? 32 : n;
    __m512 v[ROWS];
    for (int i = 0; i < parts; i++)
        v[i] = exponentials(ghl_at(u, i * each, half), s, each, e + i * each, half);
    const __m512 sum = sums_of(v, halves);
    if (right(sum, half) != 0xFFFF)
        return 0;
    const __m512 factors = _mm512_div_ps(_mm512_set1_ps(1.0f), sum);
    __m512i pair = _mm512_setr_epi32(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1);
    _mm512_store_ps(factor, factors);
    for (int i = 0; i < parts; i++) {
        const __m512 own = halves ? _mm512_permutexvar_ps(pair, factors) : _mm512_set1_ps(factor[i]);
        scaled(e + i * each, own, each, ghl_at(r, i * each, half), half);
        pair = _mm512_add_epi32(pair, _mm512_set1_epi32(2));
    }
    return 1;
}

/* The lanes of the channels [i, i + 16) of n. */
static GHL_CPU_BODY __mmask16 present(int64_t n, int64_t i)
{
    return n - i >= 16 ? 0xFFFF : (__mmask16)((1u << (n - i)) - 1);
}

/* -infinity where there is no channel. */
static GHL_CPU_BODY __m512 load_some(const void *u, int64_t i, int64_t n, int half)
{
    return _mm512_mask_mov_ps(_mm512_set1_ps(-INFINITY), present(n, i), load_vector(u, i, present(n, i), half));
}

/* One row of any length, its maximum subtracted: s u - most is rounded once, and what most was rounded by is common to the row. */
static GHL_CPU_BODY void any_row(const void *u, __m512 s, int64_t n, void *r, float *e, int half)
{
    __m512 most = _mm512_set1_ps(-INFINITY), sum = _mm512_setzero_ps();
    for (int64_t i = 0; i < n; i += 16)
        most = _mm512_max_ps(load_some(u, i, n, half), most); /* NaN is dropped */
    most = _mm512_mul_ps(_mm512_set1_ps(_mm512_reduce_max_ps(most)), s);
    for (int64_t i = 0; i < n; i += 16) {
        const __m512 power = _mm512_maskz_mov_ps(present(n, i), power_of_two(_mm512_fmsub_ps(load_some(u, i, n, half), s, most), half));
        _mm512_storeu_ps(e + i, power);
        sum = _mm512_add_ps(sum, power);
    }
    const __m512 factor = _mm512_set1_ps(1.0f / _mm512_reduce_add_ps(sum));
    for (int64_t i = 0; i < n; i += 16)
        store_vector(r, i, present(n, i), _mm512_mul_ps(_mm512_loadu_ps(e + i), factor), half);
}

/* Rows [begin, end) of n channels. */
static GHL_CPU_BODY void some_rows(const ghl_call *call, float *e, int64_t begin, int64_t end, int64_t n, int half)
{
    const __m512 s = _mm512_set1_ps((float)((double)call->attr.softmax.inverse_temperature * 1.4426950408889634));
    const int64_t step = n % 16 == 0 && n <= WIDEST ? ROWS : 1;
    for (int64_t row = begin; row < end; row += step) {
        const void *u = ghl_at(call->in[0].data, row * n, half);
        void *r = ghl_at(call->out[0].data, row * n, half);
        if (step == ROWS && row + ROWS <= end && rows_together(u, s, n, r, half))
            continue;
        if (step == 1 && n % GHL_UNIT == 0) {
            const float sum = _mm512_reduce_add_ps(exponentials(u, s, n, e, half));
            if (right(_mm512_set1_ps(sum), half) != 0) {
                scaled(e, _mm512_set1_ps(1.0f / sum), n, r, half);
                continue;
            }
        }
        for (int64_t i = 0; i < ghl_cpu_min(step, end - row); i++)
            any_row(ghl_at(u, i * n, half), s, n, ghl_at(r, i * n, half), e, half);
    }
}

#else

static GHL_CPU_BODY void any_row(const void *u, int64_t n, float t, void *r, float *exponentials, int half)
{
    float highest = t * ghl_get(u, 0, half), sum = 0;
#pragma omp simd reduction(max : highest)
    for (int64_t i = 0; i < n; i++) {
        float v = t * ghl_get(u, i, half);
        highest = v > highest ? v : highest;
    }
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < n; i++) {
        float e = ghl_exp(t * ghl_get(u, i, half) - highest);
        exponentials[i] = e;
        sum += e;
    }
    float factor = 1.0f / sum;
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        ghl_put(r, i, exponentials[i] * factor, half);
}

static GHL_CPU_BODY void some_rows(const ghl_call *call, float *e, int64_t begin, int64_t end, int64_t n, int half)
{
    const float t = call->attr.softmax.inverse_temperature;
    for (int64_t row = begin; row < end; row++)
        any_row(ghl_at(call->in[0].data, row * n, half), n, t, ghl_at(call->out[0].data, row * n, half), e, half);
}

#endif

enum { SOME = 16 };   /* rows at a time where losers are told from winners */

/* The first of the largest, which is looked for sixteen at a time; n where all are NaN. */
#if defined(__AVX512F__)
static GHL_CPU_BODY int64_t winner_of(const void *u, int64_t n, int half)
{
    __m512 most = _mm512_set1_ps(-INFINITY), more = most;
    for (int64_t k = 0; k < n; k += 32) {
        most = _mm512_max_ps(load_some(u, k, n, half), most); /* NaN is dropped */
        more = _mm512_max_ps(k + 16 < n ? load_some(u, k + 16, n, half) : more, more);
    }
    most = _mm512_set1_ps(_mm512_reduce_max_ps(_mm512_max_ps(most, more)));
    for (int64_t k = 0; k < n; k += 16) {
        const __mmask16 found = _mm512_mask_cmp_ps_mask(present(n, k), load_some(u, k, n, half), most, _CMP_EQ_OQ);
        if (found != 0)
            return k + __builtin_ctz(found);
    }
    return n;
}
#else
static GHL_CPU_BODY int64_t winner_of(const void *u, int64_t n, int half)
{
    float highest = -INFINITY;
#pragma omp simd reduction(max : highest)
    for (int64_t k = 0; k < n; k++) {
        const float v = ghl_get(u, k, half);
        highest = v > highest ? v : highest;
    }
    for (int64_t begin = 0; begin < n; begin += 16) {
        const int64_t end = ghl_cpu_min(begin + 16, n);
        int found = 0;
#pragma omp simd reduction(| : found)
        for (int64_t k = begin; k < end; k++)
            found |= ghl_get(u, k, half) == highest;
        for (int64_t k = begin; found && k < end; k++)
            if (ghl_get(u, k, half) == highest)
                return k;
    }
    return n;
}
#endif

/* What losers get in the place of r: -r or, where the winner gets 1, 0; NaN stays. */
static GHL_CPU_BODY void set_losers(void *r, int64_t n, int64_t winner, int32_t losers, int half)
{
    const float most = winner < n ? ghl_get(r, winner, half) : 0.0f;
    if (losers == GHL_LOSERS_NONE) {
#pragma omp simd
        for (int64_t k = 0; k < n; k++)
            ghl_put(r, k, 0.0f * ghl_get(r, k, half), half);
    } else if (half) {
#pragma omp simd
        for (int64_t k = 0; k < n; k++)
            ((ghl_bf16 *)r)[k] ^= 0x8000; /* the sign */
    } else {
#pragma omp simd
        for (int64_t k = 0; k < n; k++)
            ((float *)r)[k] = -((float *)r)[k];
    }
    if (winner < n)
        ghl_put(r, winner, losers == GHL_LOSERS_NONE && most == most ? 1.0f : most, half);
}

/* The sizes of ResNets are constants. */
static GHL_CPU_BODY void rows_of(const ghl_call *call, float *own, int64_t begin, int64_t end, int half)
{
    const int64_t n = call->in[0].shape.c;
    if (n == 16)
        some_rows(call, own, begin, end, 16, half);
    else if (n == 32)
        some_rows(call, own, begin, end, 32, half);
    else if (n == 64)
        some_rows(call, own, begin, end, 64, half);
    else
        some_rows(call, own, begin, end, n, half);
}

/* Winners are found before r is written, which may lie on u, and losers while r is in the first-level cache. scratch: a row of each
 * thread. */
static GHL_CPU_BODY void softmax_channels_range(const ghl_call *call, void *scratch, int64_t begin, int64_t end, int half)
{
    const int64_t n = call->in[0].shape.c, some = call->attr.softmax.losers ? SOME : end - begin;
    float *own = (float *)scratch + omp_get_thread_num() * ((n + 15) / 16 * 16);
    for (int64_t next; begin < end; begin = next) {
        int64_t winner[SOME];
        next = ghl_cpu_min(begin + some, end);
        for (int64_t row = begin; row < next && call->attr.softmax.losers; row++)
            winner[row - begin] = winner_of(ghl_at(call->in[0].data, row * n, half), n, half);
        rows_of(call, own, begin, next, half);
        for (int64_t row = begin; row < next && call->attr.softmax.losers; row++)
            set_losers(ghl_at(call->out[0].data, row * n, half), n, winner[row - begin], call->attr.softmax.losers, half);
    }
}
GHL_CPU_RANGES(softmax_channels, call->in[0], ghl_shape_elements(call->in[0].shape) / call->in[0].shape.c, 4 * call->in[0].shape.c)
