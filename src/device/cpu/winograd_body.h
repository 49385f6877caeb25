/* SPDX-License-Identifier: Apache-2.0
 *
 * winograd_body.h - F(MxM, 3x3) in the three directions, see winograd.h. Included by isa_winograd2.c and isa_winograd4.c, which say
 * what M is and transform one line of a tile:
 *
 *   input_line    B'  N -> N     output_line   A'  N -> M     filter_line    G   3 -> N        N = M + 2
 *   scatter_line  B   N -> N     error_line    A   M -> N     gradient_line  G'  N -> 3
 *
 * Everything between the transforms lies in blocks of 16 channels: [frequency][channel block][tile or channel][16]. Tiles and output
 * channels are done in blocks whose transforms stay in the last-level cache; only x, w and y touch memory. Backward-data is the forward
 * pass of e with the filters turned round and input and output channels exchanged; or, where the map of e has fewer tiles than that of
 * x, the forward pass's adjoint, dx = sum over tiles of B [ (G w G') * (A e A') ] B', whose tiles overlap.
 */
enum { N = M + 2, FREQUENCIES = N * N, DEPTH_BLOCK = 128, ROW_TASK = 64, TILE_TASK = 64, SKEW = 64 };

/* One direction's view: `in` channels are summed over by the forward product. */
typedef struct pass {
    const ghl_winograd *g;
    ghl_shape from, to;       /* maps: the convolution's input and output here */
    ghl_shape tiled;          /* the one that is cut into tiles of MxM */
    bool adjoint;             /* of the forward pass: `from` is its output */
    int64_t padding[2];
    int64_t tiles_h, tiles_w, tiles, tile_block;
    float *v, *u, *m;         /* transforms of the input; of filters or errors; products */
} pass;

/* What is in the scratch at a time: tiles, and channels in blocks of 16, of input and output. */
typedef struct part {
    int64_t tile, tiles;
    int64_t in, in_blocks;
    int64_t out, out_blocks;
} part;

static int64_t round_up(int64_t n, int64_t unit)
{
    return (n + unit - 1) / unit * unit;
}

/* Floats of one frequency: a little more than needed, so that the frequencies of a place do not fall into one set of the cache. */
static int64_t plane(int64_t channels, int64_t places)
{
    return channels * places + SKEW;
}

typedef struct tile_place {
    int64_t n, h, w; /* image, and first output row and column */
} tile_place;

static tile_place place_of(const pass *p, int64_t tile)
{
    int64_t map = p->tiles_h * p->tiles_w;
    return (tile_place){tile / map, tile % map / p->tiles_w * M, tile % p->tiles_w * M};
}

/* A transform of both directions of a tile [in][in] -> [out][out], from that of a line. */
typedef void line_transform(const ghl_vec *from, int from_step, ghl_vec *to, int to_step);

static inline __attribute__((always_inline)) void square(line_transform *line, int in, int out, const ghl_vec *from, ghl_vec *to)
{
    ghl_vec half[N * N];
    for (int j = 0; j < in; j++)
        line(from + j, in, half + j, in);
    for (int i = 0; i < out; i++)
        line(half + i * in, 1, to + i * out, 1);
}

/* A strip: channels [c, c + GHL_WIDTH) of a part, tiles [begin, end) of its tile block. */
typedef struct strip {
    int64_t c, begin, end;
} strip;

/* Strips of `blocks` blocks of channels. */
static int64_t strips(const pass *p, int64_t blocks)
{
    return blocks * GHL_PARTS * ((p->tile_block + TILE_TASK - 1) / TILE_TASK);
}

static strip strip_at(const pass *p, int64_t blocks, int64_t i)
{
    int64_t columns = blocks * GHL_PARTS, begin = i / columns * TILE_TASK;
    return (strip){i % columns * GHL_WIDTH, begin, ghl_cpu_min(begin + TILE_TASK, p->tile_block)};
}

/* Where a strip begins in a [block][tile][16] plane. */
static int64_t strip_offset(const pass *p, const strip *s)
{
    return (s->c / GHL_LANES * p->tile_block + s->begin) * GHL_LANES + s->c % GHL_LANES;
}

/* Maps are f32 or bf16; element i of one. */
typedef uint16_t halves __attribute__((vector_size(GHL_VECTOR_BYTES / 2), aligned(2), may_alias));
typedef uint32_t words __attribute__((vector_size(GHL_VECTOR_BYTES), may_alias));

static inline __attribute__((always_inline)) ghl_vec load_map(const float *map, int64_t i, int half)
{
    if (!half)
        return GHL_LOAD(map + i);
    return (ghl_vec)(__builtin_convertvector(*(const halves *)((const uint16_t *)map + i), words) << 16);
}

static inline __attribute__((always_inline)) void store_map(float *map, int64_t i, ghl_vec v, int half)
{
    if (half)
        *(halves *)((uint16_t *)map + i) = __builtin_convertvector(ghl_bits_round(v) >> 16, halves);
    else
        GHL_STORE(map + i, v);
}

/* One copy of the code for each dtype of the maps. */
#define BY_DTYPE(function, p, ...) ((p)->g->half ? function(p, __VA_ARGS__, 1) : function(p, __VA_ARGS__, 0))

/* A strip of the part's input channels of the map `data` -> v; zero past the part's tiles. */
static inline __attribute__((always_inline)) void inputs_of(const pass *p, const part *at, const float *data, strip strip, int half)
{
    const ghl_shape s = p->from;
    int64_t step = plane(at->in_blocks * GHL_LANES, p->tile_block);
    float *out = p->v + strip_offset(p, &strip);
    for (int64_t t = strip.begin; t < strip.end; t++, out += GHL_LANES) {
        ghl_vec d[N * N], v[FREQUENCIES];
        tile_place place = place_of(p, at->tile + t);
        int64_t h = place.h - p->padding[0], w = place.w - p->padding[1];
        const int64_t image = place.n * s.h * s.w * s.c + at->in + strip.c;
        bool inside = t < at->tiles && h >= 0 && w >= 0 && h + N <= s.h && w + N <= s.w;
        for (int i = 0; i < N; i++)
            for (int j = 0; j < N; j++) {
                if (inside || (t < at->tiles && h + i >= 0 && h + i < s.h && w + j >= 0 && w + j < s.w))
                    d[i * N + j] = load_map(data, image + ((h + i) * s.w + w + j) * s.c, half);
                else
                    d[i * N + j] = (ghl_vec){0};
            }
        square(input_line, N, N, d, v);
        for (int f = 0; f < FREQUENCIES; f++)
            GHL_STORE(out + f * step, v[f]);
    }
}

static void transform_inputs(const pass *p, const part *at, const float *data, strip strip)
{
    BY_DTYPE(inputs_of, p, at, data, strip);
}

/* m -> a strip of the part's output channels of the map `out`; bias of all channels, or NULL. */
static inline __attribute__((always_inline)) void outputs_of(const pass *p, const part *at, const float *bias, strip strip, float *out,
                                                             int half)
{
    const ghl_shape s = p->to;
    int64_t step = plane(at->out_blocks * GHL_LANES, p->tile_block), channel = at->out + strip.c;
    const float *m = p->m + strip_offset(p, &strip);
    ghl_vec shift = {0};
    if (bias != NULL)
        shift = GHL_LOAD(bias + channel);
    for (int64_t t = strip.begin; t < ghl_cpu_min(strip.end, at->tiles); t++, m += GHL_LANES) {
        ghl_vec product[FREQUENCIES], o[M * M];
        tile_place place = place_of(p, at->tile + t);
        for (int f = 0; f < FREQUENCIES; f++)
            product[f] = GHL_LOAD(m + f * step);
        square(output_line, N, M, product, o);
        for (int i = 0; i < M && place.h + i < s.h; i++)
            for (int j = 0; j < M && place.w + j < s.w; j++)
                store_map(out, ((place.n * s.h + place.h + i) * s.w + place.w + j) * s.c + channel, o[i * M + j] + shift, half);
    }
}

static void transform_outputs(const pass *p, const part *at, const float *bias, strip strip, float *out)
{
    BY_DTYPE(outputs_of, p, at, bias, strip, out);
}

/* A e A' of a strip of the tiled map, whose part begins at channel `first` and has `blocks` blocks -> to; zero past the part's tiles. */
static inline __attribute__((always_inline)) void errors_of(const pass *p, const part *at, const float *e, int64_t first, int64_t blocks,
                                                            strip strip, float *to, int half)
{
    const ghl_shape s = p->tiled;
    int64_t step = plane(blocks * GHL_LANES, p->tile_block);
    float *out = to + strip_offset(p, &strip);
    first += strip.c;
    for (int64_t t = strip.begin; t < strip.end; t++, out += GHL_LANES) {
        ghl_vec d[M * M], u[FREQUENCIES];
        tile_place place = place_of(p, at->tile + t);
        for (int i = 0; i < M; i++)
            for (int j = 0; j < M; j++) {
                d[i * M + j] = (ghl_vec){0};
                if (t < at->tiles && place.h + i < s.h && place.w + j < s.w)
                    d[i * M + j] = load_map(e, ((place.n * s.h + place.h + i) * s.w + place.w + j) * s.c + first, half);
            }
        square(error_line, M, N, d, u);
        for (int f = 0; f < FREQUENCIES; f++)
            GHL_STORE(out + f * step, u[f]);
    }
}

static void transform_errors(const pass *p, const part *at, const float *e, int64_t first, int64_t blocks, strip strip, float *to)
{
    BY_DTYPE(errors_of, p, at, e, first, blocks, strip, to);
}

/* m -> channels [c, c + GHL_WIDTH) of the map `out`, f32: all tiles of the part, in order, because they overlap. The first part clears. */
static void scatter_outputs(const pass *p, const part *at, int64_t c, float *out)
{
    const ghl_shape s = p->to;
    int64_t step = plane(at->out_blocks * GHL_LANES, p->tile_block);
    const float *m = p->m + c / GHL_LANES * p->tile_block * GHL_LANES + c % GHL_LANES;
    out += at->out + c;
    for (int64_t i = 0; at->tile == 0 && i < s.n * s.h * s.w; i++)
        GHL_STORE(out + i * s.c, (ghl_vec){0});
    for (int64_t t = 0; t < at->tiles; t++, m += GHL_LANES) {
        ghl_vec product[FREQUENCIES], d[N * N];
        tile_place place = place_of(p, at->tile + t);
        int64_t h = place.h - p->padding[0], w = place.w - p->padding[1];
        for (int f = 0; f < FREQUENCIES; f++)
            product[f] = GHL_LOAD(m + f * step);
        square(scatter_line, N, N, product, d);
        for (int i = 0; i < N; i++)
            for (int j = 0; j < N; j++)
                if (h + i >= 0 && h + i < s.h && w + j >= 0 && w + j < s.w) {
                    float *to = out + ((place.n * s.h + h + i) * s.w + w + j) * s.c;
                    GHL_STORE(to, GHL_LOAD(to) + d[i * N + j]);
                }
    }
}

/* Forward: 16 filters and 16 channels of the part -> u[frequency][out block][channel][filter]. */
static void transform_filters(const pass *p, const part *at, const float *w, int64_t i)
{
    int64_t in = at->in_blocks * GHL_LANES, step = plane(at->out_blocks * GHL_LANES, in);
    int64_t block = i / at->in_blocks, c = i % at->in_blocks * GHL_LANES, first = at->out + block * GHL_LANES;
    float turned[FREQUENCIES][GHL_LANES][GHL_LANES];
    for (int lane = 0; lane < GHL_LANES * GHL_PARTS; lane++) {
        int k = lane / GHL_PARTS, from = lane % GHL_PARTS * GHL_WIDTH;
        ghl_vec taps[9], out[FREQUENCIES];
        for (int tap = 0; tap < 9; tap++)
            taps[tap] = GHL_LOAD(w + ((first + k) * 9 + tap) * p->from.c + at->in + c + from);
        square(filter_line, 3, N, taps, out);
        for (int f = 0; f < FREQUENCIES; f++)
            for (int j = 0; j < GHL_WIDTH; j++)
                turned[f][from + j][k] = out[f][j];
    }
    for (int f = 0; f < FREQUENCIES; f++)
        memcpy(p->u + f * step + (block * in + c) * GHL_LANES, turned[f], sizeof turned[f]);
}

/* Backward: here the filters are the input channels -> u[frequency][out block][filter][channel]; turned by half a turn unless adjoint. */
static void transform_filters_back(const pass *p, const part *at, const float *w, int64_t i)
{
    int64_t in = at->in_blocks * GHL_LANES, step = plane(at->out_blocks * GHL_LANES, in);
    int64_t block = i / at->in_blocks, first = i % at->in_blocks * GHL_LANES, c = at->out + block * GHL_LANES;
    for (int lane = 0; lane < GHL_LANES * GHL_PARTS; lane++) {
        int64_t k = first + lane / GHL_PARTS, from = lane % GHL_PARTS * GHL_WIDTH;
        ghl_vec taps[9], out[FREQUENCIES];
        for (int tap = 0; tap < 9; tap++)
            taps[p->adjoint ? tap : 8 - tap] = GHL_LOAD(w + ((at->in + k) * 9 + tap) * p->to.c + c + from);
        square(filter_line, 3, N, taps, out);
        for (int f = 0; f < FREQUENCIES; f++)
            GHL_STORE(p->u + f * step + (block * in + k) * GHL_LANES + from, out[f]);
    }
}

/* m[f][out block][tile] (+)= sum over the part's input channels, for tiles [begin, end). A panel of u stays in the first-level cache. */
static void multiply_rows(const pass *p, const part *at, int64_t f, int64_t begin, int64_t end)
{
    int64_t in = at->in_blocks * GHL_LANES, rows = p->tile_block;
    const float *v = p->v + f * plane(in, rows), *u = p->u + f * plane(at->out_blocks * GHL_LANES, in);
    float *m = p->m + f * plane(at->out_blocks * GHL_LANES, rows);
    for (int64_t depth = 0; depth < in; depth += DEPTH_BLOCK)
        for (int64_t block = 0, n; block < at->out_blocks; block += n) {
            n = ghl_tile_blocks(at->out_blocks - block);
            ghl_tile t = {.b = u + (block * in + depth) * GHL_LANES, .group_step = rows * GHL_LANES, .b_block = in * GHL_LANES,
                          .c_block = rows * GHL_LANES, .c_row = GHL_LANES, .groups = ghl_cpu_min(DEPTH_BLOCK, in - depth) / GHL_LANES};
            for (int64_t row = begin; row < end; row += GHL_TILE_ROWS) {
                t.a = v + (depth / GHL_LANES * rows + row) * GHL_LANES;
                t.c = m + (block * rows + row) * GHL_LANES;
                ghl_tile_rows(&t, GHL_LANES, n, at->in > 0 || depth > 0);
            }
        }
}

typedef void transform_weights(const pass *p, const part *at, const float *w, int64_t i);

typedef struct correlation {
    const float *data, *w, *bias;
    transform_weights *transform;
    float *out;
} correlation;

/* m (+)= the part's input channels. Inside a parallel region. */
static void correlate_inputs(const pass *p, const part *at, const correlation *c, bool weights_there)
{
    int64_t parts = (p->tile_block + ROW_TASK - 1) / ROW_TASK, filters = weights_there ? 0 : at->in_blocks * at->out_blocks;
    int64_t strip_count = strips(p, at->in_blocks);
#pragma omp for schedule(static)
    for (int64_t i = 0; i < filters + strip_count; i++) {
        if (i < filters)
            c->transform(p, at, c->w, i);
        else if (p->adjoint)
            transform_errors(p, at, c->data, at->in, at->in_blocks, strip_at(p, at->in_blocks, i - filters), p->v);
        else
            transform_inputs(p, at, c->data, strip_at(p, at->in_blocks, i - filters));
    }
#pragma omp for schedule(dynamic)
    for (int64_t i = 0; i < FREQUENCIES * parts; i++)
        multiply_rows(p, at, i / parts, i % parts * ROW_TASK, ghl_cpu_min(p->tile_block, (i % parts + 1) * ROW_TASK));
}

/* The transforms of outputs need no barrier behind them: they read m, which changes only after the next barrier. */
static void correlate(const pass *p, const correlation *c)
{
    int64_t in_block = p->g->in_block, out_block = p->g->out_block;
#pragma omp parallel
    for (int64_t out = 0; out < p->to.c; out += out_block)
        for (int64_t tile = 0; tile < p->tiles; tile += p->tile_block) {
            part at = {.tile = tile, .tiles = ghl_cpu_min(p->tile_block, p->tiles - tile), .out = out,
                       .out_blocks = ghl_cpu_min(out_block, p->to.c - out) / GHL_LANES};
            for (int64_t in = 0; in < p->from.c; in += in_block) {
                at.in = in;
                at.in_blocks = ghl_cpu_min(in_block, p->from.c - in) / GHL_LANES;
                correlate_inputs(p, &at, c, tile > 0 && in_block >= p->from.c);
            }
            int64_t tasks = p->adjoint ? at.out_blocks * GHL_PARTS : strips(p, at.out_blocks);
#pragma omp for schedule(static) nowait
            for (int64_t i = 0; i < tasks; i++) {
                if (p->adjoint)
                    scatter_outputs(p, &at, i * GHL_WIDTH, c->out);
                else
                    transform_outputs(p, &at, c->bias, strip_at(p, at.out_blocks, i), c->out);
            }
        }
}

/* `tiled`: the map that is cut into tiles of MxM. */
static pass pass_of(const ghl_winograd *g, ghl_shape tiled, float *scratch)
{
    pass p = {.g = g, .from = g->x, .to = g->y, .tiled = tiled, .padding = {g->padding[0], g->padding[1]},
              .tiles_h = (tiled.h + M - 1) / M, .tiles_w = (tiled.w + M - 1) / M};
    p.tiles = tiled.n * p.tiles_h * p.tiles_w;
    p.tile_block = ghl_cpu_min(g->tile_block, round_up(p.tiles, GHL_LANES));
    p.v = scratch + g->input_at;
    p.u = scratch + g->other_at;
    p.m = scratch + g->product_at;
    return p;
}

static void forward(const void *plan, const float *x, const float *w, const float *bias, float *y, float *scratch)
{
    const ghl_winograd *g = plan;
    pass p = pass_of(g, g->y, scratch);
    correlate(&p, &(correlation){.data = x, .w = w, .bias = bias, .transform = transform_filters, .out = y});
}

static void backward_data(const void *plan, const float *e, const float *w, float *dx, float *scratch)
{
    const ghl_winograd *g = plan;
    pass p = pass_of(g, g->adjoint ? g->y : g->x, scratch);
    p.from = g->y;
    p.to = g->x;
    p.adjoint = g->adjoint;
    for (int i = 0; i < 2 && !g->adjoint; i++)
        p.padding[i] = 2 - g->padding[i];
    correlate(&p, &(correlation){.data = e, .w = w, .transform = transform_filters_back, .out = dx});
}

/* ---- Weight gradient ---- */

/* m[f][in block][filter][16] (+)= sum over tiles, for filters [begin, end) of the part. A panel of v stays in the first-level cache. */
static void multiply_tiles(const pass *p, const part *at, int64_t f, int64_t begin, int64_t end)
{
    int64_t tiles = p->tile_block, in = at->in_blocks * GHL_LANES, rows = at->out_blocks * GHL_LANES;
    const float *e = p->u + f * plane(rows, tiles), *v = p->v + f * plane(in, tiles);
    float *m = p->m + f * plane(in, rows);
    for (int64_t depth = 0; depth < tiles; depth += DEPTH_BLOCK)
        for (int64_t block = 0, n; block < at->in_blocks; block += n) {
            n = ghl_tile_blocks(at->in_blocks - block);
            ghl_tile t = {.b = v + (block * tiles + depth) * GHL_LANES, .group_step = GHL_LANES * GHL_LANES,
                          .b_block = tiles * GHL_LANES, .c_block = rows * GHL_LANES, .c_row = GHL_LANES,
                          .groups = ghl_cpu_min(DEPTH_BLOCK, tiles - depth) / GHL_LANES};
            for (int64_t row = begin; row < end; row += GHL_TILE_ROWS) {
                t.a = e + (row / GHL_LANES * tiles + depth) * GHL_LANES + row % GHL_LANES;
                t.c = m + (block * rows + row) * GHL_LANES;
                ghl_tile_channels(&t, n, at->tile > 0 || depth > 0);
            }
        }
}

/* G' m G: m[f][block][k][16] -> dw[k][3][3][channels from `first` on, GHL_WIDTH of them]. */
static void transform_gradient(const pass *p, const part *at, int64_t k, int64_t first, float *dw)
{
    int64_t c = p->from.c, rows = at->out_blocks * GHL_LANES, step = plane(at->in_blocks * GHL_LANES, rows);
    const float *m = p->m + (first / GHL_LANES * rows + k) * GHL_LANES + first % GHL_LANES;
    ghl_vec product[FREQUENCIES], taps[9];
    for (int f = 0; f < FREQUENCIES; f++)
        product[f] = GHL_LOAD(m + f * step);
    square(gradient_line, N, 3, product, taps);
    for (int tap = 0; tap < 9; tap++)
        GHL_STORE(dw + ((at->out + k) * 9 + tap) * c + at->in + first, taps[tap]);
}

/* All tiles of the part's channels. Inside a parallel region. */
static void gradient_part(const pass *p, part *at, const float *x, const float *e, float *dw)
{
    int64_t rows = at->out_blocks * GHL_LANES, parts = (rows + ROW_TASK - 1) / ROW_TASK;
    int64_t inputs = strips(p, at->in_blocks), errors = strips(p, at->out_blocks);
    for (at->tile = 0; at->tile < p->tiles; at->tile += p->tile_block) {
        at->tiles = ghl_cpu_min(p->tile_block, p->tiles - at->tile);
#pragma omp for schedule(static)
        for (int64_t i = 0; i < inputs + errors; i++) {
            if (i < inputs)
                transform_inputs(p, at, x, strip_at(p, at->in_blocks, i));
            else
                transform_errors(p, at, e, at->out, at->out_blocks, strip_at(p, at->out_blocks, i - inputs), p->u);
        }
#pragma omp for schedule(dynamic)
        for (int64_t i = 0; i < FREQUENCIES * parts; i++)
            multiply_tiles(p, at, i / parts, i % parts * ROW_TASK, ghl_cpu_min(rows, (i % parts + 1) * ROW_TASK));
    }
#pragma omp for schedule(static) nowait
    for (int64_t i = 0; i < at->in_blocks * GHL_PARTS * rows; i++)
        transform_gradient(p, at, i / (at->in_blocks * GHL_PARTS), i % (at->in_blocks * GHL_PARTS) * GHL_WIDTH, dw);
}

static void backward_weights(const void *plan, const float *x, const float *e, float *dw, float *scratch)
{
    const ghl_winograd *g = plan;
    pass p = pass_of(g, g->y, scratch);
#pragma omp parallel
    for (int64_t out = 0; out < g->y.c; out += g->out_block)
        for (int64_t in = 0; in < g->x.c; in += g->in_block) {
            part at = {.in = in, .in_blocks = ghl_cpu_min(g->in_block, g->x.c - in) / GHL_LANES, .out = out,
                       .out_blocks = ghl_cpu_min(g->out_block, g->y.c - out) / GHL_LANES};
            gradient_part(&p, &at, x, e, dw);
        }
}
