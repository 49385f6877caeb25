/* SPDX-License-Identifier: Apache-2.0
 *
 * isa_norm.c - batch norm, with the relu and the sums that are fused into it, and sums over positions: passes over a matrix [M, C] that
 * end in, or begin with, one number a channel. M = N H W, xhat = (x - mean) / sqrt(variance + epsilon), z = xhat scale + shift.
 *
 *   statistics   one pass: sums of x - s and (x - s)^2 with s a chunk's first row, in f32 over 64 rows, then in f64; the chunks'
 *                (count, mean, M2) are combined (Chan, Golub & LeVeque 1983).
 *   batch_norm   y = relu(z + addend)
 *   sums         d = e + e2 where relu let something through;   sum d and sum d xhat
 *   backward     dx = scale / sqrt(variance + epsilon) (e - sum_e / M - xhat sum_ex / M)
 *
 * From x, xhat is rounded as if it were stored and read: in f32 a fused program has the bits of the unfused one. Memory is what these
 * passes cost. So each is one body on a unit of elements (isa_half.h) that loads and stores once, and all of them cut the rows alike
 * among the threads: what a pass leaves in a core's cache is what that core reads in the next. Few channels make short rows; then
 * several positions are seen as one row, and columns of one channel are combined.
 */
#include <math.h>
#include <string.h>

#include "device/cpu/isa_half.h"

enum { BLOCK_ROWS = 64, CHUNK_ELEMENTS = 1 << 15, LANES = 256, INPUTS = 4 };
enum { CENTER, SLOPE, GAIN, SHIFT, PUSH, MEAN, TABLES }; /* of columns: xhat = (x - center) slope, z = (x - center) gain + shift */

/* [M, C] seen as `rows` rows of `width` columns, and `tail` elements over. `pitch`: of tables and sums of columns. */
typedef struct matrix_view {
    int64_t rows, width, tail, channels, pitch, chunks;
} matrix_view;

static matrix_view view(ghl_shape s)
{
    int64_t positions = s.n * s.h * s.w, group = 1;
    while (group * s.c % GHL_UNIT != 0 && (group + 1) * s.c <= LANES) /* rows of whole units, where few positions make one */
        group++;
    matrix_view v = {.rows = positions / group, .width = group * s.c, .channels = s.c};
    v.tail = (positions - v.rows * group) * s.c;
    v.pitch = (v.width + GHL_UNIT - 1) / GHL_UNIT * GHL_UNIT;
    v.chunks = ghl_cpu_min((v.rows * v.width + CHUNK_ELEMENTS - 1) / CHUNK_ELEMENTS, ghl_cpu_min(v.rows, GHL_CPU_CHUNKS));
    return v;
}

/* One pass over the matrix. Tables and sums have a number a column, in the order of slots. */
typedef struct pass pass;
typedef void sweep_function(const pass *p, int64_t begin, int64_t end, int64_t column, int64_t last, double *sums);
struct pass {
    matrix_view v;
    int half, relu, pull;       /* relu: the mask is z; pull: backward has sums */
    const void *in[INPUTS];     /* [M, C] each, or NULL */
    void *out;                  /* [M, C] or NULL */
    const float *table[TABLES]; /* [pitch] each */
    int64_t table_column;       /* the tables' first */
    double *sums;               /* [chunks + 1][2][pitch] or NULL */
};

/* GHL_UNIT columns: what a body needs in registers for all rows. Sums are not added up in a pass that has none. */
typedef struct lanes {
    ghl_vec table[TABLES][2], first[2], second[2];
} lanes;
/* Treats the GHL_UNIT elements at `at` of each matrix. */
typedef void unit_body(const pass *p, lanes *l, int64_t at, int half);

/* The n last elements of each row, fewer than a unit: on copies, filled up with zeros. */
static GHL_CPU_BODY void partial_rows(const pass *p, unit_body *body, lanes *l, int64_t begin, int64_t end, int64_t column, int64_t n,
                                      int half)
{
    float copies[INPUTS + 1][GHL_UNIT] = {{0}};
    const size_t bytes = (size_t)n * (half ? 2 : 4);
    pass own = *p;
    for (int i = 0; i < INPUTS; i++)
        own.in[i] = p->in[i] != NULL ? copies[i] : NULL;
    own.out = p->out != NULL ? copies[INPUTS] : NULL;
    for (int64_t row = begin; row < end; row++) {
        const int64_t at = row * p->v.width + column;
        for (int i = 0; i < INPUTS; i++)
            if (p->in[i] != NULL)
                memcpy(copies[i], ghl_at(p->in[i], at, half), bytes);
        body(&own, l, 0, half);
        if (p->out != NULL)
            memcpy(ghl_at(p->out, at, half), copies[INPUTS], bytes);
    }
}

/* Whole units. Even and odd rows are added up apart: an addition does not wait for the last. */
static GHL_CPU_BODY void unit_rows(const pass *p, unit_body *body, lanes *l, int64_t begin, int64_t end, int64_t column, int half)
{
    const int64_t width = p->v.width, last = end * width + column;
    int64_t at = begin * width + column;
    lanes odd = *l;
    for (int k = 0; k < 2; k++)
        odd.first[k] = odd.second[k] = (ghl_vec){0};
    for (; at + width < last; at += 2 * width) {
        body(p, l, at, half);
        body(p, &odd, at + width, half);
    }
    if (at < last)
        body(p, l, at, half);
    for (int k = 0; k < 2; k++) {
        l->first[k] += odd.first[k];
        l->second[k] += odd.second[k];
    }
}

/* Rows [begin, end), n columns from `column`; sums of at most LANES columns in f32. Some rows at a time, so that tables stay in
 * registers for them and what is read lies close together. */
static GHL_CPU_BODY void block(const pass *p, unit_body *body, int64_t begin, int64_t end, int64_t column, int64_t n, float *first,
                               float *second, int half)
{
    const int64_t most = 2048 / p->v.width, step = most < 4 ? 4 : ghl_cpu_min(most, BLOCK_ROWS);
    for (int64_t row = begin; row < end; row += step)
        for (int64_t c = 0; c < n; c += GHL_UNIT) {
            lanes l;
            for (int k = 0; k < 2; k++) {
                for (int t = 0; t < TABLES; t++)
                    l.table[t][k] = GHL_LOAD(p->table[t] + column - p->table_column + c + k * GHL_WIDTH);
                l.first[k] = GHL_LOAD(first + c + k * GHL_WIDTH);
                l.second[k] = GHL_LOAD(second + c + k * GHL_WIDTH);
            }
            if (c + GHL_UNIT <= n)
                unit_rows(p, body, &l, row, ghl_cpu_min(row + step, end), column + c, half);
            else
                partial_rows(p, body, &l, row, ghl_cpu_min(row + step, end), column + c, n - c, half);
            for (int k = 0; k < 2; k++) {
                GHL_STORE(first + c + k * GHL_WIDTH, l.first[k]);
                GHL_STORE(second + c + k * GHL_WIDTH, l.second[k]);
            }
        }
}

/* Rows [begin, end) of a chunk, columns [column, last). */
static GHL_CPU_BODY void sweep(const pass *p, unit_body *body, int64_t begin, int64_t end, int64_t column, int64_t last, double *sums,
                               int half)
{
    const pass own = *p; /* which no store can change */
    float first[LANES], second[LANES];
    for (int64_t row = begin; row < end; row += BLOCK_ROWS)
        for (int64_t c = column; c < last; c += LANES) {
            int64_t n = ghl_cpu_min(LANES, own.v.pitch - c);
            memset(first, 0, (size_t)n * sizeof *first);
            memset(second, 0, (size_t)n * sizeof *second);
            block(&own, body, row, ghl_cpu_min(row + BLOCK_ROWS, end), c, ghl_cpu_min(LANES, last - c), first, second, half);
            for (int64_t i = 0; sums != NULL && i < n; i++) {
                sums[c + i] = (row > begin ? sums[c + i] : 0.0) + (double)first[i];
                sums[own.v.pitch + c + i] = (row > begin ? sums[own.v.pitch + c + i] : 0.0) + (double)second[i];
            }
        }
}

/* name[half]: the call, in which half is a constant. */
#define SWEEPS(name, call)                                                                                         \
    static void name##_f32(const pass *p, int64_t begin, int64_t end, int64_t column, int64_t last, double *sums)  \
    {                                                                                                              \
        enum { half = 0 };                                                                                         \
        call;                                                                                                      \
    }                                                                                                              \
    static void name##_bf16(const pass *p, int64_t begin, int64_t end, int64_t column, int64_t last, double *sums) \
    {                                                                                                              \
        enum { half = 1 };                                                                                         \
        call;                                                                                                      \
    }                                                                                                              \
    static sweep_function *const name[2] = {name##_f32, name##_bf16};

static double *chunk_sums(const pass *p, int64_t chunk)
{
    return p->sums != NULL ? p->sums + chunk * 2 * p->v.pitch : NULL;
}

static int64_t chunk_begin(const pass *p, int64_t chunk)
{
    return ghl_cpu_part(p->v.rows, p->v.chunks, chunk);
}

/* All whole rows: chunks of them, cut into strips of columns where they are few. */
static void run(const pass *p, sweep_function *const function[2])
{
    const matrix_view *v = &p->v;
    const int64_t parts = v->chunks >= 8 ? 1 : (v->width + LANES - 1) / LANES, tasks = v->chunks * parts;
#pragma omp parallel for schedule(static) if (v->rows * v->width > GHL_CPU_SMALL)
    for (int64_t task = 0; task < tasks; task++) {
        int64_t chunk = task / parts, column = task % parts * LANES, begin = chunk_begin(p, chunk), end = chunk_begin(p, chunk + 1);
        int64_t last = parts == 1 ? v->width : ghl_cpu_min(column + LANES, v->width);
        function[p->half](p, begin, end, column, last, chunk_sums(p, chunk));
    }
}

/* What is over, as one chunk more. Returns the number of chunks. */
static int64_t run_tail(const pass *p, sweep_function *const function[2])
{
    if (p->v.tail > 0)
        function[p->half](p, p->v.rows, p->v.rows + 1, 0, p->v.tail, chunk_sums(p, p->v.chunks));
    return p->v.chunks + (p->v.tail > 0);
}

static pass pass_over(const ghl_call *call, void *scratch)
{
    pass p = {.v = view(call->in[0].shape), .half = call->in[0].dtype == GHL_BF16, .relu = call->attr.norm.relu};
    memset(scratch, 0, (size_t)(TABLES * p.v.pitch) * sizeof(float));
    for (int i = 0; i < TABLES; i++)
        p.table[i] = (float *)scratch + i * p.v.pitch;
    return p;
}

static double *sums_at(const pass *p, void *scratch)
{
    return (double *)((float *)scratch + TABLES * p->v.pitch);
}

/* Sums of two numbers a column over the chunks, then over the columns of a channel. */
static void run_sums(pass *p, sweep_function *const function[2], void *scratch)
{
    const int64_t n = 2 * p->v.pitch;
    p->sums = sums_at(p, scratch);
    run(p, function);
    int64_t chunks = run_tail(p, function);
    for (int64_t chunk = 1; chunk < chunks; chunk++)
        for (int64_t i = 0; i < n; i++)
            p->sums[i] += p->sums[chunk * n + i];
}

static double channel_sum(const pass *p, const double *columns, int64_t c)
{
    double sum = 0;
    for (int64_t i = c; i < p->v.width; i += p->v.channels)
        sum += columns[ghl_slot(i, p->half)];
    return sum;
}

/* ---- Statistics ---- */

static GHL_CPU_BODY void statistics_unit(const pass *p, lanes *l, int64_t at, int half)
{
    ghl_vec x[2];
    ghl_unit_load(ghl_at(p->in[0], at, half), x, half);
#pragma GCC unroll 2
    for (int k = 0; k < 2; k++) {
        ghl_vec v = x[k] - l->table[CENTER][k];
        l->first[k] += v;
        l->second[k] += v * v;
    }
}

/* Sums about the chunk's first row become means and squares about them. */
static GHL_CPU_BODY void statistics_chunk(const pass *p, int64_t begin, int64_t end, int64_t column, int64_t last, double *sums, int half)
{
    pass own = *p;
    for (int64_t c = column; c < last; c += LANES) {
        const int64_t n = ghl_cpu_min(LANES, last - c), padded = ghl_cpu_min(LANES, p->v.pitch - c);
        float origin[LANES] = {0};
        for (int64_t i = 0; i < n; i++)
            origin[ghl_slot(i, half)] = ghl_get(p->in[0], begin * p->v.width + c + i, half);
        for (int t = 0; t < TABLES; t++)
            own.table[t] = origin;
        own.table_column = c;
        sweep(&own, statistics_unit, begin, end, c, c + n, sums, half);
        double *first = sums + c, *second = sums + p->v.pitch + c, inverse = 1.0 / (double)(end - begin);
        for (int64_t i = 0; i < padded; i++) {
            double mean = first[i] * inverse, m2 = second[i] - first[i] * mean;
            first[i] = (double)origin[i] + mean;
            second[i] = m2 < 0 ? 0 : m2;
        }
    }
}
SWEEPS(statistics, statistics_chunk(p, begin, end, column, last, sums, half))

/* Means [pitch] of all chunks, weighted with their rows, or their squares about the means in `center`. */
static void combine_chunks(const pass *p, const double *center, double *out)
{
    const int64_t pitch = p->v.pitch;
    memset(out, 0, (size_t)pitch * sizeof *out);
    for (int64_t chunk = 0; chunk < p->v.chunks; chunk++) {
        const double *mean = chunk_sums(p, chunk), *squares = mean + pitch;
        const double rows = (double)(chunk_begin(p, chunk + 1) - chunk_begin(p, chunk));
        for (int64_t i = 0; i < pitch && center == NULL; i++)
            out[i] += rows * mean[i];
        for (int64_t i = 0; i < pitch && center != NULL; i++)
            out[i] += squares[i] + rows * ((mean[i] - center[i]) * (mean[i] - center[i]));
    }
}

ghl_status GHL_CPU_OP(batch_norm_statistics)(const ghl_call *call, void *scratch)
{
    pass p = pass_over(call, scratch);
    const matrix_view *v = &p.v;
    const int64_t over = v->rows * v->width, positions = (over + v->tail) / v->channels;
    float *mean = call->out[0].data, *variance = call->out[1].data;
    p.in[0] = call->in[0].data;
    p.sums = sums_at(&p, scratch);
    double *means = chunk_sums(&p, v->chunks), *squares = means + v->pitch;
    run(&p, statistics);
    combine_chunks(&p, NULL, means);
    for (int64_t c = 0; c < v->channels; c++) {
        double sum = channel_sum(&p, means, c);
        for (int64_t i = c; i < v->tail; i += v->channels)
            sum += (double)ghl_get(p.in[0], over + i, p.half);
        for (int64_t i = c; i < v->width; i += v->channels)
            means[ghl_slot(i, p.half)] = sum / (double)positions;
    }
    combine_chunks(&p, means, squares);
    for (int64_t c = 0; c < v->channels; c++) {
        double m2 = channel_sum(&p, squares, c), center = means[ghl_slot(c, p.half)];
        for (int64_t i = c; i < v->tail; i += v->channels) {
            double delta = (double)ghl_get(p.in[0], over + i, p.half) - center;
            m2 += delta * delta;
        }
        mean[c] = (float)center;
        variance[c] = (float)(m2 / (double)positions);
    }
    return GHL_OK;
}

/* ---- Forward ---- */

static const float *operand(const ghl_call *call, int i)
{
    return i < call->n_in ? call->in[i].data : NULL;
}

static float inverse_deviation(const ghl_call *call, const float *variance, int64_t c)
{
    return (float)(1.0 / sqrt((double)variance[c] + (double)call->attr.norm.epsilon));
}

static void set_column(const pass *p, int table, int64_t column, float v)
{
    ((float *)(uintptr_t)p->table[table])[ghl_slot(column, p->half)] = v;
}

/* x is input number `x` of the call; mean, variance and scale follow it. */
static void set_output(const pass *p, const ghl_call *call, int x, const float *shift)
{
    const float *mean = operand(call, x + 1), *variance = operand(call, x + 2), *scale = operand(call, x + 3);
    for (int64_t i = 0; i < p->v.width; i++) {
        int64_t c = i % p->v.channels;
        set_column(p, CENTER, i, call->attr.norm.from_output ? 0.0f : mean[c]);
        set_column(p, SLOPE, i, call->attr.norm.from_output ? 1.0f : inverse_deviation(call, variance, c));
        set_column(p, GAIN, i, inverse_deviation(call, variance, c) * (scale != NULL ? scale[c] : 1.0f));
        set_column(p, SHIFT, i, shift != NULL ? shift[c] : 0.0f);
    }
}

/* z of x - center */
static GHL_CPU_BODY ghl_vec output(const lanes *l, ghl_vec centred, int k)
{
    return centred * l->table[GAIN][k] + l->table[SHIFT][k];
}

/* x, addend? */
static GHL_CPU_BODY void forward_unit(const pass *p, lanes *l, int64_t at, int half)
{
    ghl_vec x[2], addend[2] = {{0}, {0}};
    ghl_unit_load(ghl_at(p->in[0], at, half), x, half);
    if (p->in[1] != NULL)
        ghl_unit_load(ghl_at(p->in[1], at, half), addend, half);
#pragma GCC unroll 2
    for (int k = 0; k < 2; k++) {
        x[k] = output(l, x[k] - l->table[CENTER][k], k);
        if (p->in[1] != NULL)
            x[k] += addend[k];
        if (p->relu)
            x[k] = ghl_vec_masked(x[k], x[k]);
    }
    ghl_unit_store(ghl_at(p->out, at, half), x, half);
}
SWEEPS(forward, sweep(p, forward_unit, begin, end, column, last, sums, half))

ghl_status GHL_CPU_OP(batch_norm)(const ghl_call *call, void *scratch)
{
    pass p = pass_over(call, scratch);
    p.in[0] = call->in[0].data;
    p.in[1] = operand(call, 5);
    p.out = call->out[0].data;
    set_output(&p, call, 0, operand(call, 4));
    run(&p, forward);
    run_tail(&p, forward);
    return GHL_OK;
}

/* ---- Backward ---- */

/* e, x, e2?, mask? */
static GHL_CPU_BODY void sums_unit(const pass *p, lanes *l, int64_t at, int half)
{
    ghl_vec e[2], x[2], other[2];
    ghl_unit_load(ghl_at(p->in[0], at, half), e, half);
    ghl_unit_load(ghl_at(p->in[1], at, half), x, half);
    if (p->in[2] != NULL) {
        ghl_unit_load(ghl_at(p->in[2], at, half), other, half);
        e[0] += other[0];
        e[1] += other[1];
    }
    if (p->in[3] != NULL) {
        ghl_unit_load(ghl_at(p->in[3], at, half), other, half);
        e[0] = ghl_vec_masked(e[0], other[0]);
        e[1] = ghl_vec_masked(e[1], other[1]);
    }
#pragma GCC unroll 2
    for (int k = 0; k < 2; k++) {
        ghl_vec centred = x[k] - l->table[CENTER][k];
        if (p->relu)
            e[k] = ghl_vec_masked(e[k], output(l, centred, k));
        l->first[k] += e[k];
        l->second[k] += e[k] * (centred * l->table[SLOPE][k]);
    }
    if (p->out != NULL)
        ghl_unit_store(ghl_at(p->out, at, half), e, half);
}
SWEEPS(sums, sweep(p, sums_unit, begin, end, column, last, sums, half))

ghl_status GHL_CPU_OP(batch_norm_sums)(const ghl_call *call, void *scratch)
{
    pass p = pass_over(call, scratch);
    const void *const in[INPUTS] = {call->in[0].data, call->in[1].data, operand(call, 6), operand(call, 7)};
    memcpy(p.in, in, sizeof in);
    p.out = call->n_out > 2 ? call->out[2].data : NULL;
    set_output(&p, call, 1, operand(call, 5));
    run_sums(&p, sums, scratch);
    for (int64_t c = 0; c < p.v.channels; c++) {
        ((float *)call->out[0].data)[c] = (float)channel_sum(&p, p.sums, c);
        ((float *)call->out[1].data)[c] = (float)channel_sum(&p, p.sums + p.v.pitch, c);
    }
    return GHL_OK;
}

/* e, x? */
static GHL_CPU_BODY void backward_unit(const pass *p, lanes *l, int64_t at, int half)
{
    ghl_vec e[2], x[2] = {{0}, {0}};
    ghl_unit_load(ghl_at(p->in[0], at, half), e, half);
    if (p->in[1] != NULL)
        ghl_unit_load(ghl_at(p->in[1], at, half), x, half);
#pragma GCC unroll 2
    for (int k = 0; k < 2; k++) {
        ghl_vec centred = x[k] - l->table[CENTER][k];
        if (p->relu)
            e[k] = ghl_vec_masked(e[k], output(l, centred, k));
        e[k] = e[k] * l->table[GAIN][k];
        if (p->pull)
            e[k] -= centred * l->table[SLOPE][k] * l->table[PUSH][k] + l->table[MEAN][k];
    }
    ghl_unit_store(ghl_at(p->out, at, half), e, half);
}
SWEEPS(backward, sweep(p, backward_unit, begin, end, column, last, sums, half))

ghl_status GHL_CPU_OP(batch_norm_backward)(const ghl_call *call, void *scratch)
{
    pass p = pass_over(call, scratch);
    const float *sum_e = operand(call, 5), *sum_ex = operand(call, 6);
    const double m = (double)(call->in[0].shape.n * call->in[0].shape.h * call->in[0].shape.w);
    p.pull = sum_e != NULL;
    p.in[0] = call->in[0].data;
    p.in[1] = p.pull || p.relu ? call->in[1].data : NULL;
    p.out = call->out[0].data;
    set_output(&p, call, 1, operand(call, 7));
    for (int64_t i = 0; i < p.v.width && p.pull; i++) {
        const int64_t c = i % p.v.channels;
        const double gain = (double)p.table[GAIN][ghl_slot(i, p.half)];
        set_column(&p, PUSH, i, (float)(gain * (double)sum_ex[c] / m));
        set_column(&p, MEAN, i, (float)(gain * (double)sum_e[c] / m));
    }
    run(&p, backward);
    run_tail(&p, backward);
    return GHL_OK;
}

/* ---- Sums over positions ---- */

static GHL_CPU_BODY void total_unit(const pass *p, lanes *l, int64_t at, int half)
{
    ghl_vec e[2];
    ghl_unit_load(ghl_at(p->in[0], at, half), e, half);
    l->first[0] += e[0];
    l->first[1] += e[1];
}
SWEEPS(total, sweep(p, total_unit, begin, end, column, last, sums, half))

ghl_status GHL_CPU_OP(sum_positions)(const ghl_call *call, void *scratch)
{
    pass p = pass_over(call, scratch);
    p.in[0] = call->in[0].data;
    run_sums(&p, total, scratch);
    for (int64_t c = 0; c < p.v.channels; c++)
        ((float *)call->out[0].data)[c] = (float)channel_sum(&p, p.sums, c);
    return GHL_OK;
}
