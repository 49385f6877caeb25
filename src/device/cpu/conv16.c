/* SPDX-License-Identifier: Apache-2.0
 *
 * conv16.c - which convolutions go by bf16 tiles, in which form, and the sizes of their blocks. See conv16.h.
 *
 * A form costs the products of its tiles, and the copying. Blocks are cut for a second-level cache of 2 MiB. What decides the order of a
 * sum (form, groups, chunks) depends on the problem alone; what only cuts the outputs may depend on the number of threads.
 */
#include <string.h>

#include "device/cpu/conv.h"

enum { ROWS = GHL_CONV16_ROWS, DEPTH = GHL_CONV16_DEPTH, WEIGHTS_STAY = 350000 /* elements */ };

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t most(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t over(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

static int64_t up(int64_t a, int64_t unit)
{
    return over(a, unit) * unit;
}

/* ---- Gather ---- */

/* The fewest tiles that a run fills evenly, each with an even number of values. */
static void cut_run(int64_t length, int32_t *blocks, int32_t *depth)
{
    int64_t n = over(length, DEPTH);
    while (length % n != 0 || length / n % 2 != 0)
        n++;
    *blocks = (int32_t)n;
    *depth = (int32_t)(length / n);
}

/* The number of channels, with zeros, whose runs are cut into few tiles. */
static int64_t padded_channels(int64_t channels, int64_t taps)
{
    int32_t blocks, depth;
    int64_t c = channels <= 4 ? up(channels, 4) : up(channels, 8);
    cut_run(c * taps, &blocks, &depth);
    return blocks > over(c * taps, DEPTH) * 4 / 3 ? up(channels, DEPTH) : c;
}

/* The taps of a phase along one axis, in the order of their offsets: tap, tap + step, ..., at offset, offset + 1, ... */
typedef struct axis {
    int64_t tap, step, count, offset;
} axis;

static axis axis_taps(const ghl_conv_problem *p, int i, int64_t phase)
{
    int64_t kernel = p->window.kernel[i], stride = p->window.stride[i], padding = p->window.padding[i];
    if (p->direction == GHL_CONV_FORWARD)
        return (axis){0, 1, kernel, -padding};
    int64_t last = kernel - 1 - ((kernel - 1 - phase - padding) % stride + stride) % stride;
    return (axis){last, -stride, last < 0 ? 0 : last / stride + 1, (phase + padding - last) / stride};
}

static void axis_reach(const ghl_conv_problem *p, ghl_conv16_gather *g, int i)
{
    int64_t high = 0;
    for (int64_t phase = 0; phase < g->out_stride[i]; phase++) {
        axis a = axis_taps(p, i, phase);
        if (a.count > 0) {
            g->low[i] = least(g->low[i], a.offset);
            high = most(high, a.offset + a.count - 1);
        }
    }
    g->reach[i] = high - g->low[i];
}

/* The sizes of the copy of a band of rows of an image. */
static void lay_out_copy(ghl_conv16_gather *g, int64_t area)
{
    int64_t columns = over(g->out_columns, g->out_stride[1]), front = -g->low[1];
    int64_t beyond = (columns - 1) * g->in_stride[1] + g->reach[1] + 1 - front - g->columns; /* columns of padding at the right */
    g->plane_rows = over((g->band - 1) * g->in_stride[0] + g->reach[0] + 1, g->in_stride[0]);
    g->pitch = g->line = columns;
    g->slabs = g->form < GHL_CONV16_COLUMNS && g->channels % DEPTH == 0 ? g->channels / DEPTH : 1;
    g->width = g->channels / g->slabs;
    if (g->form == GHL_CONV16_PADDED) {
        g->pitch = up(g->columns + front + most(0, beyond - front), g->in_stride[1]);
        g->line = g->pitch / g->in_stride[1];
        g->step = g->width * g->in_stride[1];
        g->plane = up((g->plane_rows * g->pitch + front) * g->width, DEPTH);
        g->slab = g->plane * g->in_stride[0];
    } else if (g->form == GHL_CONV16_SHIFTED) {
        g->step = g->width;
        g->plane = g->plane_rows * g->line * g->width;
        g->slab = g->plane * g->in_stride[0] * (g->reach[1] + 1);
    } else if (g->form == GHL_CONV16_COLUMNS && g->sources % DEPTH == 0) {
        g->slabs = area * g->sources / DEPTH;
        g->step = DEPTH;
        g->slab = g->group * g->band * columns * g->step;
        g->image = g->band * columns * g->step * g->slabs;
        return;
    } else {
        int64_t length = area * g->sources, tiles = over(length, DEPTH), even = up(over(length, tiles), 2) * tiles;
        g->step = g->form == GHL_CONV16_DIRECT ? g->sources : even % 512 == 0 ? even + DEPTH : even;
        g->slab = g->band * columns * g->step;
    }
    g->image = g->slab * g->slabs;
}

static void add_runs(ghl_conv16_gather *g, ghl_conv16_phase *f, const axis *rows, const axis *columns, int64_t width, int *used)
{
    int64_t each = g->form == GHL_CONV16_SHIFTED || g->slabs > 1 ? 1 : columns->count, length = each * g->channels;
    f->run = *used;
    for (int64_t i = 0; i < rows->count; i++)
        for (int64_t j = 0; j < columns->count; j += each) {
            int64_t row = rows->offset + i - g->low[0], column = columns->offset + j - g->low[1];
            int64_t plane = row % g->in_stride[0], at = row / g->in_stride[0] * g->pitch * g->width;
            at += g->form == GHL_CONV16_SHIFTED ? (plane * (g->reach[1] + 1) + column) * g->plane : plane * g->plane + column * g->width;
            g->run[(*used)++] = (ghl_conv16_run){at, (int32_t)((rows->tap + i * rows->step) * width + columns->tap + j * columns->step),
                                                 (int32_t)columns->step};
        }
    f->runs = *used - f->run;
    f->taps = (int32_t)each;
    if (f->runs > 0)
        cut_run(length, &f->blocks, &f->depth);
}

/* All taps as one run; a single phase. */
static void one_run(ghl_conv16_gather *g, ghl_conv16_phase *f, const axis *rows, const axis *columns, int64_t width, int64_t area)
{
    int64_t length = area * g->sources, tiles = over(length, DEPTH);
    g->run[0] = (ghl_conv16_run){0, (int32_t)(rows->tap * width + columns->tap), (int32_t)columns->step};
    f->run = 0;
    f->runs = 1;
    f->taps = (int32_t)area;
    cut_run(up(over(length, tiles), 2) * tiles, &f->blocks, &f->depth);
}

static void add_phases(const ghl_conv_problem *p, ghl_conv16_gather *g)
{
    int64_t width = p->w.w, area = p->w.h * p->w.w, at = 0;
    int used = 0;
    for (int64_t i = 0; i < g->out_stride[0] * g->out_stride[1]; i++) {
        int64_t first[2] = {i / g->out_stride[1], i % g->out_stride[1]};
        axis rows = axis_taps(p, 0, first[0]), columns = axis_taps(p, 1, first[1]);
        ghl_conv16_phase *f = &g->phase[g->phases++];
        *f = (ghl_conv16_phase){.rows = over(g->out_rows - first[0], g->out_stride[0]), .first = {first[0], first[1]}, .depth = 2,
                             .columns = over(g->out_columns - first[1], g->out_stride[1]), .weights_at = at};
        if (g->form >= GHL_CONV16_COLUMNS)
            one_run(g, f, &rows, &columns, width, area);
        else
            add_runs(g, f, &rows, &columns, width, &used);
        at += (int64_t)f->runs * f->blocks * f->depth * ROWS;
    }
    g->filter = at;
}

/* Bytes of the copy at a time, and whether the weights are too many to stay in the second-level cache beside it. */
static int64_t copy_budget(const ghl_conv16_gather *g)
{
    return g->filters * g->filter > WEIGHTS_STAY ? 1100000 : 300000;
}

/* Cycles for all images. Weights that do not stay are brought in again for every block of images. */
static double gather_cost(const ghl_conv16_gather *g, ghl_conv16_cost cost)
{
    double tiles = 0, copy = (double)g->image / 8, weights = (double)(g->filters * g->filter) * 2;
    if (weights > 2 * WEIGHTS_STAY)
        copy += weights / 8 / (double)most(1, least(g->images, copy_budget(g) / (g->image * 2)));
    for (int i = 0; i < g->phases; i++) {
        const ghl_conv16_phase *f = &g->phase[i];
        double all = g->form >= GHL_CONV16_COLUMNS ? (double)(f->rows * f->columns) / ROWS
                                                : (double)over((f->rows - 1) * g->line + f->columns, ROWS);
        tiles += all * f->runs * f->blocks * (cost.tile + cost.pair * f->depth / 2);
        if (g->form == GHL_CONV16_COLUMNS)
            copy += (double)(f->rows * f->columns) * (f->taps + 4.0);
    }
    return (tiles * (double)g->filters + (g->form == GHL_CONV16_DIRECT ? 0 : copy)) * (double)g->images;
}

static bool gather_in_form(const ghl_conv_problem *p, const ghl_conv16_gather *base, ghl_conv16_form form, ghl_conv16_gather *g)
{
    bool one = base->out_stride[0] * base->out_stride[1] == 1, point = p->w.h * p->w.w * p->window.stride[0] * p->window.stride[1] == 1;
    if ((form == GHL_CONV16_COLUMNS && !one) ||
        (form == GHL_CONV16_DIRECT && !(point && p->window.padding[0] == 0 && p->window.padding[1] == 0 && base->sources % DEPTH == 0 &&
                                        base->out_rows % ROWS == 0 && base->out_columns == 1)))
        return false;
    *g = *base;
    g->form = form;
    g->channels = form >= GHL_CONV16_COLUMNS ? g->sources : padded_channels(g->sources, form == GHL_CONV16_PADDED && one ? p->w.w : 1);
    g->band = over(g->out_rows, g->out_stride[0]);
    lay_out_copy(g, p->w.h * p->w.w);
    add_phases(p, g);
    return true;
}

/* Images, or rows of an image, that are done at a time; parts of the outputs, so that every thread has its share. */
static void cut_work(ghl_conv16_gather *g, int64_t area, int threads)
{
    int64_t rows = g->band, image = most(1, g->image * 2), few = 4 * threads, budget = copy_budget(g), tasks;
    bool stay = g->filters * g->filter <= WEIGHTS_STAY;
    g->group = most(1, least(budget / image, g->images));
    g->bands = 1;
    if (image > budget)
        g->bands = least(over(image, budget), rows);
    if (g->images * g->bands > few)
        g->group = most(1, least(g->group, over(g->images, stay ? few : threads)));
    else if (g->images == 1)
        g->bands = most(g->bands, least(few, over(rows, 64)));
    if (g->bands > 1) {
        g->group = 1;
        g->band = over(rows, g->bands);
        if (g->out_columns == 1)
            g->band = least(rows, up(g->band, 2 * ROWS));
        g->bands = over(rows, g->band);
    }
    g->at_once = stay ? 4 : 0;
    lay_out_copy(g, area);
    tasks = over(g->images, g->group) * g->bands;
    g->parts = most(1, least(over(2 * threads, tasks), g->filters / 2));
}

/* The cheapest of the forms from first to last; false: none takes the problem. */
static bool plan_gather(const ghl_conv_problem *p, ghl_conv16_cost cost, int first, int last, ghl_conv16 *out)
{
    bool back = p->direction == GHL_CONV_BACKWARD_DATA;
    ghl_shape from = back ? p->y : p->x, to = back ? p->x : p->y;
    int64_t area = p->w.h * p->w.w;
    ghl_conv16_gather base = {.images = from.n, .rows = from.h, .columns = from.w, .sources = from.c, .out_rows = to.h, .out_columns = to.w,
                              .outputs = to.c, .filters = over(to.c, ROWS), .source_step = back ? area * p->w.c : 1,
                              .output_step = back ? 1 : area * p->w.c, .tap_step = p->w.c, .group = 1}, g, *best = &out->gather;
    for (int i = 0; i < 2; i++) {
        base.in_stride[i] = back ? 1 : p->window.stride[i];
        base.out_stride[i] = back ? p->window.stride[i] : 1;
        axis_reach(p, &base, i);
    }
    for (int form = first; form <= last; form++)
        if (gather_in_form(p, &base, (ghl_conv16_form)form, &g) && (best->phases == 0 || gather_cost(&g, cost) < gather_cost(best, cost)))
            *best = g;
    if (best->phases == 0)
        return false;
    out->cycles = gather_cost(best, cost);
    cut_work(best, area, out->threads);
    best->phases = 0;
    add_phases(p, best);
    best->by_rows = best->phases == 1 && (!back || (best->phase[0].depth == GHL_CONV16_STEP * ROWS && best->phase[0].taps == 1));
    int64_t line = over(best->out_rows, best->out_stride[0]) * best->line;
    int64_t positions = best->group * up((best->bands > 1 ? best->band * best->line : line) + ROWS, ROWS);
    best->copy_bytes = (size_t)up((best->group * best->image + 2 * ROWS * best->step + 4 * DEPTH) * 2, 4096);
    out->weights_bytes = (size_t)(best->filters * best->filter) * 2;
    out->own_bytes = best->copy_bytes + ghl_scratch_round((size_t)positions * sizeof(int32_t));
    return true;
}

/* ---- Weight gradient ---- */

static void lay_out_line(const ghl_conv_problem *p, ghl_conv16_gradient *g)
{
    int64_t front = g->padding[1];
    int64_t covered = (g->y.h - 1) * g->stride[0] + g->kernel[0];
    bool columns = g->form == GHL_CONV16_COLUMNS;
    g->top = columns ? g->padding[0] : most(g->padding[0], covered - g->padding[0] - g->x.h);
    g->height = columns ? most(g->top + g->x.h, covered) : up(g->top + g->x.h, g->stride[0]);
    if (g->bands > 1) {
        g->top = g->padding[0];
        g->height = columns ? covered : up(covered, g->stride[0]);
    }
    g->pitch = most(front + g->x.w, (g->y.w - 1) * g->stride[1] + g->kernel[1]);
    g->line = columns ? g->y.w : up(g->y.w, 2);
    g->length = up((columns ? g->y.h : g->height / g->stride[0]) * g->line, 2);
    g->each = g->y.h * g->line % DEPTH == 0 ? g->y.h * g->line : g->length;
    g->unbroken = g->each < g->length ? (int)(g->each / DEPTH) : 0;
    g->planes = columns ? 1 : g->stride[0];
    g->taps = columns ? 1 : p->w.h;
    g->width = p->w.h / g->taps * p->w.w * g->x.c;
    for (int64_t t = 0; t < g->taps; t++) {
        int64_t row = columns ? 0 : t + g->top - g->padding[0];
        g->tap[t] = (ghl_conv16_tap){row / g->stride[0] * g->line, row % g->stride[0]};
        g->margin = most(g->margin, g->tap[t].shift);
    }
    g->tiles = over(g->width, ROWS);
    g->in_place = g->bands == 1 && front == 0 && g->top == 0 && g->height == g->x.h && g->pitch == g->x.w && g->x.c % ROWS == 0;
}

/* Panels of filters whose e stays in the cache, and chunks: x is read once for every panel, the sums twice for every chunk, and e twice
 * where two threads cannot share the panels evenly. What reads x is foreseen, and costs a third (measured). */
static void cut_panels(ghl_conv16_gradient *g)
{
    enum { PANEL = 900000, UNFORESEEN = 3 };
    double least_bytes = 0, sums = (double)(g->filters * g->taps * g->tiles) * ROWS * ROWS * 4;
    double x = (double)(g->planes * g->tiles * g->length * g->x.n) * ROWS * 2, e = (double)(g->filters * g->each * g->x.n) * ROWS * 2;
    for (int64_t chunks = 1; chunks <= least(g->x.n, 64); chunks++) {
        int64_t chunk = over(g->x.n, chunks), panel = least(g->filters, PANEL / (chunk * g->each * ROWS * 2) / 2 * 2);
        if (panel <= 0)
            continue;
        panel = over(over(g->filters, over(g->filters, panel)), 2) * 2;
        int64_t panels = over(g->filters, panel);
        double bytes = x * (double)panels + UNFORESEEN * (sums * (double)(2 * chunks) + e * (double)(panels % 2));
        if (least_bytes == 0 || bytes < least_bytes) {
            least_bytes = bytes;
            g->chunk = chunk;
            g->panel = panel;
        }
    }
    if (least_bytes == 0) {
        g->chunk = 1;
        g->panel = least(g->filters, 2);
    }
    g->panel = least(g->panel, g->filters);
}

/* How the sum is cut: groups with sums of their own where these are small, else panels of filters; chunks that fit the cache. */
static void cut_sum(ghl_conv16_gradient *g)
{
    enum { SUMS = 3 << 19, GROUPS = 16, FEW = 8, LONG = 1024, CACHE = 1200000 };
    int64_t sums = g->filters * g->taps * g->tiles * ROWS * ROWS * 4, position = ROWS * 2;
    g->groups = 1;
    while (g->groups < GROUPS && g->groups * 2 * sums <= SUMS && g->groups * 2 <= g->x.n && g->x.n / (g->groups * 2) * g->length >= LONG)
        g->groups *= 2;
    g->shared = g->groups < FEW;
    g->groups = g->shared ? 1 : g->groups;
    g->panel = g->filters;
    g->chunk = CACHE / ((g->planes * g->tiles + g->filters) * g->length * position);
    if (g->shared)
        cut_panels(g);
    int64_t images = over(g->x.n, g->groups);
    g->chunk = most(1, least(g->chunk, images));
    g->chunks = over(images, g->chunk);
    g->chunk = over(images, g->chunks);
    g->direct = g->groups == 1 && g->width % ROWS == 0 && g->y.c % ROWS == 0;
}

/* Cycles: the products, the laying out of x, the transposing of e, and what passes between the second-level cache and the last. */
static double gradient_cost(const ghl_conv16_gradient *g, ghl_conv16_cost cost)
{
    double positions = (double)(g->length * g->x.n), columns = (double)(g->tiles * g->planes), filters = (double)g->filters;
    double product = (double)(g->each * g->x.n) / DEPTH * (double)(g->taps * g->tiles) * filters * (cost.tile + cost.pair * DEPTH / 2);
    double sums = (double)(g->filters * g->taps * g->tiles) * ROWS * ROWS * 4;
    double stream = g->shared ? columns * positions * ROWS * 2 * (double)over(g->filters, g->panel) + sums * (double)(2 * g->chunks) : 0;
    return product + columns * positions + filters * positions * ROWS / 6 + stream / 8;
}

static void place_gradient(ghl_conv16_gradient *g, ghl_conv16 *out)
{
    enum { AT_ONCE = 96 << 20 };
    const int64_t panels = over(g->filters, g->panel), threads = out->threads;
    g->chunk_line = up(g->chunk * g->each, DEPTH);
    g->x_line = most(g->chunk_line, g->chunk * g->length);
    g->tile_line = (g->x_line + g->margin) * ROWS + DEPTH;
    g->plane = g->tiles * g->tile_line;
    g->e_line = g->chunk_line + (g->chunk_line / DEPTH % 2 == 0 ? DEPTH : 0); /* an odd number of cache lines */
    for (g->parts = 1; g->shared && g->parts < g->tiles / 3 && panels * g->parts < 4 * threads && panels * g->parts % threads != 0;)
        g->parts++;
    g->x_bytes = ghl_scratch_round((size_t)(g->planes * g->plane) * 2);
    g->e_bytes = ghl_scratch_round((size_t)(g->filters * ROWS * g->e_line) * 2);
    g->at_once = g->shared ? most(1, least(g->chunks, AT_ONCE / (int64_t)(g->x_bytes + g->e_bytes))) : 1;
    if (!g->direct)
        g->sums_bytes = ghl_scratch_round((size_t)(g->groups * 2 * g->filters * g->taps * g->tiles * ROWS * ROWS) * sizeof(float));
    size_t packed = (size_t)g->at_once * (g->x_bytes + g->e_bytes);
    g->x_at = g->shared ? g->sums_bytes : 0;
    g->e_at = g->x_at + (size_t)g->at_once * g->x_bytes;
    g->to_at = g->shared ? 0 : packed;
    g->from_at = g->to_at + ghl_scratch_round((size_t)g->chunk_line * sizeof(int32_t));
    g->rows_at = g->from_at + ghl_scratch_round((size_t)g->length * sizeof(int32_t));
    g->by_rows = g->direct && g->shared && g->taps == 1 && g->at_once >= g->chunks;
    g->copy_at = g->rows_at + (g->by_rows ? (size_t)(GHL_CONV16_STEP * ROWS * GHL_CONV16_SPAN) * sizeof(float) : 0);
    out->shared_bytes = g->sums_bytes + (g->shared ? packed : 0);
    out->own_bytes = g->copy_at;
    if (!g->in_place)
        out->own_bytes += ghl_scratch_round((size_t)((g->height + 1) * g->pitch * g->x.c + 4 * DEPTH) * 2);
}

/* Into how many equal bands an image is cut: a panel of filters' e for one should stay in the cache. */
static int64_t bands_of(ghl_shape y)
{
    enum { POSITIONS = 4096, ROWS_AT_LEAST = 4 };
    int64_t best = 1;
    for (int64_t bands = 2; y.h / best * y.w > POSITIONS && y.h / bands >= ROWS_AT_LEAST; bands++)
        best = y.h % bands == 0 ? bands : best;
    return best;
}

static bool plan_gradient(const ghl_conv_problem *p, ghl_conv16_cost cost, int first, int last, ghl_conv16 *out)
{
    const ghl_window *v = &p->window;
    ghl_conv16_gradient base = {.x = p->x, .y = p->y, .kernel = {p->w.h, p->w.w}, .stride = {v->stride[0], v->stride[1]},
                                .padding = {v->padding[0], v->padding[1]}, .filters = over(p->y.c, ROWS), .bands = bands_of(p->y)}, g;
    ghl_conv16_gradient *best = &out->gradient;
    base.x.n *= base.bands;
    base.y.n *= base.bands;
    base.y.h /= base.bands;
    for (int form = first; form <= last; form++) {
        const bool columns = form == GHL_CONV16_COLUMNS && (p->w.h == 1 || p->w.w * p->w.c % ROWS == 0);
        if (!columns && form != GHL_CONV16_SHIFTED)
            continue;
        g = base;
        g.form = (ghl_conv16_form)form;
        lay_out_line(p, &g);
        cut_sum(&g);
        if (best->tiles == 0 || gradient_cost(&g, cost) < gradient_cost(best, cost))
            *best = g;
    }
    if (best->tiles == 0)
        return false;
    out->cycles = gradient_cost(best, cost);
    place_gradient(best, out);
    return true;
}

/* ---- Both ---- */

/* Kernels of one point over dense maps, and of the whole map, are products of matrices: one row, or one column, of positions. */
static void simplify(ghl_conv_problem *p)
{
    const ghl_window *v = &p->window;
    bool flat = v->padding[0] == 0 && v->padding[1] == 0;
    if (flat && p->y.h == 1 && p->y.w == 1 && p->w.h == p->x.h && p->w.w == p->x.w) {
        p->x = (ghl_shape){p->x.n, 1, 1, p->x.h * p->x.w * p->x.c};
        p->w = (ghl_shape){p->w.n, 1, 1, p->x.c};
        p->window = (ghl_window){{1, 1}, {1, 1}, {0, 0}};
    }
    if (!flat || p->w.h * p->w.w * v->stride[0] * v->stride[1] != 1)
        return;
    int64_t positions = p->x.n * p->x.h * p->x.w, slice = 1;
    if (p->direction == GHL_CONV_BACKWARD_WEIGHTS) {
        for (int64_t i = 1; i <= least(positions, 1024); i++)
            slice = positions % i == 0 ? i : slice;
        p->x = (ghl_shape){positions / slice, 1, slice, p->x.c};
        p->y = (ghl_shape){positions / slice, 1, slice, p->y.c};
    } else {
        p->x = (ghl_shape){1, positions, 1, p->x.c};
        p->y = (ghl_shape){1, positions, 1, p->y.c};
    }
}

static bool plan_forms(const ghl_conv_problem *problem, ghl_conv16_cost cost, int first, int last, int threads,
                       ghl_conv16 *out)
{
    ghl_conv_problem p = *problem;
    bool back = p.direction == GHL_CONV_BACKWARD_DATA;
    simplify(&p);
    if (p.w.h * p.w.w > GHL_CONV16_RUNS)
        return false;
    for (int i = 0; i < 2; i++) {
        const ghl_window *v = &p.window;
        if (v->stride[i] < 1 || v->stride[i] > (back ? 2 : GHL_CONV16_STRIDE) || v->padding[i] < 0 || v->padding[i] >= v->kernel[i])
            return false;
    }
    memset(out, 0, sizeof *out);
    out->threads = threads;
    const bool weights = p.direction == GHL_CONV_BACKWARD_WEIGHTS;
    if (!(weights ? plan_gradient(&p, cost, first, last, out) : plan_gather(&p, cost, first, last, out)))
        return false;
    out->form = weights ? out->gradient.form : out->gather.form;
    out->own_bytes = (out->own_bytes + 4095) / 4096 * 4096 + 4096;
    out->shared_bytes = (out->shared_bytes + 4095) / 4096 * 4096;
    out->scratch_bytes = out->shared_bytes + (size_t)threads * out->own_bytes;
    return true;
}

bool ghl_conv16_plan(const ghl_conv_problem *problem, ghl_conv16_cost cost, int threads, ghl_conv16 *out)
{
    return plan_forms(problem, cost, 0, GHL_CONV16_FORMS - 1, threads, out);
}

bool ghl_conv16_plan_in(const ghl_conv_problem *problem, ghl_conv16_form form, int threads, ghl_conv16 *out)
{
    return plan_forms(problem, (ghl_conv16_cost){0}, (int)form, (int)form, threads, out);
}
