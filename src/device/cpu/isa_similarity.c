/* SPDX-License-Identifier: Apache-2.0
 *
 * isa_similarity.c - the response of SWTA's units, which compare a column and filters by their cosine c = (u - b) / (|w| |x|):
 *
 *     s = ((c + 1) / 2)^2,   z = softmax(t s) over channels,   r = z^2,   and the sums of z and r over all columns
 *
 * With AVX-512 softmax(t s) = 2^y over its sum, with all constants drawn into a table and without the maximum: s is at most 1, and where a
 * sum comes out very large all the same, or is not a number, the row is done the plain way. Four rows are done together, so that the sums
 * over columns are read and written once for all of them, and what comes next is asked for, which memory alone would not have in time.
 */
#include <math.h>
#include <string.h>

#include "device/cpu/isa_half.h"
#include "device/cpu/isa_math.h"

/* Chunks of columns, each with sums of its own; columns summed up in f32; rows done together; elements from what is asked for. */
enum { CHUNKS = 32, FEW = 8, BLOCK = 128, TOGETHER = 4, AHEAD = 1024 };
#define LEAST 1e-18f /* of z: its square is a normal number; others cost a hundred cycles each */

/* What the rows of a chunk have for themselves, and what is common to all; arrays of `pitch`, n rounded up to 16. */
typedef struct similarity {
    const ghl_call *call;
    int64_t n, pitch;
    const float *by, *bias;  /* 1 / |w_k|, b_k */
    const float *table;      /* y = ((u table[0] - table[1]) / |x| + middle)^2; [2][pitch] */
    float middle;
    float *rows;             /* [TOGETHER][pitch] */
    float *some;             /* sums of z and r [2][pitch] over some rows */
    double *all;             /* over all rows of the chunk [2][pitch] */
} similarity;

static float of_column(const similarity *s, int64_t m)
{
    const float norm = ((const float *)s->call->in[1].data)[m];
    return norm != 0.0f ? 1.0f / norm : 1.0f;
}

/* ---- The plain way ---- */

/* s -> 1 for so many of the largest and their equals, else 0; down the values, from the largest. */
static void hard_row(float *s, int64_t n, int64_t winners)
{
    float last = 0.0f;
    int odd = 0;
    for (int64_t k = 0; k < n; k++)
        odd |= s[k] != s[k];
    for (int64_t won = 0; won < winners && !odd;) {
        float next = -1.0f; /* s is a square */
        for (int64_t k = 0; k < n; k++)
            next = (won == 0 || s[k] < last) && s[k] > next ? s[k] : next;
        last = next;
        for (int64_t k = 0; k < n; k++)
            won += s[k] == last;
    }
    for (int64_t k = 0; k < n; k++)
        s[k] = odd ? NAN : (float)(s[k] >= last);
}

static void softmax_row(float *s, int64_t n, float t)
{
    float highest = -INFINITY, sum = 0.0f;
#pragma omp simd reduction(max : highest)
    for (int64_t k = 0; k < n; k++)
        highest = s[k] > highest ? s[k] : highest;
#pragma omp simd reduction(+ : sum)
    for (int64_t k = 0; k < n; k++) {
        s[k] = ghl_exp(t * (s[k] - highest));
        sum += s[k];
    }
    const float factor = 1.0f / sum;
#pragma omp simd
    for (int64_t k = 0; k < n; k++)
        s[k] *= factor;
}

static GHL_CPU_BODY void any_row(const similarity *s, int64_t m, int half)
{
    const int32_t variant = s->call->attr.similarity.variant;
    const void *u = ghl_at(s->call->in[0].data, m * s->n, half);
    void *r = ghl_at(s->call->out[2].data, m * s->n, half);
    const float of_x = of_column(s, m);
    float *row = s->rows, *sum_z = s->some, *sum_r = s->some + s->pitch;
#pragma omp simd
    for (int64_t k = 0; k < s->n; k++) {
        const float root = ((ghl_get(u, k, half) - s->bias[k]) * of_x * s->by[k] + 1.0f) * 0.5f;
        row[k] = root * root;
    }
    for (int64_t k = 0; variant == GHL_SIMILARITY_POWER && k < s->n; k++)
        row[k] = logf(row[k] < 1e-30f ? 1e-30f : row[k]);
    if (variant == GHL_SIMILARITY_HARD)
        hard_row(row, s->n, s->call->attr.similarity.winners);
    else
        softmax_row(row, s->n, s->call->attr.similarity.strength);
#pragma omp simd
    for (int64_t k = 0; k < s->n; k++) {
        const float z = row[k] <= LEAST ? 0.0f : row[k];
        sum_z[k] += z;
        sum_r[k] += z * z;
        ghl_put(r, k, z * z, half);
    }
}

/* ---- With AVX-512 ---- */

#if defined(__AVX512F__)

/* 2^y = 2^floor(y) p(f), f = y - floor(y), p the polynomial of least relative error: below 1e-7. */
static GHL_CPU_BODY __m512 power_of_two(__m512 y)
{
    const __m512 f = _mm512_reduce_ps(y, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC); /* 0 for infinities */
    __m512 p = _mm512_fmadd_ps(_mm512_set1_ps(0.00187758f), f, _mm512_set1_ps(0.00898934f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(0.05582632f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(0.24015361f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(0.6931531f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(0.99999994f));
    return _mm512_scalef_ps(p, y);
}

/* The lanes of the channels [k, k + 16) of n. */
static GHL_CPU_BODY __mmask16 present(int64_t n, int64_t k)
{
    return n - k >= 16 ? 0xFFFF : (__mmask16)((1u << (n - k)) - 1);
}

static GHL_CPU_BODY __m512 load_some(const void *u, int64_t k, __mmask16 there, int half)
{
    if (!half)
        return _mm512_maskz_loadu_ps(there, (const float *)u + k);
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(there, ghl_at(u, k, 1))), 16));
}

static GHL_CPU_BODY void store_some(void *r, int64_t k, __mmask16 there, __m512 v, int half)
{
    if (half)
        _mm256_mask_storeu_epi16(ghl_at(r, k, 1), there, _mm512_cvtepi32_epi16(_mm512_srli_epi32((__m512i)ghl_bits_round((ghl_vec)v), 16)));
    else
        _mm512_mask_storeu_ps((float *)r + k, there, v);
}

/* 2^y of the channels [k, k + 16) of one row. */
static GHL_CPU_BODY __m512 exponential(const void *u, int64_t k, __mmask16 there, const float *table, int64_t pitch, __m512 of_x,
                                       __m512 middle, int half)
{
    const __m512 cosine = _mm512_fmsub_ps(load_some(u, k, there, half), _mm512_loadu_ps(table + k), _mm512_loadu_ps(table + pitch + k));
    const __m512 root = _mm512_fmadd_ps(cosine, of_x, middle);
    return power_of_two(_mm512_mul_ps(root, root));
}

/* 2^y of one row; returns its sum. */
static GHL_CPU_BODY float exponentials(const similarity *s, int64_t m, float *e, int half)
{
    const void *u = ghl_at(s->call->in[0].data, m * s->n, half);
    const __m512 of_x = _mm512_set1_ps(of_column(s, m)), middle = _mm512_set1_ps(s->middle);
    const float *table = s->table;
    const int64_t n = s->n, pitch = s->pitch, whole = n / 16 * 16;
    __m512 sum = _mm512_setzero_ps();
    for (int64_t k = 0; k < whole; k += 16) {
        __builtin_prefetch(ghl_at(u, k + AHEAD, half));
        const __m512 power = exponential(u, k, 0xFFFF, table, pitch, of_x, middle, half);
        _mm512_storeu_ps(e + k, power);
        sum = _mm512_add_ps(sum, power);
    }
    if (whole < n) {
        const __mmask16 there = present(n, whole);
        const __m512 power = _mm512_maskz_mov_ps(there, exponential(u, whole, there, table, pitch, of_x, middle, half));
        _mm512_storeu_ps(e + whole, power);
        sum = _mm512_add_ps(sum, power);
    }
    return _mm512_reduce_add_ps(sum);
}

/* z, and r of the channels [k, k + 16) of `rows` columns; to the sums of both. */
static GHL_CPU_BODY void finish(const float *e, int64_t pitch, const __m512 *factor, int rows, float *some, void *out, int64_t n, int64_t k,
                                __mmask16 there, int half)
{
    __m512 z_sum = _mm512_loadu_ps(some + k), r_sum = _mm512_loadu_ps(some + pitch + k);
#pragma GCC unroll 4
    for (int i = 0; i < rows; i++) {
        const __m512 any = _mm512_mul_ps(_mm512_loadu_ps(e + i * pitch + k), factor[i]);
        const __m512 z = _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(any, _mm512_set1_ps(LEAST), _CMP_GT_OQ), any);
        const __m512 r = _mm512_mul_ps(z, z);
        z_sum = _mm512_add_ps(z_sum, z);
        r_sum = _mm512_add_ps(r_sum, r);
        __builtin_prefetch(ghl_at(out, i * n + k + AHEAD, half), 1);
        store_some(ghl_at(out, i * n, half), k, there, r, half);
    }
    _mm512_storeu_ps(some + k, z_sum);
    _mm512_storeu_ps(some + pitch + k, r_sum);
}

/* `rows` columns from m on; 0 where a sum is not to be trusted: nothing is written. */
static GHL_CPU_BODY int soft_rows(const similarity *s, int64_t m, int rows, int half)
{
    const int64_t n = s->n, pitch = s->pitch, whole = n / 16 * 16;
    void *out = ghl_at(s->call->out[2].data, m * n, half);
    float *e = s->rows, *some = s->some;
    __m512 factor[TOGETHER];
    for (int i = 0; i < rows; i++) {
        const float sum = exponentials(s, m + i, e + i * pitch, half);
        if (!(sum <= 0x1p110f))
            return 0;
        factor[i] = _mm512_set1_ps(1.0f / sum);
    }
    for (int64_t k = 0; k < whole; k += 16)
        finish(e, pitch, factor, rows, some, out, n, k, 0xFFFF, half);
    if (whole < n)
        finish(e, pitch, factor, rows, some, out, n, whole, present(n, whole), half);
    return 1;
}

/* How many columns from m on were done, of [m, end). */
static GHL_CPU_BODY int64_t fast_rows(const similarity *s, int64_t m, int64_t end, int half)
{
    if (s->call->attr.similarity.variant != GHL_SIMILARITY_SOFT)
        return 0;
    if (end - m >= TOGETHER)
        return soft_rows(s, m, TOGETHER, half) ? TOGETHER : 0;
    return soft_rows(s, m, 1, half);
}

#else

static GHL_CPU_BODY int64_t fast_rows(const similarity *s, int64_t m, int64_t end, int half)
{
    (void)s, (void)m, (void)end, (void)half;
    return 0;
}

#endif

/* ---- All columns ---- */

static GHL_CPU_BODY void some_rows(const similarity *s, int64_t begin, int64_t end, int half)
{
    memset(s->some, 0, (size_t)(2 * s->pitch) * sizeof *s->some);
    for (int64_t m = begin, done; m < end; m += done) {
        done = fast_rows(s, m, end, half);
        if (done == 0) {
            any_row(s, m, half);
            done = 1;
        }
    }
    for (int64_t k = 0; k < 2 * s->pitch; k++)
        s->all[k] += (double)s->some[k];
}

static void chunk_rows(const similarity *s, int64_t begin, int64_t end)
{
    for (int64_t m = begin; m < end; m += BLOCK) {
        if (s->call->in[0].dtype == GHL_BF16)
            some_rows(s, m, ghl_cpu_min(m + BLOCK, end), 1);
        else
            some_rows(s, m, ghl_cpu_min(m + BLOCK, end), 0);
    }
}

/* [4][pitch]: what depends on filters alone. Returns the middle. */
static float filter_tables(const ghl_call *call, int64_t pitch, float *by)
{
    const float *norm = call->in[2].data, *bias = call->n_in > 3 ? call->in[3].data : NULL;
    const double root = sqrt((double)call->attr.similarity.strength * 1.4426950408889634);
    memset(by, 0, (size_t)(4 * pitch) * sizeof *by);
    for (int64_t k = 0; k < call->in[0].shape.c; k++) {
        const double inverse = norm[k] != 0.0f ? 1.0 / (double)norm[k] : 1.0, shift = bias != NULL ? (double)bias[k] : 0.0;
        by[k] = (float)inverse;
        by[pitch + k] = (float)shift;
        by[2 * pitch + k] = (float)(0.5 * root * inverse);
        by[3 * pitch + k] = (float)(0.5 * root * inverse * shift);
    }
    return (float)(0.5 * root);
}

/* Chunks are added up in order; few columns are few chunks, whose sums would be more than the columns. */
ghl_status GHL_CPU_OP(similarity_response)(const ghl_call *call, void *scratch)
{
    const int64_t n = call->in[0].shape.c, columns = ghl_shape_elements(call->in[0].shape) / n, pitch = (n + 15) / 16 * 16;
    const int64_t chunks = ghl_cpu_min(columns, ghl_cpu_min(CHUNKS, FEW + columns / BLOCK));
    double *sums = scratch; /* [chunks][2][pitch] */
    float *by = (float *)(sums + 2 * chunks * pitch), *own = by + 4 * pitch;
    similarity common = {.call = call, .n = n, .pitch = pitch, .by = by, .bias = by + pitch, .table = by + 2 * pitch};
    common.middle = filter_tables(call, pitch, by);
    memset(sums, 0, (size_t)(2 * chunks * pitch) * sizeof *sums);
#pragma omp parallel if (columns * n > GHL_CPU_SMALL)
    {
        similarity s = common;
        s.rows = own + omp_get_thread_num() * (TOGETHER + 2) * pitch;
        s.some = s.rows + TOGETHER * pitch;
#pragma omp for schedule(static)
        for (int64_t i = 0; i < chunks; i++) {
            s.all = sums + 2 * i * pitch;
            chunk_rows(&s, ghl_cpu_part(columns, chunks, i), ghl_cpu_part(columns, chunks, i + 1));
        }
#pragma omp for schedule(static)
        for (int64_t k = 0; k < n; k++) {
            double z = 0, r = 0;
            for (int64_t i = 0; i < chunks; i++) {
                z += sums[2 * i * pitch + k];
                r += sums[(2 * i + 1) * pitch + k];
            }
            ((float *)call->out[0].data)[k] = (float)z;
            ((float *)call->out[1].data)[k] = (float)r;
        }
    }
    return GHL_OK;
}
