/* SPDX-License-Identifier: Apache-2.0
 *
 * isa_norm.c - batch norm, with the relu and the sums that are fused into it, and sums over positions: passes over a matrix [M, C] that
 * end in, or begin with, one number a channel. M = N H W, xhat = (x - mean) / sqrt(variance + epsilon), z = xhat scale + shift.
 *
 *   statistics   one pass: sums of x - s and (x - s)^2 with s a piece's first row, in f32 over 64 rows, then in f64; the pieces'
 *                (count, mean, M2) are combined (Chan, Golub & LeVeque 1983).
 *   batch_norm   y = relu(z + addend)
 *   sums         d = e + e2 where relu let something through;   sum d and sum d xhat
 *   backward     dx = scale / sqrt(variance + epsilon) (e - sum_e / M - xhat sum_ex / M)
 *
 * From x, xhat is rounded as if it were stored and read: in f32 a fused program has the bits of the unfused one. Memory is what these
 * passes cost. So each is one body on a unit of elements (isa_half.h) that loads and stores once, and all of them cut the rows alike
 * among the threads: what a pass leaves in a core's cache is what that core reads in the next. Few channels make short rows; then
 * several positions are seen as one row, and columns of one channel are combined.
 *
 * Sums are those of pieces of some images each, which the shape of an image decides. So an op may be done a few images at a time, whoever
 * does them and whatever is done in between (chain.c): opened, each range of images, closed; and its sums are the same to the last bit.
 */
#include <math.h>
#include <string.h>

#include "device/cpu/isa_half.h"

enum { BLOCK_ROWS = 64, PIECE_ELEMENTS = 2 * GHL_CPU_PIECE, PIECE_ROWS = 256 /* at least */, PIECES = 16 /* of an image at most */ };
enum { NARROW = 256, LANES = 1024, STEP_BYTES = 4096, INPUTS = 4 };
enum { CENTER, SLOPE, GAIN, SHIFT, PUSH, MEAN, TABLES }; /* of columns: xhat = (x - center) slope, z = (x - center) gain + shift */

/* [M, C] seen as `rows` rows of `width` columns, and `tail` elements over. `pitch`: of tables and sums of columns. */
typedef struct matrix_view {
    int64_t rows, width, tail, channels, pitch;
    int64_t images, some, some_rows; /* the rows begin anew with every `some` images */
    int64_t cuts, pieces;            /* into which these, and all rows, are cut */
} matrix_view;

static int64_t over(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

static matrix_view view(ghl_shape s)
{
    int64_t image = s.h * s.w, positions = s.n * image, group = 1, some = 1;
    while (group * s.c % GHL_UNIT != 0 && (group + 1) * s.c <= NARROW) /* rows of whole units, where few positions make one */
        group++;
    while (some * image % group != 0)
        some++;
    const int64_t least = PIECE_ROWS * group * s.c > PIECE_ELEMENTS ? PIECE_ROWS * group * s.c : PIECE_ELEMENTS;
    if (some * image * s.c < least)
        some *= least / (some * image * s.c);
    matrix_view v = {.rows = positions / group, .width = group * s.c, .channels = s.c, .images = s.n, .some = some};
    v.tail = (positions - v.rows * group) * s.c;
    v.pitch = over(v.width, GHL_UNIT) * GHL_UNIT;
    v.some_rows = some * image / group;
    v.cuts = ghl_cpu_min(over(v.some_rows * v.width, least), ghl_cpu_min(v.some_rows, PIECES));
    v.pieces = v.rows / v.some_rows * v.cuts + over(v.rows % v.some_rows * v.cuts, v.some_rows);
    return v;
}

/* The first row of a piece. The last images may be fewer, and cut into fewer. */
static int64_t piece_begin(const matrix_view *v, int64_t piece)
{
    const int64_t first = piece / v->cuts * v->some_rows, rows = ghl_cpu_min(v->some_rows, v->rows - first);
    return piece >= v->pieces ? v->rows : first + ghl_cpu_part(rows, over(rows * v->cuts, v->some_rows), piece % v->cuts);
}

/* Pieces of images [0, image): `some` times a whole number, or all. */
static int64_t pieces_until(const matrix_view *v, int64_t image)
{
    return image == v->images ? v->pieces : image / v->some * v->cuts;
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
    double *sums;               /* [pieces + 1][2][pitch] or NULL */
};

/* GHL_UNIT columns: what a body needs in registers for all rows. Sums are not added up in a pass that has none. */
typedef struct lanes {
    ghl_vec table[TABLES][2], first[2], second[2];
    int64_t ahead; /* elements from one that is loaded or stored to one that is asked for */
} lanes;
/* Treats the GHL_UNIT elements at `at` of each matrix. */
typedef void unit_body(const pass *p, lanes *l, int64_t at, int half);

/* Asks for what the body comes to next. The processor's own look-ahead ends with a page and does half of what a core can take. */
static GHL_CPU_BODY void fetch(const void *matrix, const lanes *l, int64_t at, int half, int to_write)
{
    for (int64_t line = 0; line < GHL_UNIT * (half ? 2 : 4); line += 64)
        if (to_write)
            __builtin_prefetch((const char *)ghl_at(matrix, at + l->ahead, half) + line, 1);
        else
            __builtin_prefetch((const char *)ghl_at(matrix, at + l->ahead, half) + line);
}

static GHL_CPU_BODY void load(const pass *p, const lanes *l, int i, int64_t at, ghl_vec out[2], int half)
{
    fetch(p->in[i], l, at, half, 0);
    ghl_unit_load(ghl_at(p->in[i], at, half), out, half);
}

static GHL_CPU_BODY void store(const pass *p, const lanes *l, int64_t at, const ghl_vec v[2], int half)
{
    fetch(p->out, l, at, half, 1);
    ghl_unit_store(ghl_at(p->out, at, half), v, half);
}

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
    const int64_t most = STEP_BYTES / (half ? 2 : 4) / p->v.width, step = most < 4 ? 4 : ghl_cpu_min(most, BLOCK_ROWS);
    for (int64_t row = begin; row < end; row += step)
        for (int64_t c = 0; c < n; c += GHL_UNIT) {
            lanes l = {.ahead = c + GHL_UNIT <= n ? step * p->v.width : 0};
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

static GHL_CPU_BODY void add_sums(const float *block, int64_t n, int fresh, double *sums)
{
    if (fresh)
        memset(sums, 0, (size_t)n * sizeof *sums);
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        sums[i] += (double)block[i];
}

/* Rows [begin, end) of a piece, columns [column, last). */
static GHL_CPU_BODY void sweep(const pass *p, unit_body *body, int64_t begin, int64_t end, int64_t column, int64_t last, double *sums,
                               int half)
{
    const pass own = *p; /* which no store can change */
    float first[LANES], second[LANES];
    for (int64_t row = begin; row < end; row += BLOCK_ROWS)
        for (int64_t c = column; c < last; c += LANES) {
            const int64_t n = ghl_cpu_min(LANES, over(last - c, GHL_UNIT) * GHL_UNIT);
            memset(first, 0, (size_t)n * sizeof *first);
            memset(second, 0, (size_t)n * sizeof *second);
            block(&own, body, row, ghl_cpu_min(row + BLOCK_ROWS, end), c, ghl_cpu_min(LANES, last - c), first, second, half);
            if (sums != NULL) {
                add_sums(first, n, row == begin, sums + c);
                add_sums(second, n, row == begin, sums + own.v.pitch + c);
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

static double *piece_sums(const pass *p, int64_t piece)
{
    return p->sums != NULL ? p->sums + piece * 2 * p->v.pitch : NULL;
}

/* A piece, or one of its strips of columns. */
static void run_task(const pass *p, sweep_function *function, int64_t first, int64_t strips, int64_t task)
{
    const matrix_view *v = &p->v;
    const int64_t piece = first + task / strips, column = task % strips * NARROW;
    const int64_t last = strips == 1 ? v->width : ghl_cpu_min(column + NARROW, v->width);
    function(p, piece_begin(v, piece), piece_begin(v, piece + 1), column, last, piece_sums(p, piece));
}

/* Images [begin, end): pieces of them, cut into strips of columns where they are few. What is over is one piece more. */
static void run(const pass *p, sweep_function *const function[2], int64_t begin, int64_t end)
{
    const matrix_view *v = &p->v;
    const int64_t first = pieces_until(v, begin), pieces = pieces_until(v, end) - first;
    const int64_t strips = pieces >= 8 ? 1 : over(v->width, NARROW), tasks = pieces * strips;
    if (v->rows * v->width <= GHL_CPU_SMALL || omp_in_parallel())
        for (int64_t task = 0; task < tasks; task++)
            run_task(p, function[p->half], first, strips, task);
    else
#pragma omp parallel for schedule(static)
        for (int64_t task = 0; task < tasks; task++)
            run_task(p, function[p->half], first, strips, task);
    if (end != v->images || v->tail == 0)
        return;
    if (p->sums != NULL)
        memset(piece_sums(p, v->pieces), 0, (size_t)(2 * v->pitch) * sizeof(double));
    function[p->half](p, v->rows, v->rows + 1, 0, v->tail, piece_sums(p, v->pieces));
}

/* Tables and sums of a call lie in its scratch from opening to closing. */
static pass pass_over(const ghl_call *call, void *scratch)
{
    pass p = {.v = view(call->in[0].shape), .half = call->in[0].dtype == GHL_BF16, .relu = call->attr.norm.relu};
    for (int i = 0; i < TABLES; i++)
        p.table[i] = (float *)scratch + i * p.v.pitch;
    p.sums = (double *)((float *)scratch + TABLES * p.v.pitch);
    return p;
}

static void clear_tables(const pass *p)
{
    memset((float *)(uintptr_t)p->table[0], 0, (size_t)(TABLES * p->v.pitch) * sizeof(float));
}

static void open_plain(const ghl_call *call, void *scratch)
{
    const pass p = pass_over(call, scratch);
    clear_tables(&p);
}

static void close_nothing(const ghl_call *call, void *scratch)
{
    (void)call, (void)scratch;
}

static int64_t images_together(const ghl_call *call)
{
    return view(call->in[0].shape).some;
}

/* All images at once. */
static ghl_status run_whole(const ghl_by_images *op, const ghl_call *call, void *scratch)
{
    op->open(call, scratch);
    op->range(call, scratch, 0, call->in[0].shape.n);
    op->close(call, scratch);
    return GHL_OK;
}

#define BY_IMAGES(op, opening, closing)                                                                      \
    const ghl_by_images GHL_ISA_NAME(ghl_cpu_##op##_by_images) = {images_together, opening, op##_range, closing}; \
    ghl_status GHL_CPU_OP(op)(const ghl_call *call, void *scratch)                                           \
    {                                                                                                        \
        return run_whole(&GHL_ISA_NAME(ghl_cpu_##op##_by_images), call, scratch);                            \
    }

/* Sums of two numbers a column over the pieces. */
static void add_pieces(const pass *p)
{
    const int64_t n = 2 * p->v.pitch, pieces = p->v.pieces + (p->v.tail > 0);
    for (int64_t piece = 1; piece < pieces; piece++)
        for (int64_t i = 0; i < n; i++)
            p->sums[i] += p->sums[piece * n + i];
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
    load(p, l, 0, at, x, half);
#pragma GCC unroll 2
    for (int k = 0; k < 2; k++) {
        ghl_vec v = x[k] - l->table[CENTER][k];
        l->first[k] += v;
        l->second[k] += v * v;
    }
}

/* Sums about the piece's first row become means and squares about them. */
static GHL_CPU_BODY void statistics_piece(const pass *p, int64_t begin, int64_t end, int64_t column, int64_t last, double *sums, int half)
{
    pass own = *p;
    for (int64_t c = column; c < last; c += LANES) {
        const int64_t n = ghl_cpu_min(LANES, last - c), padded = over(n, GHL_UNIT) * GHL_UNIT;
        float origin[LANES];
        memset(origin, 0, (size_t)padded * sizeof *origin);
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
SWEEPS(statistics, statistics_piece(p, begin, end, column, last, sums, half))

static void batch_norm_statistics_range(const ghl_call *call, void *scratch, int64_t begin, int64_t end)
{
    pass p = pass_over(call, scratch);
    p.in[0] = call->in[0].data;
    p.v.tail = 0; /* treated apart */
    run(&p, statistics, begin, end);
}

/* Means [pitch] of all pieces, weighted with their rows, or their squares about the means in `center`. */
static void combine_pieces(const pass *p, const double *center, double *out)
{
    const int64_t pitch = p->v.pitch;
    memset(out, 0, (size_t)pitch * sizeof *out);
    for (int64_t piece = 0; piece < p->v.pieces; piece++) {
        const double *mean = piece_sums(p, piece), *squares = mean + pitch;
        const double rows = (double)(piece_begin(&p->v, piece + 1) - piece_begin(&p->v, piece));
        for (int64_t i = 0; i < pitch && center == NULL; i++)
            out[i] += rows * mean[i];
        for (int64_t i = 0; i < pitch && center != NULL; i++)
            out[i] += squares[i] + rows * ((mean[i] - center[i]) * (mean[i] - center[i]));
    }
}

static void close_statistics(const ghl_call *call, void *scratch)
{
    const pass p = pass_over(call, scratch);
    const matrix_view *v = &p.v;
    const void *x = call->in[0].data;
    const int64_t whole = v->rows * v->width, positions = (whole + v->tail) / v->channels;
    float *mean = call->out[0].data, *variance = call->out[1].data;
    double *means = piece_sums(&p, v->pieces), *squares = means + v->pitch;
    combine_pieces(&p, NULL, means);
    for (int64_t c = 0; c < v->channels; c++) {
        double sum = channel_sum(&p, means, c);
        for (int64_t i = c; i < v->tail; i += v->channels)
            sum += (double)ghl_get(x, whole + i, p.half);
        for (int64_t i = c; i < v->width; i += v->channels)
            means[ghl_slot(i, p.half)] = sum / (double)positions;
    }
    combine_pieces(&p, means, squares);
    for (int64_t c = 0; c < v->channels; c++) {
        double m2 = channel_sum(&p, squares, c), center = means[ghl_slot(c, p.half)];
        for (int64_t i = c; i < v->tail; i += v->channels) {
            double delta = (double)ghl_get(x, whole + i, p.half) - center;
            m2 += delta * delta;
        }
        mean[c] = (float)center;
        variance[c] = (float)(m2 / (double)positions);
    }
}
BY_IMAGES(batch_norm_statistics, open_plain, close_statistics)

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
    load(p, l, 0, at, x, half);
    if (p->in[1] != NULL)
        load(p, l, 1, at, addend, half);
#pragma GCC unroll 2
    for (int k = 0; k < 2; k++) {
        x[k] = output(l, x[k] - l->table[CENTER][k], k);
        if (p->in[1] != NULL)
            x[k] += addend[k];
        if (p->relu)
            x[k] = ghl_vec_masked(x[k], x[k]);
    }
    store(p, l, at, x, half);
}
SWEEPS(forward, sweep(p, forward_unit, begin, end, column, last, sums, half))

static void open_norm(const ghl_call *call, void *scratch)
{
    const pass p = pass_over(call, scratch);
    clear_tables(&p);
    set_output(&p, call, 0, operand(call, 4));
}

static void batch_norm_range(const ghl_call *call, void *scratch, int64_t begin, int64_t end)
{
    pass p = pass_over(call, scratch);
    p.in[0] = call->in[0].data;
    p.in[1] = operand(call, 5);
    p.out = call->out[0].data;
    p.sums = NULL;
    run(&p, forward, begin, end);
}
BY_IMAGES(batch_norm, open_norm, close_nothing)

/* ---- Backward ---- */

/* e, x, e2?, mask? */
static GHL_CPU_BODY void sums_unit(const pass *p, lanes *l, int64_t at, int half)
{
    ghl_vec e[2], x[2], other[2];
    load(p, l, 0, at, e, half);
    load(p, l, 1, at, x, half);
    if (p->in[2] != NULL) {
        load(p, l, 2, at, other, half);
        e[0] += other[0];
        e[1] += other[1];
    }
    if (p->in[3] != NULL) {
        load(p, l, 3, at, other, half);
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
        store(p, l, at, e, half);
}
SWEEPS(sums, sweep(p, sums_unit, begin, end, column, last, sums, half))

static void open_sums(const ghl_call *call, void *scratch)
{
    const pass p = pass_over(call, scratch);
    clear_tables(&p);
    set_output(&p, call, 1, operand(call, 5));
}

static void batch_norm_sums_range(const ghl_call *call, void *scratch, int64_t begin, int64_t end)
{
    pass p = pass_over(call, scratch);
    const void *const in[INPUTS] = {call->in[0].data, call->in[1].data, operand(call, 6), operand(call, 7)};
    memcpy(p.in, in, sizeof in);
    p.out = call->n_out > 2 ? call->out[2].data : NULL;
    run(&p, sums, begin, end);
}

static void close_sums(const ghl_call *call, void *scratch)
{
    const pass p = pass_over(call, scratch);
    add_pieces(&p);
    for (int k = 0; k < (call->n_out < 2 ? call->n_out : 2); k++)
        for (int64_t c = 0; c < p.v.channels; c++)
            ((float *)call->out[k].data)[c] = (float)channel_sum(&p, p.sums + k * p.v.pitch, c);
}
BY_IMAGES(batch_norm_sums, open_sums, close_sums)

/* e, x? */
static GHL_CPU_BODY void backward_unit(const pass *p, lanes *l, int64_t at, int half)
{
    ghl_vec e[2], x[2] = {{0}, {0}};
    load(p, l, 0, at, e, half);
    if (p->in[1] != NULL)
        load(p, l, 1, at, x, half);
#pragma GCC unroll 2
    for (int k = 0; k < 2; k++) {
        ghl_vec centred = x[k] - l->table[CENTER][k];
        if (p->relu)
            e[k] = ghl_vec_masked(e[k], output(l, centred, k));
        e[k] = e[k] * l->table[GAIN][k];
        if (p->pull)
            e[k] -= centred * l->table[SLOPE][k] * l->table[PUSH][k] + l->table[MEAN][k];
    }
    store(p, l, at, e, half);
}
SWEEPS(backward, sweep(p, backward_unit, begin, end, column, last, sums, half))

static void open_backward(const ghl_call *call, void *scratch)
{
    const pass p = pass_over(call, scratch);
    const float *sum_e = operand(call, 5), *sum_ex = operand(call, 6);
    const double m = (double)(call->in[0].shape.n * call->in[0].shape.h * call->in[0].shape.w);
    clear_tables(&p);
    set_output(&p, call, 1, operand(call, 7));
    for (int64_t i = 0; i < p.v.width && sum_e != NULL; i++) {
        const int64_t c = i % p.v.channels;
        const double gain = (double)p.table[GAIN][ghl_slot(i, p.half)];
        set_column(&p, PUSH, i, (float)(gain * (double)sum_ex[c] / m));
        set_column(&p, MEAN, i, (float)(gain * (double)sum_e[c] / m));
    }
}

static void batch_norm_backward_range(const ghl_call *call, void *scratch, int64_t begin, int64_t end)
{
    pass p = pass_over(call, scratch);
    p.pull = operand(call, 5) != NULL;
    p.in[0] = call->in[0].data;
    p.in[1] = p.pull || p.relu ? call->in[1].data : NULL;
    p.out = call->out[0].data;
    p.sums = NULL;
    run(&p, backward, begin, end);
}
BY_IMAGES(batch_norm_backward, open_backward, close_nothing)

/* ---- Sums over positions ---- */

static GHL_CPU_BODY void total_unit(const pass *p, lanes *l, int64_t at, int half)
{
    ghl_vec e[2], u[2];
    load(p, l, 0, at, e, half);
    if (p->in[1] != NULL) {
        load(p, l, 1, at, u, half);
        e[0] *= u[0];
        e[1] *= u[1];
    }
    l->first[0] += e[0];
    l->first[1] += e[1];
}
SWEEPS(total, sweep(p, total_unit, begin, end, column, last, sums, half))

static void sum_positions_range(const ghl_call *call, void *scratch, int64_t begin, int64_t end)
{
    pass p = pass_over(call, scratch);
    p.in[0] = call->in[0].data;
    p.in[1] = call->n_in > 1 ? call->in[1].data : NULL;
    run(&p, total, begin, end);
}
BY_IMAGES(sum_positions, open_plain, close_sums)
