/* SPDX-License-Identifier: Apache-2.0
 *
 * isa_norm.c - batch norm and sums over positions: passes over a matrix [M, C] that end in, or begin with, one number a channel.
 *
 *   statistics   one pass: sums of x - s and (x - s)^2 with s a chunk's first row, in f32 over 64 rows, then in f64; the chunks'
 *                (count, mean, M2) are combined in order (Chan, Golub & LeVeque 1983).
 *   batch_norm   y = (x - mean) a + shift,           a = scale / sqrt(variance + epsilon)
 *   sums         sum e and sum e xhat,               xhat = (x - mean) / sqrt(variance + epsilon)
 *   backward     dx = a (e - sum_e / M - xhat sum_ex / M)
 *
 * Few channels make short rows; then several positions are seen as one row of `lanes` columns, and columns of one channel are combined.
 */
#include <math.h>
#include <string.h>

#include "device/cpu/isa.h"

enum { BLOCK_ROWS = 64, LANES = 256, SHORT_ROW = 64 };

/* [M, C] seen as `rows` rows of `width` columns, and `tail` elements over. */
typedef struct matrix_view {
    int64_t rows, width, tail, channels;
} matrix_view;

static matrix_view view(ghl_shape s)
{
    int64_t positions = s.n * s.h * s.w, group = s.c >= SHORT_ROW ? 1 : (SHORT_ROW + s.c - 1) / s.c;
    matrix_view v = {.rows = positions / group, .width = group * s.c, .channels = s.c};
    v.tail = (positions - v.rows * group) * s.c;
    return v;
}

static int64_t chunks_of(const matrix_view *v)
{
    int64_t blocks = (v->rows + BLOCK_ROWS - 1) / BLOCK_ROWS;
    return blocks < GHL_CPU_CHUNKS ? blocks : GHL_CPU_CHUNKS;
}

/* Two sums a column over a range of rows; `terms` says of what. */
typedef struct column_sums {
    const float *e, *x;          /* e NULL: statistics */
    const float *center, *slope; /* per column: xhat = (x - center) slope */
    int plain;                   /* sum of e only */
} column_sums;

static void block_statistics(const float *x, int64_t width, int64_t rows, int64_t n, const float *shift, float *first, float *second)
{
    for (int64_t i = 0; i < rows; i++, x += width)
        for (int64_t c = 0; c < n; c++) {
            float v = x[c] - shift[c];
            first[c] += v;
            second[c] += v * v;
        }
}

static void block_products(const column_sums *s, int64_t at, int64_t width, int64_t rows, int64_t n, int64_t column, float *first,
                           float *second)
{
    const float *e = s->e + at;
    if (s->plain) {
        for (int64_t i = 0; i < rows; i++, e += width)
            for (int64_t c = 0; c < n; c++)
                first[c] += e[c];
        return;
    }
    const float *x = s->x + at, *center = s->center + column, *slope = s->slope + column;
    for (int64_t i = 0; i < rows; i++, e += width, x += width)
        for (int64_t c = 0; c < n; c++) {
            first[c] += e[c];
            second[c] += e[c] * ((x[c] - center[c]) * slope[c]);
        }
}

/* Columns [column, column + n), rows [begin, end): sums in f64. */
static void chunk_sums(const matrix_view *v, const column_sums *s, int64_t begin, int64_t end, int64_t column, int64_t n, double *out1,
                       double *out2)
{
    float first[LANES], second[LANES], shift[LANES];
    memset(out1, 0, (size_t)n * sizeof *out1);
    memset(out2, 0, (size_t)n * sizeof *out2);
    if (s->e == NULL)
        memcpy(shift, s->x + begin * v->width + column, (size_t)n * sizeof *shift);
    for (int64_t row = begin; row < end; row += BLOCK_ROWS) {
        int64_t rows = ghl_cpu_min(BLOCK_ROWS, end - row), at = row * v->width + column;
        memset(first, 0, sizeof first);
        memset(second, 0, sizeof second);
        if (s->e == NULL)
            block_statistics(s->x + at, v->width, rows, n, shift, first, second);
        else
            block_products(s, at, v->width, rows, n, column, first, second);
        for (int64_t c = 0; c < n; c++) {
            out1[c] += (double)first[c];
            out2[c] += (double)second[c];
        }
    }
}

/* partial [chunks][2][width] */
static void all_chunks(const matrix_view *v, const column_sums *s, double *partial)
{
    int64_t chunks = chunks_of(v), strips = (v->width + LANES - 1) / LANES, tasks = chunks * strips;
#pragma omp parallel for schedule(static) if (v->rows * v->width > GHL_CPU_SMALL)
    for (int64_t task = 0; task < tasks; task++) {
        int64_t chunk = task / strips, column = task % strips * LANES, n = ghl_cpu_min(LANES, v->width - column);
        double *out = partial + chunk * 2 * v->width + column;
        chunk_sums(v, s, ghl_cpu_part(v->rows, chunks, chunk), ghl_cpu_part(v->rows, chunks, chunk + 1), column, n, out, out + v->width);
    }
}

typedef struct moments {
    double count, mean, m2;
} moments;

static void moments_add(moments *a, double count, double mean, double m2)
{
    double total = a->count + count, delta = mean - a->mean;
    a->m2 += m2 + delta * delta * (a->count * count / total);
    a->mean += delta * (count / total);
    a->count = total;
}

ghl_status GHL_CPU_OP(batch_norm_statistics)(const ghl_call *call, void *scratch)
{
    const float *x = call->in[0].data;
    float *mean = call->out[0].data, *variance = call->out[1].data;
    matrix_view v = view(call->in[0].shape);
    column_sums sums = {.x = x};
    double *partial = scratch;
    int64_t chunks = chunks_of(&v);
    all_chunks(&v, &sums, partial);
    for (int64_t c = 0; c < v.channels; c++) {
        moments m = {0, 0, 0};
        for (int64_t chunk = 0; chunk < chunks; chunk++) {
            int64_t begin = ghl_cpu_part(v.rows, chunks, chunk), end = ghl_cpu_part(v.rows, chunks, chunk + 1);
            double n = (double)(end - begin);
            for (int64_t column = c; column < v.width; column += v.channels) {
                double first = partial[chunk * 2 * v.width + column], second = partial[(chunk * 2 + 1) * v.width + column];
                double m2 = second - first * first / n;
                moments_add(&m, n, (double)x[begin * v.width + column] + first / n, m2 < 0 ? 0 : m2);
            }
        }
        for (int64_t i = c; i < v.tail; i += v.channels)
            moments_add(&m, 1, (double)x[v.rows * v.width + i], 0);
        mean[c] = (float)m.mean;
        variance[c] = (float)(m.m2 / m.count);
    }
    return GHL_OK;
}

/* Adds up what all_chunks left and the tail. */
static void sums_finish(const matrix_view *v, const column_sums *s, const double *partial, float *out1, float *out2)
{
    int64_t chunks = chunks_of(v), end = v->rows * v->width;
    for (int64_t c = 0; c < v->channels; c++) {
        double first = 0, second = 0;
        for (int64_t chunk = 0; chunk < chunks; chunk++)
            for (int64_t column = c; column < v->width; column += v->channels) {
                first += partial[chunk * 2 * v->width + column];
                second += partial[(chunk * 2 + 1) * v->width + column];
            }
        for (int64_t i = c; i < v->tail; i += v->channels) {
            first += (double)s->e[end + i];
            if (!s->plain)
                second += (double)s->e[end + i] * (double)((s->x[end + i] - s->center[i]) * s->slope[i]);
        }
        out1[c] = (float)first;
        if (out2 != NULL)
            out2[c] = (float)second;
    }
}

ghl_status GHL_CPU_OP(sum_positions)(const ghl_call *call, void *scratch)
{
    matrix_view v = view(call->in[0].shape);
    column_sums sums = {.e = call->in[0].data, .plain = 1};
    all_chunks(&v, &sums, scratch);
    sums_finish(&v, &sums, scratch, call->out[0].data, NULL);
    return GHL_OK;
}

/* Per-column factors, repeated where a row holds several positions. */
typedef struct column_factors {
    float *center, *slope, *gain, *offset, *push;
} column_factors;

static column_factors factors_at(void *scratch, const matrix_view *v)
{
    float *f = scratch;
    return (column_factors){f, f + v->width, f + 2 * v->width, f + 3 * v->width, f + 4 * v->width};
}

static float inverse_deviation(const ghl_call *call, const ghl_operand *variance, int64_t c)
{
    return (float)(1.0 / sqrt((double)((const float *)variance->data)[c] + (double)call->attr.norm.epsilon));
}

ghl_status GHL_CPU_OP(batch_norm)(const ghl_call *call, void *scratch)
{
    matrix_view v = view(call->in[0].shape);
    column_factors f = factors_at(scratch, &v);
    const float *x = call->in[0].data, *mean = call->in[1].data;
    const float *scale = call->n_in > 3 ? call->in[3].data : NULL, *shift = call->n_in > 4 ? call->in[4].data : NULL;
    float *y = call->out[0].data;
    for (int64_t i = 0; i < v.width; i++) {
        int64_t c = i % v.channels;
        f.center[i] = mean[c];
        f.slope[i] = inverse_deviation(call, &call->in[2], c) * (scale != NULL ? scale[c] : 1.0f);
        f.offset[i] = shift != NULL ? shift[c] : 0.0f;
    }
#pragma omp parallel for schedule(static) if (v.rows * v.width > GHL_CPU_SMALL)
    for (int64_t row = 0; row < v.rows; row++) {
        const float *in = x + row * v.width;
        float *out = y + row * v.width;
#pragma omp simd
        for (int64_t i = 0; i < v.width; i++)
            out[i] = (in[i] - f.center[i]) * f.slope[i] + f.offset[i];
    }
    for (int64_t i = 0, at = v.rows * v.width; i < v.tail; i++)
        y[at + i] = (x[at + i] - f.center[i]) * f.slope[i] + f.offset[i];
    return GHL_OK;
}

/* xhat = (x - center) slope: from x, or x is xhat. */
static void factors_xhat(const ghl_call *call, const matrix_view *v, const column_factors *f)
{
    const float *mean = call->in[2].data;
    for (int64_t i = 0; i < v->width; i++) {
        int64_t c = i % v->channels;
        f->center[i] = call->attr.norm.from_output ? 0.0f : mean[c];
        f->slope[i] = call->attr.norm.from_output ? 1.0f : inverse_deviation(call, &call->in[3], c);
    }
}

ghl_status GHL_CPU_OP(batch_norm_sums)(const ghl_call *call, void *scratch)
{
    matrix_view v = view(call->in[0].shape);
    column_factors f = factors_at(scratch, &v);
    double *partial = (double *)((float *)scratch + 6 * ((v.width + 15) / 16 * 16));
    factors_xhat(call, &v, &f);
    column_sums sums = {.e = call->in[0].data, .x = call->in[1].data, .center = f.center, .slope = f.slope};
    all_chunks(&v, &sums, partial);
    sums_finish(&v, &sums, partial, call->out[0].data, call->out[1].data);
    return GHL_OK;
}

static void backward_rows(const matrix_view *v, const column_factors *f, const float *e, const float *x, float *out)
{
#pragma omp parallel for schedule(static) if (v->rows * v->width > GHL_CPU_SMALL)
    for (int64_t row = 0; row < v->rows; row++) {
        const float *er = e + row * v->width, *xr = x + row * v->width;
        float *to = out + row * v->width;
#pragma omp simd
        for (int64_t i = 0; i < v->width; i++)
            to[i] = f->gain[i] * (er[i] - f->offset[i] - (xr[i] - f->center[i]) * f->push[i]);
    }
    for (int64_t i = 0, at = v->rows * v->width; i < v->tail; i++)
        out[at + i] = f->gain[i] * (e[at + i] - f->offset[i] - (x[at + i] - f->center[i]) * f->push[i]);
}

ghl_status GHL_CPU_OP(batch_norm_backward)(const ghl_call *call, void *scratch)
{
    matrix_view v = view(call->in[0].shape);
    column_factors f = factors_at(scratch, &v);
    const float *scale = call->n_in > 4 ? call->in[4].data : NULL, *e = call->in[0].data;
    const float *sum_e = call->n_in > 5 ? call->in[5].data : NULL, *sum_ex = call->n_in > 6 ? call->in[6].data : NULL;
    float *out = call->out[0].data, m = (float)(call->in[0].shape.n * call->in[0].shape.h * call->in[0].shape.w);
    factors_xhat(call, &v, &f);
    for (int64_t i = 0; i < v.width; i++) {
        int64_t c = i % v.channels;
        f.gain[i] = inverse_deviation(call, &call->in[3], c) * (scale != NULL ? scale[c] : 1.0f);
        f.offset[i] = sum_e != NULL ? sum_e[c] / m : 0.0f;
        f.push[i] = sum_ex != NULL ? f.slope[i] * (sum_ex[c] / m) : 0.0f;
    }
    if (sum_e != NULL || sum_ex != NULL) {
        backward_rows(&v, &f, e, call->in[1].data, out);
        return GHL_OK;
    }
#pragma omp parallel for schedule(static) if (v.rows * v.width > GHL_CPU_SMALL)
    for (int64_t row = 0; row < v.rows; row++)
#pragma omp simd
        for (int64_t i = 0; i < v.width; i++)
            out[row * v.width + i] = f.gain[i] * e[row * v.width + i];
    for (int64_t i = 0, at = v.rows * v.width; i < v.tail; i++)
        out[at + i] = f.gain[i] * e[at + i];
    return GHL_OK;
}
