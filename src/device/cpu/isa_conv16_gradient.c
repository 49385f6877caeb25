/* SPDX-License-Identifier: Apache-2.0
 *
 * isa_conv16_gradient.c - the weight gradient on bf16 tiles, see conv16.h: dw[k][tap][c] = sum over positions m of e[m][k] x[m + tap][c].
 *
 * x is packed once, in pairs of positions [tile of 16 columns][m / 2][16][2]; e is transposed, [k][m]; of it a panel of filters stays in
 * the cache. A tap is a shift of x by whole pairs. What is no output's position is 0 in e, and the padding is 0 in x. So values that are
 * not finite may reach, beside the taps whose windows they lie in, other taps of the same channel and filter at the map's edge.
 */
#include <omp.h>

#include "device/cpu/isa.h"
#include "device/cpu/isa_conv16.h"

#if defined(__AVX512BF16__)

typedef struct work {
    const ghl_conv16_gradient *g;
    const uint16_t *x, *const *e;
    float *const *dw;
    int n;
    char *shared;
} work;

/* What a thread has for itself; x and e where they are not shared. */
typedef struct own {
    uint16_t *x, *e, *copy;
    int32_t *to;   /* [chunk_line] the position in e, from the chunk's first image on, or -1 */
    int32_t *from; /* [length] the element of the padded image */
    float *rows;   /* [GHL_CONV16_STEP * 16][GHL_CONV16_SPAN] of dw */
} own;

typedef struct span {
    int64_t begin, end;
} span;

/* The images of chunk `i` of a group. */
static span chunk_images(const ghl_conv16_gradient *g, int64_t group, int64_t i)
{
    int64_t first = ghl_cpu_part(g->x.n, g->groups, group), last = ghl_cpu_part(g->x.n, g->groups, group + 1);
    span s = {ghl_cpu_min(last, first + i * g->chunk), ghl_cpu_min(last, first + (i + 1) * g->chunk)};
    return s;
}

/* ---- x ---- */

static void lay_out_places(const ghl_conv16_gradient *g, const own *o)
{
    int64_t map = g->y.h * g->y.w, rows = g->form == GHL_CONV16_COLUMNS ? g->y.h : g->height / g->stride[0];
    for (int64_t m = 0; m < g->chunk_line; m++)
        o->to[m] = -1;
    for (int64_t image = 0; image < g->chunk; image++)
        for (int64_t p = 0; p < g->y.h; p++)
            for (int64_t q = 0; q < g->y.w; q++)
                o->to[image * g->each + p * g->line + q] = (int32_t)(image * map + p * g->y.w + q);
    for (int64_t m = 0; m < g->length; m++) {
        int64_t row = ghl_cpu_min(m / g->line, rows - 1) * g->stride[0], column = ghl_cpu_min(m % g->line, g->y.w - 1) * g->stride[1];
        o->from[m] = (int32_t)((row * g->pitch + column) * g->x.c);
    }
}

/* An image, or a band of it, with its padding; returns where it lies. */
static const uint16_t *padded_image(const work *k, const own *o, int64_t image)
{
    const ghl_conv16_gradient *g = k->g;
    int64_t row = g->x.w * g->x.c, front = g->padding[1] * g->x.c, pitch = g->pitch * g->x.c;
    int64_t first = image % g->bands * g->y.h * g->stride[0] - g->top;
    const uint16_t *from = k->x + image / g->bands * g->x.h * row;
    if (g->in_place)
        return from;
    for (int64_t i = 0; i < g->height; i++) {
        uint16_t *to = o->copy + i * pitch;
        if (first + i < 0 || first + i >= g->x.h) {
            conv16_zero(to, pitch);
            continue;
        }
        conv16_zero(to, front);
        conv16_copy(to + front, from + (first + i) * row, row);
        conv16_zero(to + front + row, pitch - front - row);
    }
    conv16_zero(o->copy + g->height * pitch, pitch + 4 * CONV16_DEPTH);
    return o->copy;
}

static void pack_tile(const int32_t *from, int64_t positions, const uint16_t *x, uint16_t *to)
{
    for (int64_t m = 0; m < positions; m += 2, to += CONV16_DEPTH)
        _mm512_storeu_si512(to, conv16_pair(_mm256_loadu_si256((const __m256i *)(x + from[m])),
                                            _mm256_loadu_si256((const __m256i *)(x + from[m + 1]))));
}

/* Image `i` of a chunk, row by row where it can be, for the tiles of a row read the same values. A row of the kernel has `each` tiles of
 * columns in the form COLUMNS. */
static void pack_image(const work *k, const own *o, const uint16_t *image, int64_t i, uint16_t *to)
{
    const ghl_conv16_gradient *g = k->g;
    int64_t row = g->pitch * g->x.c, each = g->form == GHL_CONV16_COLUMNS && g->kernel[0] > 1 ? g->tiles / g->kernel[0] : g->tiles;
    const int64_t some = g->line % 2 == 0 ? g->line : g->length;
    for (int64_t plane = 0; plane < g->planes; plane++)
        for (int64_t m = 0; m < g->length; m += some)
            for (int64_t tile = 0; tile < g->tiles; tile++)
                pack_tile(o->from + m, some, image + (plane + tile / each) * row + tile % each * CONV16_ROWS,
                          to + plane * g->plane + tile * g->tile_line + (i * g->length + m) * CONV16_ROWS);
}

/* Zeros behind the last of a chunk's images. */
static void pack_rest(const ghl_conv16_gradient *g, int64_t images, uint16_t *to)
{
    for (int64_t plane = 0; plane < g->planes; plane++)
        for (int64_t tile = 0; tile < g->tiles; tile++)
            conv16_zero(to + plane * g->plane + tile * g->tile_line + images * g->length * CONV16_ROWS,
                        (g->x_line + g->margin - images * g->length) * CONV16_ROWS);
}

/* ---- e ---- */

/* 16 filters of the 32 positions `at`, of which those outside [0, limit) are zeros -> to [16][e_line] */
static void transpose_tile(const ghl_conv16_gradient *g, const uint16_t *e, const int32_t *at, int64_t limit, __mmask16 mask, uint16_t *to)
{
    static const uint16_t zeros[CONV16_ROWS] __attribute__((aligned(32))) = {0};
    const bool whole = at[0] >= 0 && at[CONV16_DEPTH - 1] - at[0] == CONV16_DEPTH - 1 && at[CONV16_DEPTH - 1] < limit && mask == 0xffff;
    const int64_t pitch = g->y.c;
    __m512i v[16];
    for (int i = 0; i < 16 && whole; i++) {
        const uint16_t *pair = e + (at[0] + 2 * i) * pitch;
        v[i] = conv16_pair(_mm256_loadu_si256((const __m256i *)pair), _mm256_loadu_si256((const __m256i *)(pair + pitch)));
    }
    for (int i = 0; i < 16 && !whole; i++) {
        int64_t a = at[2 * i], b = at[2 * i + 1];
        const uint16_t *pa = a < 0 || a >= limit ? zeros : e + a * pitch, *pb = b < 0 || b >= limit ? zeros : e + b * pitch;
        v[i] = conv16_pair(_mm256_maskz_loadu_epi16(mask, pa), _mm256_maskz_loadu_epi16(mask, pb));
    }
    conv16_transpose_pairs(v);
    for (int i = 0; i < 16; i++)
        _mm512_storeu_si512(to + i * g->e_line, v[i]);
}

/* Filters, 16 each, of the images `s` -> to [16 filters][e_line]. A position's values lie together, and far from the next one's: no
 * hardware foresees them. */
static void transpose_filters(const work *k, const own *o, const uint16_t *e, span s, span filters, uint16_t *to)
{
    const ghl_conv16_gradient *g = k->g;
    const int64_t pitch = g->y.c, limit = (s.end - s.begin) * g->y.h * g->y.w, end = ghl_cpu_min(filters.end * CONV16_ROWS, pitch);
    e += s.begin * g->y.h * g->y.w * pitch;
    for (int64_t m = 0; m < g->chunk_line; m += CONV16_DEPTH) {
        const int32_t *at = o->to + m;
        for (int i = 0; i < CONV16_DEPTH && m + CONV16_DEPTH < g->chunk_line; i++)
            for (int64_t c = filters.begin * CONV16_ROWS; c < end && at[CONV16_DEPTH + i] >= 0; c += CONV16_DEPTH)
                _mm_prefetch((const char *)(e + at[CONV16_DEPTH + i] * pitch + c), _MM_HINT_T0);
        for (int64_t filter = filters.begin; filter < filters.end; filter++) {
            const int64_t valid = pitch - filter * CONV16_ROWS;
            transpose_tile(g, e + filter * CONV16_ROWS, at, limit, valid >= CONV16_ROWS ? 0xffff : (__mmask16)((1 << valid) - 1),
                           to + (filter - filters.begin) * CONV16_ROWS * g->e_line + m);
        }
    }
}

/* ---- Sums ---- */

/* The sums for one panel of filters, one error, the columns' tiles in `c`. */
typedef struct panel {
    const uint16_t *x, *e;      /* packed, transposed */
    int64_t first, filters;     /* tiles of filters */
    int64_t error, group;
    int add;
} panel;

static float *sum_at(const work *k, const panel *p, int64_t tap, int64_t filter, int64_t tile)
{
    const ghl_conv16_gradient *g = k->g;
    if (g->direct)
        return k->dw[p->error] + filter * CONV16_ROWS * g->taps * g->width + tap * g->width + tile * CONV16_ROWS;
    int64_t place = (((p->group * 2 + p->error) * g->taps + tap) * g->filters + filter) * g->tiles + tile;
    return (float *)k->shared + place * CONV16_ROWS * CONV16_ROWS;
}

/* Some columns, taps after taps of a tile, for all of the panel's filters. */
static void sum_columns(const work *k, const panel *p, conv16_product *t, const int64_t *tap, const int64_t *tile, int columns)
{
    const ghl_conv16_gradient *g = k->g;
    for (int j = 0; j < columns; j++)
        t->b[j] = p->x + g->tap[tap[j]].plane * g->plane + tile[j] * g->tile_line + g->tap[tap[j]].shift * CONV16_ROWS;
    for (int64_t filter = 0, rows; filter < p->filters; filter += rows) {
        rows = ghl_cpu_min(p->filters - filter, columns > 3 ? 1 : 2);
        for (int64_t i = 0; i < rows; i++) {
            t->a[i] = p->e + (filter + i) * CONV16_ROWS * g->e_line;
            for (int j = 0; j < columns; j++)
                t->c[i * columns + j] = sum_at(k, p, tap[j], p->first + filter + i, tile[j]);
        }
        GHL_ISA_NAME(ghl_conv16_multiply)(t, (int)rows, columns);
        t->ahead += t->ahead_lines * t->blocks * 64;
    }
}

/* Neighbouring taps of a tile read the same x but for a few rows, so they are done together. */
static void sum_panel(const work *k, const panel *p, span tiles)
{
    const ghl_conv16_gradient *g = k->g;
    const int most = p->filters == 1 ? 4 : 3;
    conv16_product t = {.a_bytes = g->e_line * 2, .a_block = CONV16_DEPTH, .runs = 1, .expect = 1,
                        .blocks = (int)(g->chunk_line / CONV16_DEPTH), .unbroken = g->unbroken,
                        .skip = (g->length - g->each) * CONV16_ROWS, .depth = CONV16_DEPTH, .add = p->add,
                        .c_bytes = g->direct ? g->taps * g->width * 4 : 64};
    int64_t all = (tiles.end - tiles.begin) * g->taps, calls = (p->filters + 1) / 2;
    for (int64_t entry = 0, columns; entry < all; entry += columns) {
        int64_t tap[4], tile[4];
        columns = conv16_next(all - entry, most);
        for (int64_t j = 0; j < columns; j++)
            tap[j] = (entry + j) % g->taps, tile[j] = tiles.begin + (entry + j) / g->taps;
        if (g->shared && entry + columns < all) { /* x of the columns that come next */
            int64_t next = tiles.begin + (entry + columns) / g->taps, count = (columns + g->taps - 1) / g->taps;
            t.ahead = (const char *)(p->x + next * g->tile_line);
            t.ahead_lines = (int)((count * CONV16_ROWS + calls - 1) / calls);
        } else
            t.ahead_lines = 0;
        sum_columns(k, p, &t, tap, tile, (int)columns);
    }
}

/* Adds up the groups' sums, in order, for filter `filter` of error `error`. */
static void finish(const work *k, int64_t error, int64_t filter)
{
    const ghl_conv16_gradient *g = k->g;
    const int64_t next = 2 * g->taps * g->filters * g->tiles * CONV16_ROWS * CONV16_ROWS;
    const panel p = {.error = error};
    float *to = k->dw[error] + filter * g->taps * g->width;
    for (int64_t tap = 0; tap < g->taps; tap++)
        for (int64_t tile = 0; tile < g->tiles; tile++) {
            const float *from = sum_at(k, &p, tap, filter / CONV16_ROWS, tile) + filter % CONV16_ROWS * CONV16_ROWS;
            int64_t left = g->width - tile * CONV16_ROWS;
            __m512 sum = _mm512_loadu_ps(from);
            for (int64_t group = 1; group < g->groups; group++)
                sum = _mm512_add_ps(sum, _mm512_loadu_ps(from + group * next));
            _mm512_mask_storeu_ps(to + tap * g->width + tile * CONV16_ROWS,
                                  left >= CONV16_ROWS ? 0xffff : (__mmask16)((1 << left) - 1), sum);
        }
}

/* ---- The two ways to share the work ---- */

/* Chunk `i` of all that are packed for all threads. */
static uint16_t *shared_x(const work *k, int64_t i)
{
    return (uint16_t *)(k->shared + k->g->x_at + (size_t)i * k->g->x_bytes);
}

static uint16_t *shared_e(const work *k, int64_t i)
{
    return (uint16_t *)(k->shared + k->g->e_at + (size_t)i * k->g->e_bytes);
}

/* Packs x of the chunks from `first` on; other threads may still be at it. */
static void pack_shared_x(const work *k, const own *o, int64_t first, int64_t chunks)
{
    const ghl_conv16_gradient *g = k->g;
    int64_t begin = first * g->chunk, end = ghl_cpu_min(g->x.n, begin + chunks * g->chunk);
#pragma omp for schedule(dynamic, 1) nowait
    for (int64_t image = begin; image < end; image++) {
        uint16_t *to = shared_x(k, (image - begin) / g->chunk);
        pack_image(k, o, padded_image(k, o, image), image % g->chunk, to);
        if (image + 1 == g->x.n || (image + 1) % g->chunk == 0)
            pack_rest(g, image % g->chunk + 1, to);
    }
}

/* The same of an error; at the end all threads have all of it, and of x. */
static void pack_shared_e(const work *k, const own *o, int64_t first, int64_t chunks, int64_t error)
{
    enum { BUNCH = 8 }; /* four cache lines */
    const ghl_conv16_gradient *g = k->g;
    const int64_t bunches = (g->filters + BUNCH - 1) / BUNCH;
#pragma omp for schedule(dynamic, 1)
    for (int64_t i = 0; i < chunks * bunches; i++) {
        int64_t filter = i % bunches * BUNCH, chunk = i / bunches;
        transpose_filters(k, o, k->e[error], chunk_images(g, 0, first + chunk), (span){filter, ghl_cpu_min(filter + BUNCH, g->filters)},
                          shared_e(k, chunk) + filter * CONV16_ROWS * g->e_line);
    }
}

/* A thread has a panel of filters and a part of the columns, of all chunks from `first` on. */
static void sum_panels(const work *k, int64_t first, int64_t chunks, int64_t error)
{
    const ghl_conv16_gradient *g = k->g;
    int64_t panels = (g->filters + g->panel - 1) / g->panel, pieces = (g->tiles + 2) / 3; /* three tiles make full products */
#pragma omp for schedule(dynamic, 1)
    for (int64_t task = 0; task < panels * g->parts; task++) {
        int64_t part = task % g->parts, filter = task / g->parts * g->panel;
        span tiles = {ghl_cpu_part(pieces, g->parts, part) * 3, ghl_cpu_min(ghl_cpu_part(pieces, g->parts, part + 1) * 3, g->tiles)};
        for (int64_t i = 0; i < chunks; i++) {
            const panel p = {.x = shared_x(k, i), .e = shared_e(k, i) + filter * CONV16_ROWS * g->e_line, .first = filter,
                             .filters = ghl_cpu_min(g->panel, g->filters - filter), .error = error, .add = first + i > 0};
            sum_panel(k, &p, tiles);
        }
    }
}

/* x and e packed for all, one error after the other in the same place: what is smaller stays nearer. */
static void by_panels(const work *k, const own *o)
{
    const ghl_conv16_gradient *g = k->g;
    for (int64_t first = 0; first < g->chunks; first += g->at_once) {
        int64_t chunks = ghl_cpu_min(g->at_once, g->chunks - first);
        pack_shared_x(k, o, first, chunks);
        for (int64_t error = 0; error < k->n; error++) {
            pack_shared_e(k, o, first, chunks, error);
            sum_panels(k, first, chunks, error);
        }
    }
}

/* A thread has a group of images, for all filters and columns, and packs for itself. */
static void by_groups(const work *k, const own *o)
{
    const ghl_conv16_gradient *g = k->g;
    const span tiles = {0, g->tiles};
#pragma omp for schedule(dynamic, 1)
    for (int64_t group = 0; group < g->groups; group++)
        for (int64_t chunk = 0; chunk < g->chunks; chunk++) {
            span s = chunk_images(g, group, chunk);
            for (int64_t image = s.begin; image < s.end; image++)
                pack_image(k, o, padded_image(k, o, image), image - s.begin, o->x);
            pack_rest(g, s.end - s.begin, o->x);
            for (int64_t error = 0; error < k->n; error++) {
                const panel p = {.x = o->x, .e = o->e, .filters = g->filters, .error = error, .group = group, .add = chunk > 0};
                transpose_filters(k, o, k->e[error], s, (span){0, g->filters}, o->e);
                sum_panel(k, &p, tiles);
            }
        }
}

static own own_of(const ghl_conv16 *a, void *scratch)
{
    const ghl_conv16_gradient *g = &a->gradient;
    char *mine = (char *)scratch + a->shared_bytes + (size_t)omp_get_thread_num() * a->own_bytes;
    return (own){.x = (uint16_t *)(mine + g->x_at), .e = (uint16_t *)(mine + g->e_at), .copy = (uint16_t *)(mine + g->copy_at),
                 .to = (int32_t *)(mine + g->to_at), .from = (int32_t *)(mine + g->from_at), .rows = (float *)(mine + g->rows_at)};
}

void GHL_ISA_NAME(ghl_conv16_backward_weights)(const void *plan, const uint16_t *x, int n, const uint16_t *const *e, float *const *dw,
                                               void *scratch)
{
    const ghl_conv16 *a = plan;
    const ghl_conv16_gradient *g = &a->gradient;
    const work k = {g, x, e, dw, n, scratch};
#pragma omp parallel
    {
        const own o = own_of(a, scratch);
        conv16_begin(CONV16_DEPTH);
        lay_out_places(g, &o);
        if (g->shared)
            by_panels(&k, &o);
        else
            by_groups(&k, &o);
        if (!g->direct) {
#pragma omp for schedule(static)
            for (int64_t i = 0; i < n * g->y.c; i++)
                finish(&k, i / g->y.c, i % g->y.c);
        }
        conv16_end();
    }
}

/* Filters from `first` on, some columns of them: their sums, in the same order as above, so of equal bits, and w's step. Meanwhile the
 * same rows' next columns are brought in: they are `width` apart. all->g is as wide as o->rows. */
static void step_columns(const work *all, const own *o, const ghl_sgd *step, int64_t first, int64_t filters, span tiles, int64_t width)
{
    const int64_t columns = (tiles.end - tiles.begin) * CONV16_ROWS, at = first * CONV16_ROWS * width + tiles.begin * CONV16_ROWS;
    float *const dw = o->rows - tiles.begin * CONV16_ROWS;
    const work k = {all->g, all->x, all->e, &dw, 1, all->shared};
    for (int64_t i = 0; i < filters * CONV16_ROWS; i++)
        for (int64_t j = columns; j < 2 * columns; j += CONV16_ROWS)
            _mm_prefetch((const char *)(step->w + at + i * width + j), _MM_HINT_T1);
    for (int64_t i = 0; i < k.g->chunks; i++) {
        const panel p = {.x = shared_x(&k, i), .e = shared_e(&k, i) + first * CONV16_ROWS * k.g->e_line, .filters = filters, .add = i > 0};
        sum_panel(&k, &p, tiles);
    }
    for (int64_t i = 0; i < filters * CONV16_ROWS; i++)
        GHL_ISA_NAME(ghl_sgd_step)(step, o->rows + i * GHL_CONV16_SPAN, at + i * width, columns);
}

void GHL_ISA_NAME(ghl_conv16_sgd_product)(const void *plan, const ghl_call *call, int n, const ghl_derived_writing *copies, void *scratch)
{
    enum { TILES = GHL_CONV16_SPAN / CONV16_ROWS };
    const ghl_conv16 *a = plan;
    const ghl_sgd step = GHL_ISA_NAME(ghl_sgd_of)(call);
    const uint16_t *const e = call->in[3].data;
    const int64_t width = a->gradient.width, all = a->gradient.tiles;
    ghl_conv16_gradient g = a->gradient;
    g.width = GHL_CONV16_SPAN;
#pragma omp parallel
    {
        const own o = own_of(a, scratch);
        const work k = {&g, call->in[2].data, &e, NULL, 1, scratch};
        conv16_begin(CONV16_DEPTH);
        lay_out_places(&g, &o);
        pack_shared_x(&k, &o, 0, g.chunks);
        pack_shared_e(&k, &o, 0, g.chunks, 0);
#pragma omp for schedule(static)
        for (int64_t first = 0; first < g.filters; first += GHL_CONV16_STEP)
            for (int64_t tile = 0; tile < all; tile += TILES) {
                const span tiles = {tile, ghl_cpu_min(tile + TILES, all)};
                const int64_t filters = ghl_cpu_min(GHL_CONV16_STEP, g.filters - first);
                step_columns(&k, &o, &step, first, filters, tiles, width);
                for (int i = 0; i < n; i++)
                    GHL_ISA_NAME(ghl_conv16_pack_rows)(copies[i].plan, step.w, first * CONV16_ROWS, filters * CONV16_ROWS,
                                                       tile * CONV16_ROWS, tiles.end * CONV16_ROWS, copies[i].copy);
            }
        conv16_end();
    }
}

#endif
