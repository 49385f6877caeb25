/* SPDX-License-Identifier: Apache-2.0
 *
 * isa_linear.c - the three products of a linear layer. Batches are small and weights are large, so each walks the weights once:
 *
 *   forward           y_nk = <x_n, w_k>: dot products of a few rows with a few filters, vectors along the inputs, nothing is copied
 *   backward data     dx = e w: a strip of inputs at a time, the filters' part under it laid out for the register tile
 *   backward weights  dw = e' x: x and e, which are small, are laid out once; for a few outputs x is read where it lies
 *   sgd_product       the same, a few rows of dw at a time, by which w steps while they are in the cache: dw is nowhere as a whole
 */
#include <omp.h>
#include <string.h>

#include "device/cpu/isa.h"
#include "device/cpu/isa_tile.h"

#if defined(__AVX512F__)
enum { DOT_ROWS = 4, DOT_FILTERS = 6, FEW_FILTERS = 10 };
#else
enum { DOT_ROWS = 2, DOT_FILTERS = 4, FEW_FILTERS = 5 };
#endif
enum { FEW_ROWS = 8, FEW_BLOCK = 512, DOT_BLOCK = 512, DOT_CHUNK = 64, STRIP = GHL_LINEAR_STRIP, DEPTH = GHL_LINEAR_DEPTH };

static int64_t round_up(int64_t n, int64_t unit)
{
    return (n + unit - 1) / unit * unit;
}

/* ---- Forward ---- */

/* Partial sums of DOT_ROWS x DOT_FILTERS dot products over [begin, end), a multiple of GHL_WIDTH. */
static void dot_tile(const float *const *x, const float *const *w, int64_t begin, int64_t end, ghl_vec *partial)
{
    ghl_vec sum[DOT_ROWS][DOT_FILTERS];
#pragma GCC unroll 4
    for (int i = 0; i < DOT_ROWS; i++)
#pragma GCC unroll 6
        for (int j = 0; j < DOT_FILTERS; j++)
            sum[i][j] = partial[i * DOT_FILTERS + j];
    for (int64_t f = begin; f < end; f += GHL_WIDTH) {
        ghl_vec filter[DOT_FILTERS];
#pragma GCC unroll 6
        for (int j = 0; j < DOT_FILTERS; j++)
            filter[j] = GHL_LOAD(w[j] + f);
#pragma GCC unroll 4
        for (int i = 0; i < DOT_ROWS; i++) {
            ghl_vec row = GHL_LOAD(x[i] + f);
#pragma GCC unroll 6
            for (int j = 0; j < DOT_FILTERS; j++)
                sum[i][j] += row * filter[j];
        }
    }
#pragma GCC unroll 4
    for (int i = 0; i < DOT_ROWS; i++)
#pragma GCC unroll 6
        for (int j = 0; j < DOT_FILTERS; j++)
            partial[i * DOT_FILTERS + j] = sum[i][j];
}

/* By halves: lane i and lane i + n / 2, and so on. */
static float lanes_sum(const ghl_vec *v)
{
    float lane[GHL_WIDTH];
    memcpy(lane, v, sizeof lane);
    for (int half = GHL_WIDTH / 2; half > 0; half /= 2)
        for (int i = 0; i < half; i++)
            lane[i] += lane[i + half];
    return lane[0];
}

typedef struct dot_part {
    const ghl_linear *l;
    const float *x, *w, *bias;
    float *y;
    double *squares; /* [K] or NULL */
} dot_part;

static void dot_finish(const dot_part *p, const ghl_vec *partial, int64_t n, int64_t k)
{
    int64_t inputs = p->l->inputs, whole = inputs / GHL_WIDTH * GHL_WIDTH;
    for (int64_t i = 0; i < DOT_ROWS && n + i < p->l->rows; i++)
        for (int64_t j = 0; j < DOT_FILTERS && k + j < p->l->outputs; j++) {
            float sum = lanes_sum(partial + i * DOT_FILTERS + j);
            for (int64_t f = whole; f < inputs; f++)
                sum += p->x[(n + i) * inputs + f] * p->w[(k + j) * inputs + f];
            p->y[(n + i) * p->l->outputs + k + j] = sum + (p->bias != NULL ? p->bias[k + j] : 0.0f);
        }
}

/* |w_k|^2 over inputs [begin, end), a multiple of GHL_WIDTH, which the rows have just met. */
static double dot_squares(const float *w, int64_t begin, int64_t end)
{
    ghl_vec sum[2] = {{0}};
    for (int64_t f = begin; f < end; f += GHL_WIDTH)
        sum[f / GHL_WIDTH % 2] += GHL_LOAD(w + f) * GHL_LOAD(w + f);
    return (double)lanes_sum(&sum[0]) + (double)lanes_sum(&sum[1]);
}

/* Rows [begin, end), at most DOT_CHUNK, of DOT_FILTERS filters from k on. Past the last row or filter the last one stands in. */
static void dot_rows(const dot_part *p, int64_t begin, int64_t end, int64_t k)
{
    ghl_vec partial[DOT_CHUNK / DOT_ROWS][DOT_ROWS * DOT_FILTERS];
    const float *w[DOT_FILTERS];
    int64_t inputs = p->l->inputs, whole = inputs / GHL_WIDTH * GHL_WIDTH;
    const int64_t own = p->squares != NULL && begin == 0 ? ghl_cpu_min(DOT_FILTERS, p->l->outputs - k) : 0; /* have squares here */
    memset(partial, 0, sizeof partial);
    for (int64_t j = 0; j < DOT_FILTERS; j++)
        w[j] = p->w + ghl_cpu_min(k + j, p->l->outputs - 1) * inputs;
    for (int64_t j = 0; j < own; j++) {
        p->squares[k + j] = 0;
        for (int64_t f = whole; f < inputs; f++)
            p->squares[k + j] += (double)w[j][f] * (double)w[j][f];
    }
    for (int64_t f = 0; f < whole; f += DOT_BLOCK) {
        for (int64_t n = begin; n < end; n += DOT_ROWS) {
            const float *x[DOT_ROWS];
            for (int64_t i = 0; i < DOT_ROWS; i++)
                x[i] = p->x + ghl_cpu_min(n + i, p->l->rows - 1) * inputs;
            dot_tile(x, w, f, ghl_cpu_min(f + DOT_BLOCK, whole), partial[(n - begin) / DOT_ROWS]);
        }
        for (int64_t j = 0; j < own; j++)
            p->squares[k + j] += dot_squares(w[j], f, ghl_cpu_min(f + DOT_BLOCK, whole));
    }
    for (int64_t n = begin; n < end; n += DOT_ROWS)
        dot_finish(p, partial[(n - begin) / DOT_ROWS], n, k);
}

static void dot_all(const dot_part *p)
{
    const ghl_linear *l = p->l;
    int64_t groups = (l->outputs + DOT_FILTERS - 1) / DOT_FILTERS, chunk = groups < 64 ? DOT_CHUNK / 4 : DOT_CHUNK;
    int64_t chunks = (l->rows + chunk - 1) / chunk;
#pragma omp parallel for schedule(static) if (l->rows * l->inputs * l->outputs > GHL_CPU_SMALL)
    for (int64_t i = 0; i < groups * chunks; i++)
        dot_rows(p, i % chunks * chunk, ghl_cpu_min(l->rows, (i % chunks + 1) * chunk), i / chunks * DOT_FILTERS);
}

static void forward(const void *plan, const float *x, const float *w, const float *bias, float *y, float *scratch)
{
    (void)scratch;
    dot_all(&(dot_part){plan, x, w, bias, y, NULL});
}

static void forward_squares(const void *plan, const float *x, const float *w, float *y, double *squares)
{
    dot_all(&(dot_part){plan, x, w, NULL, y, squares});
}

/* ---- Backward data ---- */

/* from[rows][columns] of pitch `pitch`, f32 or bf16 -> blocks [columns / 16][depth][16], zero past rows and columns. */
static void lay_out(const void *from, int half, int64_t pitch, int64_t rows, int64_t columns, int64_t depth, float *to)
{
    for (int64_t at = 0; at < columns; at += GHL_LANES) {
        int64_t n = ghl_cpu_min(GHL_LANES, columns - at);
        for (int64_t i = 0; i < rows; i++, to += GHL_LANES) {
            if (n == GHL_LANES && !half)
                ghl_block_copy(to, (const float *)from + i * pitch + at);
            else
                for (int64_t j = 0; j < GHL_LANES; j++)
                    to[j] = j < n ? ghl_get(from, i * pitch + at + j, half) : 0.0f;
        }
        memset(to, 0, (size_t)((depth - rows) * GHL_LANES) * sizeof *to);
        to += (depth - rows) * GHL_LANES;
    }
}

typedef struct strip_part {
    const ghl_linear *l;
    const float *e;   /* [padded rows][outputs, padded] */
    const float *w;
    float *filters;   /* this thread's: [strip / 16][DEPTH][16] */
    float *dx;
    int64_t outputs;  /* padded */
} strip_part;

/* Tile of dx at rows [row, ...), inputs [at, at + 16 blocks): where it does not fit, through `edge`. */
static void strip_tile(const strip_part *p, ghl_tile *t, int64_t row, int64_t at, int64_t blocks, int add)
{
    float edge[GHL_TILE_ROWS * GHL_LANES] __attribute__((aligned(64)));
    int64_t inputs = p->l->inputs, rows = ghl_cpu_min(GHL_TILE_ROWS, p->l->rows - row), n = ghl_cpu_min(GHL_LANES, inputs - at);
    bool whole = rows == GHL_TILE_ROWS && at + blocks * GHL_LANES <= inputs;
    float *to = p->dx + row * inputs + at;
    t->c = whole ? to : edge;
    t->c_row = whole ? inputs : GHL_LANES;
    t->c_block = GHL_LANES;
    for (int64_t i = 0; !whole && add && i < rows; i++)
        memcpy(edge + i * GHL_LANES, to + i * inputs, (size_t)n * sizeof *to);
    ghl_tile_rows(t, p->outputs, blocks, add);
    for (int64_t i = 0; !whole && i < rows; i++)
        memcpy(to + i * inputs, edge + i * GHL_LANES, (size_t)n * sizeof *to);
}

/* dx = e w for inputs [at, at + n). */
static void strip_multiply(const strip_part *p, int64_t at, int64_t n)
{
    int64_t blocks = (n + GHL_LANES - 1) / GHL_LANES, whole = n / GHL_LANES;
    for (int64_t k = 0; k < p->l->outputs; k += DEPTH) {
        int64_t depth = ghl_cpu_min(DEPTH, p->outputs - k);
        lay_out(p->w + k * p->l->inputs + at, 0, p->l->inputs, ghl_cpu_min(depth, p->l->outputs - k), n, DEPTH, p->filters);
        for (int64_t block = 0, count; block < blocks; block += count) {
            count = block < whole ? ghl_tile_blocks(whole - block) : 1;
            for (int64_t row = 0; row < p->l->rows; row += GHL_TILE_ROWS) {
                int64_t wide = row + GHL_TILE_ROWS > p->l->rows ? 1 : count; /* rows that are short of a tile: a block at a time */
                for (int64_t j = 0; j < count; j += wide) {
                    ghl_tile t = {.a = p->e + row * p->outputs + k, .b = p->filters + (block + j) * DEPTH * GHL_LANES,
                                  .group_step = GHL_LANES, .b_block = DEPTH * GHL_LANES, .groups = depth / GHL_LANES};
                    strip_tile(p, &t, row, at + (block + j) * GHL_LANES, wide, k > 0);
                }
            }
        }
    }
}

static void backward_data(const void *plan, const float *e, const float *w, float *dx, float *scratch)
{
    const ghl_linear *l = plan;
    strip_part p = {.l = l, .e = scratch, .w = w, .dx = dx, .outputs = round_up(l->outputs, GHL_LANES)};
    int64_t rows = round_up(l->rows, GHL_TILE_ROWS), strips = (l->inputs + STRIP - 1) / STRIP;
    float *thread_scratch = scratch + round_up(rows * p.outputs, GHL_LANES);
    memset(scratch, 0, (size_t)(rows * p.outputs) * sizeof *scratch);
    for (int64_t n = 0; n < l->rows; n++)
        memcpy(scratch + n * p.outputs, e + n * l->outputs, (size_t)l->outputs * sizeof *e);
#pragma omp parallel for schedule(static) firstprivate(p) if (l->rows * l->inputs * l->outputs > GHL_CPU_SMALL)
    for (int64_t strip = 0; strip < strips; strip++) {
        p.filters = thread_scratch + omp_get_thread_num() * STRIP * DEPTH;
        strip_multiply(&p, strip * STRIP, ghl_cpu_min(STRIP, l->inputs - strip * STRIP));
    }
}

/* ---- Backward weights ---- */

/* Filters [k, k + GHL_TILE_ROWS): x and e in blocks of 16 with `depth` rows, dw from filter k on. */
static void gradient_rows(const ghl_linear *l, const float *x, const float *e, int64_t depth, int64_t k, float *dw)
{
    int64_t blocks = l->inputs / GHL_LANES, tail = l->inputs % GHL_LANES, rows = ghl_cpu_min(GHL_TILE_ROWS, l->outputs - k);
    const float *a = e + (k / GHL_LANES * depth) * GHL_LANES + k % GHL_LANES;
    float edge[GHL_TILE_ROWS * GHL_LANES * GHL_TILE_BLOCKS] __attribute__((aligned(64)));
    ghl_tile t = {.a = a, .group_step = GHL_LANES * GHL_LANES, .b_block = depth * GHL_LANES, .c_block = GHL_LANES,
                  .groups = depth / GHL_LANES};
    for (int64_t block = 0, count; block < blocks + (tail > 0); block += count) {
        bool whole = rows == GHL_TILE_ROWS && block < blocks;
        count = whole ? ghl_tile_blocks(blocks - block) : 1;
        t.b = x + block * depth * GHL_LANES;
        t.c = whole ? dw + block * GHL_LANES : edge;
        t.c_row = whole ? l->inputs : GHL_LANES;
        ghl_tile_channels(&t, count, 0);
        for (int64_t i = 0; !whole && i < rows; i++)
            memcpy(dw + i * l->inputs + block * GHL_LANES, edge + i * GHL_LANES,
                   (size_t)(block < blocks ? GHL_LANES : tail) * sizeof *dw);
    }
}

/* With `step` the rows of dw go to a block of the thread's own and are used up there. */
static void gradient(const ghl_linear *l, const void *x, const void *e, int half, float *dw, const ghl_sgd *step, float *scratch)
{
    int64_t depth = round_up(l->rows, GHL_LANES), x_blocks = (l->inputs + GHL_LANES - 1) / GHL_LANES;
    int64_t e_blocks = (l->outputs + GHL_LANES - 1) / GHL_LANES, groups = (l->outputs + GHL_TILE_ROWS - 1) / GHL_TILE_ROWS;
    float *laid_x = scratch, *laid_e = scratch + x_blocks * depth * GHL_LANES, *blocks = laid_e + e_blocks * depth * GHL_LANES;
#pragma omp parallel if (l->rows * l->inputs * l->outputs > GHL_CPU_SMALL)
    {
#pragma omp for schedule(static)
        for (int64_t i = 0; i < x_blocks + e_blocks; i++) {
            bool of_x = i < x_blocks;
            int64_t block = of_x ? i : i - x_blocks, pitch = of_x ? l->inputs : l->outputs, at = block * GHL_LANES;
            lay_out(ghl_at(of_x ? x : e, at, half), half, pitch, l->rows, ghl_cpu_min(GHL_LANES, pitch - at), depth,
                    (of_x ? laid_x : laid_e) + block * depth * GHL_LANES);
        }
#pragma omp for schedule(static)
        for (int64_t i = 0; i < groups; i++) {
            int64_t k = i * GHL_TILE_ROWS, rows = ghl_cpu_min(GHL_TILE_ROWS, l->outputs - k);
            float *to = step == NULL ? dw + k * l->inputs : blocks + omp_get_thread_num() * GHL_LINEAR_ROWS * l->inputs;
            gradient_rows(l, laid_x, laid_e, depth, k, to);
            if (step != NULL)
                GHL_ISA_NAME(ghl_sgd_step)(step, to, k * l->inputs, rows * l->inputs);
        }
    }
}
_Static_assert((int)GHL_TILE_ROWS <= (int)GHL_LINEAR_ROWS, "a block of rows holds a tile's");

/* dw += e' x, or = where `add` is 0, over FEW_ROWS rows of x, FEW_FILTERS filters and n inputs, whole vectors. */
static void few_rows(const float *const *x, float e[FEW_ROWS][FEW_FILTERS], float *const *dw, int64_t n, int add)
{
    for (int64_t f = 0; f < n; f += GHL_WIDTH) {
        ghl_vec sum[FEW_FILTERS];
#pragma GCC unroll 10
        for (int j = 0; j < FEW_FILTERS; j++)
            sum[j] = GHL_LOAD(dw[j] + f);
        if (!add)
            memset(sum, 0, sizeof sum);
#pragma GCC unroll 8
        for (int i = 0; i < FEW_ROWS; i++) {
            const ghl_vec row = GHL_LOAD(x[i] + f);
#pragma GCC unroll 10
            for (int j = 0; j < FEW_FILTERS; j++)
                sum[j] += row * e[i][j];
        }
#pragma GCC unroll 10
        for (int j = 0; j < FEW_FILTERS; j++)
            GHL_STORE(dw[j] + f, sum[j]);
    }
}

/* n inputs from `begin` on of filters [k, k + FEW_FILTERS): for rows past the last, zeros; filters past the last go nowhere. */
static void few_part(const ghl_linear *l, const float *x, const float *e, int64_t k, int64_t begin, int64_t n, float *dw)
{
    static const float zeros[FEW_BLOCK];
    float spare[FEW_BLOCK] = {0}, error[FEW_ROWS][FEW_FILTERS], *to[FEW_FILTERS];
    const float *row[FEW_ROWS];
    for (int64_t j = 0; j < FEW_FILTERS; j++)
        to[j] = k + j < l->outputs ? dw + (k + j) * l->inputs + begin : spare;
    for (int64_t first = 0; first < l->rows; first += FEW_ROWS) {
        for (int64_t i = 0; i < FEW_ROWS; i++) {
            const bool there = first + i < l->rows;
            row[i] = there ? x + (first + i) * l->inputs + begin : zeros;
            for (int64_t j = 0; j < FEW_FILTERS; j++)
                error[i][j] = there && k + j < l->outputs ? e[(first + i) * l->outputs + k + j] : 0.0f;
        }
        few_rows(row, error, to, n, first > 0);
    }
}

/* Of a classifier: so few filters that laying x out would cost more than all else. x is read where it lies, in long runs. */
static void few_gradient(const ghl_linear *l, const float *x, const float *e, float *dw)
{
    const int64_t whole = l->inputs / GHL_WIDTH * GHL_WIDTH;
#pragma omp parallel for schedule(static) if (l->rows * l->inputs * l->outputs > GHL_CPU_SMALL)
    for (int64_t f = 0; f < whole; f += FEW_BLOCK)
        for (int64_t k = 0; k < l->outputs; k += FEW_FILTERS)
            few_part(l, x, e, k, f, ghl_cpu_min(FEW_BLOCK, whole - f), dw);
    for (int64_t k = 0; k < l->outputs; k++)
        for (int64_t f = whole; f < l->inputs; f++) {
            float sum = 0;
            for (int64_t n = 0; n < l->rows; n++)
                sum += x[n * l->inputs + f] * e[n * l->outputs + k];
            dw[k * l->inputs + f] = sum;
        }
}

static void backward_weights(const void *plan, const float *x, const float *e, float *dw, float *scratch)
{
    const ghl_linear *l = plan;
    if (l->outputs <= 2 * FEW_FILTERS)
        few_gradient(l, x, e, dw);
    else
        gradient(l, x, e, 0, dw, NULL, scratch);
}

static void sgd_product(const void *plan, const ghl_call *call, float *scratch)
{
    const ghl_sgd step = GHL_ISA_NAME(ghl_sgd_of)(call);
    gradient(plan, call->in[2].data, call->in[3].data, call->in[2].dtype == GHL_BF16, NULL, &step, scratch);
}

const ghl_conv_kernels GHL_ISA_NAME(ghl_cpu_linear) = {
    .forward = forward,
    .forward_squares = forward_squares,
    .backward_data = backward_data,
    .backward_weights = backward_weights,
    .sgd_product = sgd_product,
};
