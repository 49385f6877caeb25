/* SPDX-License-Identifier: Apache-2.0
 *
 * isa_softmax.c - the response of GHL's units: r = softmax over channels of t u, a row (a column of the product, in the rules' words) at a
 * time, the maximum subtracted. Exponentials wait in f32 until their sum is known, so that bf16 is rounded once. NaN passes the maximum
 * by and meets it in the sum.
 *
 * Convolutions of few channels have many short rows. With AVX-512, sixteen rows of 16, 32, 48 or 64 channels are reduced together: a tree
 * of fifteen joins leaves the maximum (or sum) of row i in lane i, two shuffles a row in the place of eight.
 */
#include <math.h>

#include "device/cpu/isa_half.h"
#include "device/cpu/isa_math.h"

#if defined(__AVX512F__)

enum { ROWS = 16, WIDEST = 4 }; /* registers of a short row */

/* exp(x) for x <= 0: 2^n exp(r), |r| <= ln 2 / 2, by a polynomial of degree 6; relative error below 2e-7. Below -104 it is 0. */
static inline __attribute__((always_inline)) __m512 exp_negative(__m512 x)
{
    const __m512 low = _mm512_max_ps(_mm512_set1_ps(-104.0f), x); /* NaN is the second operand, and stays */
    const __m512 n = _mm512_roundscale_ps(_mm512_mul_ps(low, _mm512_set1_ps(1.44269504f)), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    const __m512 r = _mm512_fnmadd_ps(n, _mm512_set1_ps(-2.12194440e-4f), _mm512_fnmadd_ps(n, _mm512_set1_ps(0.693359375f), low));
    __m512 p = _mm512_set1_ps(1.0f / 720.0f);
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f / 120.0f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f / 24.0f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f / 6.0f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.5f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f));
    return _mm512_scalef_ps(p, n);
}

static inline __attribute__((always_inline)) __m512 load(const void *from, int64_t at, int half)
{
    if (!half)
        return _mm512_loadu_ps((const float *)from + at);
    const __m256i narrow = _mm256_loadu_si256((const __m256i *)((const ghl_bf16 *)from + at));
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(narrow), 16));
}

static inline __attribute__((always_inline)) void store(void *to, int64_t at, __m512 v, int half)
{
    if (!half) {
        _mm512_storeu_ps((float *)to + at, v);
        return;
    }
#if defined(__AVX512BF16__)
    const __m256i narrow = (__m256i)_mm512_cvtneps_pbh(v);
#else
    const __m256i narrow = _mm512_cvtepi32_epi16(_mm512_srli_epi32((__m512i)ghl_bits_round((ghl_vec)v), 16));
#endif
    _mm256_storeu_si256((__m256i *)((ghl_bf16 *)to + at), narrow);
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

static inline __attribute__((always_inline)) __m512 join(__m512 a, __m512 b, __m512i low, __m512i high, int sum)
{
    const __m512 first = _mm512_permutex2var_ps(a, low, b), second = _mm512_permutex2var_ps(a, high, b);
    return sum ? _mm512_add_ps(first, second) : _mm512_max_ps(first, second);
}

/* v[i] -> lane i: its lanes' sum, or largest. v is used up. */
static inline __attribute__((always_inline)) __m512 reduce_rows(__m512 v[ROWS], int sum)
{
    const __m512i low[4] = {GHL_HALVES(16, 0), GHL_HALVES(8, 0), GHL_HALVES(4, 0), GHL_HALVES(2, 0)};
    const __m512i high[4] = {GHL_HALVES(16, 1), GHL_HALVES(8, 1), GHL_HALVES(4, 1), GHL_HALVES(2, 1)};
    for (int i = 0; i < 8; i++)
        v[i] = join(v[2 * i], v[2 * i + 1], low[0], high[0], sum);
    for (int i = 0; i < 4; i++)
        v[i] = join(v[2 * i], v[2 * i + 1], low[1], high[1], sum);
    for (int i = 0; i < 2; i++)
        v[i] = join(v[2 * i], v[2 * i + 1], low[2], high[2], sum);
    return join(v[0], v[1], low[3], high[3], sum);
}

/* Sixteen rows of 16 n channels. */
static inline __attribute__((always_inline)) void short_rows(const void *u, float t, void *r, int n, int half)
{
    float exponentials[ROWS * WIDEST * 16] __attribute__((aligned(64))), factor[ROWS] __attribute__((aligned(64)));
    const __m512 scale = _mm512_set1_ps(t);
    __m512 rows[ROWS];
#pragma GCC unroll 16
    for (int i = 0; i < ROWS; i++) {
        rows[i] = _mm512_mul_ps(scale, load(u, i * 16 * n, half));
        for (int k = 1; k < n; k++)
            rows[i] = _mm512_max_ps(rows[i], _mm512_mul_ps(scale, load(u, (i * n + k) * 16, half)));
    }
    _mm512_store_ps(factor, reduce_rows(rows, 0));
#pragma GCC unroll 16
    for (int i = 0; i < ROWS; i++) {
        const __m512 highest = _mm512_set1_ps(factor[i]);
        rows[i] = _mm512_setzero_ps();
        for (int k = 0; k < n; k++) {
            const __m512 e = exp_negative(_mm512_sub_ps(_mm512_mul_ps(scale, load(u, (i * n + k) * 16, half)), highest));
            _mm512_store_ps(exponentials + (i * n + k) * 16, e);
            rows[i] = _mm512_add_ps(rows[i], e);
        }
    }
    _mm512_store_ps(factor, _mm512_div_ps(_mm512_set1_ps(1.0f), reduce_rows(rows, 1)));
    for (int i = 0; i < ROWS; i++)
        for (int k = 0; k < n; k++)
            store(r, (i * n + k) * 16, _mm512_mul_ps(_mm512_load_ps(exponentials + (i * n + k) * 16), _mm512_set1_ps(factor[i])), half);
}

static inline __attribute__((always_inline)) float largest_lane(__m512 v)
{
    return _mm512_reduce_max_ps(v);
}

/* One row of any length; what is over a whole register goes through masks. */
static GHL_CPU_BODY void long_row(const void *u, int64_t n, float t, void *r, float *exponentials, int half)
{
    const __m512 scale = _mm512_set1_ps(t);
    const int64_t whole = n / 16 * 16;
    __m512 most = _mm512_set1_ps(-INFINITY), sums = _mm512_setzero_ps();
    for (int64_t i = 0; i < whole; i += 16)
        most = _mm512_max_ps(_mm512_mul_ps(scale, load(u, i, half)), most); /* NaN is dropped */
    float highest = largest_lane(most), sum;
    for (int64_t i = whole; i < n; i++) {
        const float v = t * ghl_get(u, i, half);
        highest = v > highest ? v : highest;
    }
    const __m512 shift = _mm512_set1_ps(highest);
    for (int64_t i = 0; i < whole; i += 16) {
        const __m512 e = exp_negative(_mm512_sub_ps(_mm512_mul_ps(scale, load(u, i, half)), shift));
        _mm512_storeu_ps(exponentials + i, e);
        sums = _mm512_add_ps(sums, e);
    }
    sum = _mm512_reduce_add_ps(sums);
    for (int64_t i = whole; i < n; i++)
        sum += exponentials[i] = ghl_exp(t * ghl_get(u, i, half) - highest);
    const float factor = 1.0f / sum;
    for (int64_t i = 0; i < whole; i += 16)
        store(r, i, _mm512_mul_ps(_mm512_loadu_ps(exponentials + i), _mm512_set1_ps(factor)), half);
    for (int64_t i = whole; i < n; i++)
        ghl_put(r, i, exponentials[i] * factor, half);
}

/* Rows [begin, end) of 16 n channels; those that are no sixteen, one by one. */
static GHL_CPU_BODY void some_rows(const ghl_call *call, float *own, int64_t begin, int64_t end, int n, int half)
{
    const void *u = call->in[0].data;
    void *r = call->out[0].data;
    const float t = call->attr.softmax.inverse_temperature;
    int64_t row = begin;
    for (; row + ROWS <= end; row += ROWS)
        short_rows(ghl_at(u, row * 16 * n, half), t, ghl_at(r, row * 16 * n, half), n, half);
    for (; row < end; row++)
        long_row(ghl_at(u, row * 16 * n, half), 16 * n, t, ghl_at(r, row * 16 * n, half), own, half);
}

#else

static GHL_CPU_BODY void long_row(const void *u, int64_t n, float t, void *r, float *exponentials, int half)
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

#endif

/* scratch: a row of each thread. */
static GHL_CPU_BODY void softmax_channels_range(const ghl_call *call, void *scratch, int64_t begin, int64_t end, int half)
{
    const int64_t n = call->in[0].shape.c;
    float *own = (float *)scratch + omp_get_thread_num() * ((n + 15) / 16 * 16);
#if defined(__AVX512F__)
    if (n == 16)
        some_rows(call, own, begin, end, 1, half);
    else if (n == 32)
        some_rows(call, own, begin, end, 2, half);
    else if (n == 64)
        some_rows(call, own, begin, end, 4, half);
    else
#endif
        for (int64_t row = begin; row < end; row++)
            long_row(ghl_at(call->in[0].data, row * n, half), n, call->attr.softmax.inverse_temperature,
                     ghl_at(call->out[0].data, row * n, half), own, half);
}
GHL_CPU_RANGES(softmax_channels, call->in[0], ghl_shape_elements(call->in[0].shape) / call->in[0].shape.c, 4 * call->in[0].shape.c)
