/* SPDX-License-Identifier: Apache-2.0
 *
 * isa_pool.c - maximum and mean over windows and their adjoints, a strip of channels at a time, channels in vectors.
 *
 * The maximum is taken along the rows of the image and then down the columns, so that windows which overlap share the former: a ring holds
 * the rows that the next windows still need. Going along rows first finds the first among equals. Numbers are compared as integers in
 * their own width, keys(): 32 channels of bf16 lie in one register of AVX-512. The adjoints gather, so that no two threads write one
 * element; a ring holds the errors, widened once. Window by window, what is chosen is added under a mask.
 */
#include <string.h>

#include "device/cpu/isa_half.h"

enum { AHEAD_BYTES = 4096, NOTHING = 255, MOST_ROWS = 255 /* an index is a byte */, MOST_UNITS = 4 };

typedef int16_t short_keys __attribute__((vector_size(GHL_VECTOR_BYTES), may_alias));
typedef int32_t long_keys __attribute__((vector_size(GHL_VECTOR_BYTES), may_alias));
typedef uint8_t short_bytes __attribute__((vector_size(GHL_VECTOR_BYTES / 2), aligned(1), may_alias));
typedef uint8_t long_bytes __attribute__((vector_size(GHL_VECTOR_BYTES / 4), aligned(1), may_alias));
typedef uint16_t byte_pairs __attribute__((vector_size(GHL_VECTOR_BYTES / 2), aligned(1), may_alias)); /* of a unit of bytes */

typedef struct span {
    int64_t begin, end;
} span;

/* Taps of the window at output place `at` that lie inside an axis of `size`. */
static span taps_inside(int64_t at, int64_t kernel, int64_t stride, int64_t padding, int64_t size)
{
    int64_t first = at * stride - padding;
    return (span){first < 0 ? -first : 0, first + kernel > size ? size - first : kernel};
}

/* Output places whose window covers input place `at`. */
static span windows_over(int64_t at, int64_t kernel, int64_t stride, int64_t padding, int64_t outputs)
{
    int64_t last = (at + padding) / stride, low = at + padding - kernel + 1;
    span s = {low <= 0 ? 0 : (low + stride - 1) / stride, last + 1 < outputs ? last + 1 : outputs};
    return s;
}

typedef struct geometry {
    ghl_shape x, y;
    int64_t kernel[2], stride[2], padding[2];
} geometry;

static geometry geometry_of(const ghl_call *call, ghl_shape x, ghl_shape y)
{
    geometry g = {.x = x, .y = y};
    for (int i = 0; i < 2; i++) {
        g.kernel[i] = call->attr.window.kernel[i];
        g.stride[i] = call->attr.window.stride[i];
        g.padding[i] = call->attr.window.padding[i];
    }
    return g;
}

static span rows_inside(const geometry *g, int64_t p)
{
    return taps_inside(p, g->kernel[0], g->stride[0], g->padding[0], g->x.h);
}

static span columns_inside(const geometry *g, int64_t q)
{
    return taps_inside(q, g->kernel[1], g->stride[1], g->padding[1], g->x.w);
}

/* ---- Maximum ---- */

/* Integers in the order of the numbers: sign and magnitude become two's complement, so that both zeros are 0; then all move down, past
 * the end of the range, until NaN of either sign are the largest, and those become one. `smaller`, `take`: by lanes; take_further:
 * the number of the tap that is taken is so much higher. */
enum { SHORT_SHIFT = 0x80, SHORT_NAN = 0x7FC0 - SHORT_SHIFT, LONG_SHIFT = 0x800000, LONG_NAN = 0x7FC00000 - LONG_SHIFT };

#if defined(__AVX512F__)
static GHL_CPU_BODY ghl_bits smaller(ghl_bits a, ghl_bits b, int half)
{
    return (ghl_bits)(half ? _mm512_min_epi16((__m512i)a, (__m512i)b) : _mm512_min_epi32((__m512i)a, (__m512i)b));
}

static GHL_CPU_BODY void take(ghl_bits *best, ghl_bits *winner, ghl_bits key, ghl_bits tap, int half)
{
    const __m512i k = (__m512i)key, b = (__m512i)*best, w = (__m512i)*winner, t = (__m512i)tap;
    *best = (ghl_bits)(half ? _mm512_max_epi16(k, b) : _mm512_max_epi32(k, b));
    *winner = (ghl_bits)(half ? _mm512_mask_mov_epi16(w, _mm512_cmpgt_epi16_mask(k, b), t)
                              : _mm512_mask_mov_epi32(w, _mm512_cmpgt_epi32_mask(k, b), t));
}

static GHL_CPU_BODY void take_further(ghl_bits *best, ghl_bits *winner, ghl_bits key, ghl_bits tap, int further, int half)
{
    const __m512i k = (__m512i)key, b = (__m512i)*best, w = (__m512i)*winner, t = (__m512i)tap;
    *best = (ghl_bits)(half ? _mm512_max_epi16(k, b) : _mm512_max_epi32(k, b));
    *winner = (ghl_bits)(half ? _mm512_mask_add_epi16(w, _mm512_cmpgt_epi16_mask(k, b), t, _mm512_set1_epi16((short)further))
                              : _mm512_mask_add_epi32(w, _mm512_cmpgt_epi32_mask(k, b), t, _mm512_set1_epi32(further)));
}
#else
static GHL_CPU_BODY ghl_bits larger(ghl_bits a, ghl_bits b, int half)
{
    return half ? (ghl_bits)((short_keys)a > (short_keys)b) : (ghl_bits)((long_keys)a > (long_keys)b);
}

static GHL_CPU_BODY ghl_bits smaller(ghl_bits a, ghl_bits b, int half)
{
    const ghl_bits mask = larger(a, b, half);
    return (b & mask) | (a & ~mask);
}

static GHL_CPU_BODY void take(ghl_bits *best, ghl_bits *winner, ghl_bits key, ghl_bits tap, int half)
{
    const ghl_bits mask = larger(key, *best, half);
    *best = (key & mask) | (*best & ~mask);
    *winner = (tap & mask) | (*winner & ~mask);
}

static GHL_CPU_BODY void take_further(ghl_bits *best, ghl_bits *winner, ghl_bits key, ghl_bits tap, int further, int half)
{
    take(best, winner, key, half ? (ghl_bits)((short_keys)tap + (int16_t)further) : (ghl_bits)(tap + (uint32_t)further), half);
}
#endif

/* The same number in all lanes. */
static GHL_CPU_BODY ghl_bits all_lanes(int64_t v, int half)
{
    return half ? (ghl_bits)((short_keys){0} + (int16_t)v) : (ghl_bits)((long_keys){0} + (int32_t)v);
}

static GHL_CPU_BODY ghl_bits plus(ghl_bits a, ghl_bits b, int half)
{
    return half ? (ghl_bits)((short_keys)a + (short_keys)b) : (ghl_bits)(a + b);
}

static GHL_CPU_BODY ghl_bits keys(ghl_bits x, int half)
{
    ghl_bits k;
    if (half) {
        const short_keys sign = (short_keys)x >> 15;
        k = (ghl_bits)((((short_keys)x & 0x7FFF) ^ sign) - sign - SHORT_SHIFT);
    } else {
        const long_keys sign = (long_keys)x >> 31;
        k = (ghl_bits)(((long_keys)((x & 0x7FFFFFFFu)) ^ sign) - sign - LONG_SHIFT);
    }
    return smaller(k, all_lanes(half ? SHORT_NAN : LONG_NAN, half), half);
}

static GHL_CPU_BODY ghl_bits numbers(ghl_bits key, int half)
{
    if (half) {
        const short_keys k = (short_keys)key + SHORT_SHIFT, sign = k >> 15;
        return (ghl_bits)(((k ^ sign) - sign) | (sign & (int16_t)0x8000));
    }
    const long_keys k = (long_keys)key + LONG_SHIFT, sign = k >> 31;
    return (ghl_bits)((k ^ sign) - sign) | ((ghl_bits)sign & 0x80000000u);
}

static GHL_CPU_BODY void store_indices(uint8_t *to, ghl_bits winner, int half)
{
    if (half)
        *(short_bytes *)to = __builtin_convertvector((short_keys)winner, short_bytes);
    else
        *(long_bytes *)to = __builtin_convertvector((long_keys)winner, long_bytes);
}

/* A strip of channels [at, at + n), seen as vectors of `lanes`; what a thread keeps of it. */
typedef struct strip {
    int64_t at, n, lanes, vectors;
    int64_t ahead;     /* bytes from what is loaded to what is asked for */
    span *columns;     /* of each place of a row that is written */
    ghl_bits *row;     /* [W][vectors]: keys of one row of x */
    ghl_bits *ring;    /* [kernel][Q][vectors][2]: the largest key along a row and its column in the window */
} strip;

/* The keys of one vector of x, or of the `left` numbers that its strip ends with. */
static GHL_CPU_BODY ghl_bits load_keys(const strip *s, const void *from, int64_t left, int half)
{
    ghl_bits some = {0};
    if (left < s->lanes)
        memcpy(&some, from, (size_t)left * (half ? 2 : 4));
    else
        some = (ghl_bits)*(const ghl_bits_loose *)from;
    __builtin_prefetch((const char *)from + s->ahead);
    return keys(some, half);
}

static GHL_CPU_BODY void store_largest(const strip *s, ghl_bits best, ghl_bits winner, int64_t left, void *y, uint8_t *index, int half)
{
    best = numbers(best, half);
    if (left < s->lanes) {
        uint8_t bytes[GHL_UNIT];
        store_indices(bytes, winner, half);
        memcpy(y, &best, (size_t)left * (half ? 2 : 4));
        memcpy(index, bytes, (size_t)left);
    } else {
        *(ghl_bits_loose *)y = best;
        store_indices(index, winner, half);
    }
}

/* n columns of a window, the first of them its column `begin`; n is a constant in most calls. */
static GHL_CPU_BODY void largest_of_columns(const ghl_bits *from, int64_t vectors, int64_t n, int64_t begin, ghl_bits *to, int half)
{
    const ghl_bits base = all_lanes(begin, half);
    for (int64_t v = 0; v < vectors; v++, from++, to += 2) {
        ghl_bits best = from[0], winner = all_lanes(0, half);
#pragma GCC unroll 4
        for (int64_t i = 1; i < n; i++)
            take(&best, &winner, from[i * vectors], all_lanes(i, half), half);
        to[0] = best;
        to[1] = plus(winner, base, half);
    }
}

/* One row of x [W,C]: keys, and for each window the largest of its columns. */
static GHL_CPU_BODY void along_row(const geometry *g, const strip *s, const void *x, ghl_bits *to, int half)
{
    for (int64_t w = 0; w < g->x.w; w++)
        for (int64_t v = 0; v < s->vectors; v++) {
            const void *from = ghl_at(x, w * g->x.c + s->at + v * s->lanes, half);
            s->row[w * s->vectors + v] = load_keys(s, from, s->n - v * s->lanes, half);
        }
    for (int64_t q = 0; q < g->y.w; q++, to += 2 * s->vectors) {
        const span columns = s->columns[q];
        const ghl_bits *from = s->row + (q * g->stride[1] - g->padding[1] + columns.begin) * s->vectors;
        if (columns.end - columns.begin == 2)
            largest_of_columns(from, s->vectors, 2, columns.begin, to, half);
        else if (columns.end - columns.begin == 3)
            largest_of_columns(from, s->vectors, 3, columns.begin, to, half);
        else if (columns.end - columns.begin == 4)
            largest_of_columns(from, s->vectors, 4, columns.begin, to, half);
        else
            largest_of_columns(from, s->vectors, columns.end - columns.begin, columns.begin, to, half);
    }
}

/* One row of y [Q,C] and its indices, from `n` rows of the ring, the first of which has `first` for its first tap. With relu, 0 is there
 * before all of them. */
static GHL_CPU_BODY void largest_of_rows(const geometry *g, const strip *s, const ghl_bits *const *ring, int n, int64_t first, int relu,
                                         void *y, uint8_t *index, int half)
{
    ghl_bits base[MOST_ROWS];
    for (int r = 0; r < n; r++)
        base[r] = all_lanes(first + r * g->kernel[1], half);
    for (int64_t q = 0; q < g->y.w; q++)
        for (int64_t v = 0; v < s->vectors; v++) {
            const int64_t from = (q * s->vectors + v) * 2;
            const int64_t at = q * g->y.c + s->at + v * s->lanes;
            ghl_bits best = all_lanes(half ? -SHORT_SHIFT : -LONG_SHIFT, half), winner = all_lanes(NOTHING, half);
            if (!relu) {
                best = ring[0][from];
                winner = plus(ring[0][from + 1], base[0], half);
            }
#pragma GCC unroll 4
            for (int r = relu ? 0 : 1; r < n; r++)
                take(&best, &winner, ring[r][from], plus(ring[r][from + 1], base[r], half), half);
            store_largest(s, best, winner, s->n - v * s->lanes, ghl_at(y, at, half), index + at, half);
        }
}

/* The rows of the ring that the windows of row p see. */
static GHL_CPU_BODY void down_columns(const geometry *g, const strip *s, int64_t p, int relu, void *y, uint8_t *index, int half)
{
    const span rows = rows_inside(g, p);
    const int n = (int)(rows.end - rows.begin);
    const ghl_bits *ring[MOST_ROWS];
    for (int r = 0; r < n; r++)
        ring[r] = s->ring + (p * g->stride[0] - g->padding[0] + rows.begin + r) % g->kernel[0] * g->y.w * s->vectors * 2;
    if (n == 2)
        largest_of_rows(g, s, ring, 2, rows.begin * g->kernel[1], relu, y, index, half);
    else if (n == 3)
        largest_of_rows(g, s, ring, 3, rows.begin * g->kernel[1], relu, y, index, half);
    else if (n == 4)
        largest_of_rows(g, s, ring, 4, rows.begin * g->kernel[1], relu, y, index, half);
    else
        largest_of_rows(g, s, ring, n, rows.begin * g->kernel[1], relu, y, index, half);
}

/* One place of y and its indices by itself; `x` is where the window's first tap lies. */
static GHL_CPU_BODY void largest_of_window(const geometry *g, const strip *s, const void *x, span rows, span columns, int relu, void *y,
                                           uint8_t *index, int half)
{
    for (int64_t v = 0; v < s->vectors; v++) {
        const int64_t at = s->at + v * s->lanes, left = s->n - v * s->lanes;
        ghl_bits best = all_lanes(half ? -SHORT_SHIFT : -LONG_SHIFT, half), winner = all_lanes(NOTHING, half);
#pragma GCC unroll 2
        for (int64_t r = rows.begin; r < rows.end; r++)
#pragma GCC unroll 2
            for (int64_t c = columns.begin; c < columns.end; c++) {
                const ghl_bits key = load_keys(s, ghl_at(x, (r * g->x.w + c) * g->x.c + at, half), left, half);
                const ghl_bits tap = all_lanes(r * g->kernel[1] + c, half);
                if (!relu && r == rows.begin && c == columns.begin) { /* minus infinity, the least key of all, may be the largest here */
                    best = key;
                    winner = tap;
                } else
                    take(&best, &winner, key, tap, half);
            }
        store_largest(s, best, winner, left, ghl_at(y, at, half), index + at, half);
    }
}

/* One row of y and its indices, of windows that share nothing: without a ring. */
static GHL_CPU_BODY void apart(const geometry *g, const strip *s, const void *image, int64_t p, int relu, void *y, uint8_t *index, int half)
{
    const span rows = rows_inside(g, p), two = {0, 2};
    const int64_t first = (p * g->stride[0] - g->padding[0]) * g->x.w - g->padding[1];
    const int both = g->kernel[0] == 2 && rows.end - rows.begin == 2;
    for (int64_t q = 0; q < g->y.w; q++) {
        const span columns = s->columns[q];
        const void *x = ghl_at(image, (first + q * g->stride[1]) * g->x.c, half);
        void *to = ghl_at(y, q * g->y.c, half);
        if (both && g->kernel[1] == 2 && columns.end - columns.begin == 2)
            largest_of_window(g, s, x, two, two, relu, to, index + q * g->y.c, half);
        else
            largest_of_window(g, s, x, rows, columns, relu, to, index + q * g->y.c, half);
    }
}

/* ---- Windows of 4 x 4 taps, 2 apart, with one row and column around: two neighbours share a pair of columns or of rows ---- */

static int paired(const geometry *g)
{
    int all = g->x.w >= 4;
    for (int i = 0; i < 2; i++)
        all = all && g->kernel[i] == 4 && g->stride[i] == 2 && g->padding[i] == 1;
    return all && g->x.h == 2 * g->y.h && g->x.w == 2 * g->y.w;
}

/* Columns 2j - 1, where `left`, and 2j, where `right`, of the rows [begin, end) among two: their largest is kept for the next j, and
 * makes, with what was kept of the last, the largest of window j - 1. */
static GHL_CPU_BODY void largest_of_pairs(const geometry *g, const strip *s, const void *rows, int begin, int end, int64_t j, int left,
                                          int right, ghl_bits *to, int half)
{
    for (int64_t v = 0; v < s->vectors; v++) {
        ghl_bits *kept = s->row + 4 * v, best[2] = {{0}}, winner[2] = {{0}};
        const int64_t n = s->n - v * s->lanes;
#pragma GCC unroll 2
        for (int r = begin; r < end; r++) {
            const void *from = ghl_at(rows, (r * g->x.w + 2 * j - 1) * g->x.c + s->at + v * s->lanes, half);
            ghl_bits pair = {0}, tap = all_lanes(!left, half);
            if (left)
                pair = load_keys(s, from, n, half);
            if (left && right)
                take(&pair, &tap, load_keys(s, ghl_at(from, g->x.c, half), n, half), all_lanes(1, half), half);
            else if (right)
                pair = load_keys(s, ghl_at(from, g->x.c, half), n, half);
            if (left) {
                best[r] = kept[2 * r];
                winner[r] = kept[2 * r + 1];
                take_further(&best[r], &winner[r], pair, tap, 2, half);
            }
            kept[2 * r] = pair;
            kept[2 * r + 1] = tap;
        }
        if (begin == 0 && end == 2)
            take_further(&best[0], &winner[0], best[1], winner[1], 4, half);
        if (left) {
            ghl_bits *window = to + ((j - 1) * s->vectors + v) * 2;
            window[0] = best[begin];
            window[1] = begin == 0 ? winner[begin] : plus(winner[begin], all_lanes(4, half), half);
        }
    }
}

/* Rows 2i - 1 and 2i of x, those that there are: for each window the largest of its columns. */
static GHL_CPU_BODY void along_pair(const geometry *g, const strip *s, const void *image, int64_t i, ghl_bits *to, int half)
{
    const int begin = i == 0, end = 2 * i < g->x.h ? 2 : 1, both = begin == 0 && end == 2;
    const void *rows = ghl_at(image, (2 * i - 1) * g->x.w * g->x.c, half);
    largest_of_pairs(g, s, rows, begin, end, 0, 0, 1, to, half);
    for (int64_t j = 1; j < g->y.w; j++)
        if (both)
            largest_of_pairs(g, s, rows, 0, 2, j, 1, 1, to, half);
        else
            largest_of_pairs(g, s, rows, begin, end, j, 1, 1, to, half);
    largest_of_pairs(g, s, rows, begin, end, g->y.w, 1, 0, to, half);
}

/* Rows [begin, end) of y and their indices. */
static GHL_CPU_BODY void max_pool_pairs(const ghl_call *call, const geometry *g, const strip *s, int64_t begin, int64_t end, int half)
{
    const int64_t each = g->y.w * s->vectors * 2; /* of the ring, which holds two pairs of rows */
    for (int64_t row = begin, ready = 0; row < end; row++) {
        const int64_t p = row % g->y.h;
        const void *image = ghl_at(call->in[0].data, row / g->y.h * g->x.h * g->x.w * g->x.c, half);
        const ghl_bits *upper = s->ring + p % 2 * each, *lower = s->ring + (p + 1) % 2 * each;
        ready = row == begin || p == 0 ? p : ready;
        for (; ready < p + 2; ready++)
            along_pair(g, s, image, ready, s->ring + ready % 2 * each, half);
        for (int64_t q = 0; q < g->y.w; q++)
            for (int64_t v = 0; v < s->vectors; v++, upper += 2, lower += 2) {
                const int64_t at = (row * g->y.w + q) * g->y.c + s->at + v * s->lanes;
                ghl_bits best = upper[0], winner = upper[1];
                ghl_bits some = all_lanes(half ? -SHORT_SHIFT : -LONG_SHIFT, half), none = all_lanes(NOTHING, half);
                take_further(&best, &winner, lower[0], lower[1], 8, half);
                if (call->attr.pool.relu != 0) {
                    take(&some, &none, best, winner, half);
                    best = some;
                    winner = none;
                }
                store_largest(s, best, winner, s->n - v * s->lanes, ghl_at(call->out[0].data, at, half),
                              (uint8_t *)call->out[1].data + at, half);
            }
    }
}

/* A thread's share of the scratch. */
static void *own_scratch(const geometry *g, void *scratch)
{
    return (char *)scratch + (size_t)omp_get_thread_num() * ghl_pool_scratch(g->kernel[0], g->x.w, g->y.w, g->x.c);
}

static GHL_CPU_BODY void max_pool_strip(const ghl_call *call, const geometry *g, const strip *s, int64_t begin, int64_t end, int half)
{
    const int relu = call->attr.pool.relu != 0;
    for (int64_t row = begin, ready = 0; row < end; row++) {
        const int64_t p = row % g->y.h, top = p * g->stride[0] - g->padding[0];
        const span rows = rows_inside(g, p);
        const void *image = ghl_at(call->in[0].data, row / g->y.h * g->x.h * g->x.w * g->x.c, half);
        void *y = ghl_at(call->out[0].data, row * g->y.w * g->y.c, half);
        uint8_t *index = (uint8_t *)call->out[1].data + row * g->y.w * g->y.c;
        if (g->stride[0] >= g->kernel[0] && g->stride[1] >= g->kernel[1]) {
            apart(g, s, image, p, relu, y, index, half);
            continue;
        }
        ready = row == begin || p == 0 ? 0 : ready;
        for (int64_t h = top + rows.begin > ready ? top + rows.begin : ready; h < top + rows.end; h++)
            along_row(g, s, ghl_at(image, h * g->x.w * g->x.c, half), s->ring + h % g->kernel[0] * g->y.w * s->vectors * 2, half);
        ready = top + rows.end > ready ? top + rows.end : ready;
        down_columns(g, s, p, relu, y, index, half);
    }
}

static GHL_CPU_BODY void max_pool_range(const ghl_call *call, void *scratch, int64_t begin, int64_t end, int half)
{
    const geometry g = geometry_of(call, call->in[0].shape, call->out[0].shape);
    strip s = {.lanes = half ? GHL_UNIT : GHL_WIDTH, .row = own_scratch(&g, scratch)};
    s.ahead = g.stride[0] * g.x.w * g.x.c * (half ? 2 : 4);
    const int64_t widest = ghl_pool_strip(g.kernel[0], g.y.w, g.x.c);
    for (s.at = 0; s.at < g.x.c; s.at += widest) {
        s.n = ghl_cpu_min(widest, g.x.c - s.at);
        s.vectors = (s.n + s.lanes - 1) / s.lanes;
        s.ring = s.row + g.x.w * s.vectors;
        s.columns = (span *)(s.ring + g.kernel[0] * g.y.w * s.vectors * 2);
        for (int64_t q = 0; q < g.y.w; q++)
            s.columns[q] = columns_inside(&g, q);
        if (paired(&g))
            max_pool_pairs(call, &g, &s, begin, end, half);
        else
            max_pool_strip(call, &g, &s, begin, end, half);
    }
}
GHL_CPU_RANGES(max_pool, call->in[0], call->out[0].shape.n * call->out[0].shape.h, 8 * call->out[0].shape.w * call->out[0].shape.c)

/* ---- Adjoints ---- */

/* sum += e where the index is the tap, GHL_WIDTH lanes. */
static GHL_CPU_BODY void add_where(ghl_vec *sum, const float *e, const uint8_t *index, uint8_t tap)
{
#if defined(__AVX512F__)
    const __mmask16 here = _mm_cmpeq_epi8_mask(_mm_loadu_si128((const __m128i *)index), _mm_set1_epi8((char)tap));
    *sum = (ghl_vec)_mm512_mask_add_ps((__m512)*sum, here, (__m512)*sum, _mm512_loadu_ps(e));
#else
    float chosen[GHL_WIDTH];
#pragma omp simd
    for (int i = 0; i < GHL_WIDTH; i++)
        chosen[i] = index[i] == tap ? e[i] : 0.0f;
    *sum += GHL_LOAD(chosen);
#endif
}

/* What a thread keeps of a strip of [at, at + n) channels, filled up to `padded`: errors in the order of slots and their indices. */
typedef struct errors {
    int64_t at, n, padded, slots;
    float factor;   /* of the mean */
    span *columns;  /* [W]: windows over them */
    float *e;       /* [slots][Q][padded]: row p in slot p % slots */
    uint8_t *index; /* the same */
} errors;

/* A place of dx, the rows of windows over it and the slot of the first. */
typedef struct place {
    int64_t h, w;
    span rows;
    int64_t slot;
} place;

/* A unit of indices, or the n that are left of it, in the order of slots. */
static GHL_CPU_BODY void keep_indices(const uint8_t *from, int64_t n, uint8_t *to, int half)
{
    uint8_t some[GHL_UNIT] = {0};
    if (n < GHL_UNIT)
        from = memcpy(some, from, (size_t)n % GHL_UNIT);
    if (half) {
        const byte_pairs pairs = *(const byte_pairs *)from;
        *(long_bytes *)to = __builtin_convertvector(pairs & 0xFF, long_bytes);
        *(long_bytes *)(to + GHL_WIDTH) = __builtin_convertvector(pairs >> 8, long_bytes);
    } else
        memcpy(to, from, GHL_UNIT);
}

/* Row p of e [P,Q,C] and of its indices. */
static GHL_CPU_BODY void keep_row(const geometry *g, const errors *k, const void *e, const uint8_t *index, int64_t p, int half)
{
    for (int64_t q = 0; q < g->y.w; q++)
        for (int64_t c = 0; c < k->n; c += GHL_UNIT) {
            const int64_t at = (p * g->y.w + q) * g->y.c + k->at + c, to = (p % k->slots * g->y.w + q) * k->padded + c;
            ghl_vec wide[2];
            ghl_unit_load_some(ghl_at(e, at, half), k->n - c, wide, half);
            ghl_unit_store(k->e + to, wide, 0);
            if (index != NULL)
                keep_indices(index + at, k->n - c, k->index + to, half);
        }
}

/* `units` units of one place of dx: of the maximum where there is an index, else of the mean, with its factor; nothing where u <= 0. */
static GHL_CPU_BODY void gather_units(const geometry *g, const errors *k, const place *at, int64_t c, int units, int of_maximum,
                                      const void *u, void *dx, int half)
{
    const span columns = k->columns[at->w];
    ghl_vec sum[MOST_UNITS * 2] = {{0}};
    for (int64_t p = at->rows.begin, slot = at->slot; p < at->rows.end; p++, slot = slot + 1 < k->slots ? slot + 1 : 0)
        for (int64_t q = columns.begin; q < columns.end; q++) {
            const int64_t from = (slot * g->y.w + q) * k->padded + c;
            const int64_t r = at->h + g->padding[0] - p * g->stride[0], s = at->w + g->padding[1] - q * g->stride[1];
#pragma GCC unroll 8
            for (int i = 0; i < 2 * units; i++)
                if (of_maximum)
                    add_where(&sum[i], k->e + from + i * GHL_WIDTH, k->index + from + i * GHL_WIDTH, (uint8_t)(r * g->kernel[1] + s));
                else
                    sum[i] += GHL_LOAD(k->e + from + i * GHL_WIDTH);
        }
#pragma GCC unroll 4
    for (int i = 0; i < units; i++, c += GHL_UNIT) {
        ghl_vec out[2] = {sum[2 * i], sum[2 * i + 1]}, z[2];
        if (!of_maximum) {
            out[0] *= k->factor;
            out[1] *= k->factor;
        }
        if (u != NULL) {
            ghl_unit_load_some(ghl_at(u, c, half), k->n - c, z, half);
            __builtin_prefetch((char *)ghl_at(u, c, half) + AHEAD_BYTES);
            if (!half)
                __builtin_prefetch((char *)ghl_at(u, c, half) + AHEAD_BYTES + 64);
            out[0] = ghl_vec_masked(out[0], z[0]);
            out[1] = ghl_vec_masked(out[1], z[1]);
        }
        ghl_unit_store_some(ghl_at(dx, c, half), k->n - c, out, half);
        __builtin_prefetch((char *)ghl_at(dx, c, half) + AHEAD_BYTES, 1);
        if (!half)
            __builtin_prefetch((char *)ghl_at(dx, c, half) + AHEAD_BYTES + 64, 1);
    }
}

/* Rows [begin, end) of dx, a strip of channels. */
static GHL_CPU_BODY void gather_strip(const geometry *g, const errors *k, const ghl_call *call, int of_maximum, int64_t begin, int64_t end,
                                      int half)
{
    const void *mask = !of_maximum && call->n_in > 1 ? call->in[1].data : NULL;
    for (int64_t row = begin, ready = 0; row < end; row++) {
        place at = {.h = row % g->x.h, .rows = windows_over(row % g->x.h, g->kernel[0], g->stride[0], g->padding[0], g->y.h)};
        const int64_t image = row / g->x.h * g->y.h * g->y.w * g->y.c;
        const uint8_t *index = of_maximum ? (const uint8_t *)call->in[1].data + image : NULL;
        at.slot = at.rows.begin % k->slots;
        ready = row == begin || at.h == 0 ? 0 : ready;
        for (int64_t p = at.rows.begin > ready ? at.rows.begin : ready; p < at.rows.end; p++)
            keep_row(g, k, ghl_at(call->in[0].data, image, half), index, p, half);
        ready = at.rows.end > ready ? at.rows.end : ready;
        for (at.w = 0; at.w < g->x.w; at.w++) {
            const int64_t to = (row * g->x.w + at.w) * g->x.c + k->at;
            const void *u = mask != NULL ? ghl_at(mask, to, half) : NULL;
            void *dx = ghl_at(call->out[0].data, to, half);
            int64_t c = 0;
            for (; c + MOST_UNITS * GHL_UNIT <= k->padded; c += MOST_UNITS * GHL_UNIT)
                gather_units(g, k, &at, c, MOST_UNITS, of_maximum, u, dx, half);
            const int64_t left = k->padded - c;
            if (left == 3 * GHL_UNIT)
                gather_units(g, k, &at, c, 3, of_maximum, u, dx, half);
            else if (left == 2 * GHL_UNIT)
                gather_units(g, k, &at, c, 2, of_maximum, u, dx, half);
            else if (left == GHL_UNIT)
                gather_units(g, k, &at, c, 1, of_maximum, u, dx, half);
        }
    }
}

static GHL_CPU_BODY void gather(const ghl_call *call, void *scratch, int of_maximum, int64_t begin, int64_t end, int half)
{
    const geometry g = geometry_of(call, call->out[0].shape, call->in[0].shape);
    errors k = {.slots = (g.kernel[0] + g.stride[0] - 1) / g.stride[0], .factor = 1.0f / (float)(g.kernel[0] * g.kernel[1])};
    k.columns = own_scratch(&g, scratch);
    for (int64_t w = 0; w < g.x.w; w++)
        k.columns[w] = windows_over(w, g.kernel[1], g.stride[1], g.padding[1], g.y.w);
    k.e = (float *)(k.columns + g.x.w);
    const int64_t widest = ghl_pool_strip(g.kernel[0], g.y.w, g.x.c);
    for (k.at = 0; k.at < g.x.c; k.at += widest) {
        k.n = ghl_cpu_min(widest, g.x.c - k.at);
        k.padded = (k.n + GHL_UNIT - 1) / GHL_UNIT * GHL_UNIT;
        k.index = (uint8_t *)(k.e + k.slots * g.y.w * k.padded);
        gather_strip(&g, &k, call, of_maximum, begin, end, half);
    }
}

static GHL_CPU_BODY void max_pool_backward_range(const ghl_call *call, void *scratch, int64_t begin, int64_t end, int half)
{
    gather(call, scratch, 1, begin, end, half);
}
GHL_CPU_RANGES(max_pool_backward, call->in[0], call->out[0].shape.n * call->out[0].shape.h, 2 * call->out[0].shape.w * call->out[0].shape.c)

static GHL_CPU_BODY void average_pool_backward_range(const ghl_call *call, void *scratch, int64_t begin, int64_t end, int half)
{
    gather(call, scratch, 0, begin, end, half);
}
GHL_CPU_RANGES(average_pool_backward, call->in[0], call->out[0].shape.n * call->out[0].shape.h,
               2 * call->out[0].shape.w * call->out[0].shape.c)

/* ---- Mean ---- */

/* One place of y [C] from its window; `x` is where the window's first tap lies. */
static GHL_CPU_BODY void average_pool_place(const geometry *g, const void *x, span rows, span columns, int relu, void *y, int half)
{
    const float factor = 1.0f / (float)(g->kernel[0] * g->kernel[1]);
    for (int64_t c = 0; c < g->x.c; c += GHL_UNIT) {
        ghl_vec sum[2] = {{0}, {0}}, v[2];
        for (int64_t r = rows.begin; r < rows.end; r++)
            for (int64_t s = columns.begin; s < columns.end; s++) {
                ghl_unit_load_some(ghl_at(x, (r * g->x.w + s) * g->x.c + c, half), g->x.c - c, v, half);
                __builtin_prefetch((const char *)ghl_at(x, (r * g->x.w + s) * g->x.c + c, half) + AHEAD_BYTES);
                sum[0] += relu ? ghl_vec_masked(v[0], v[0]) : v[0];
                sum[1] += relu ? ghl_vec_masked(v[1], v[1]) : v[1];
            }
        sum[0] *= factor;
        sum[1] *= factor;
        ghl_unit_store_some(ghl_at(y, c, half), g->x.c - c, sum, half);
    }
}

static GHL_CPU_BODY void average_pool_range(const ghl_call *call, void *scratch, int64_t begin, int64_t end, int half)
{
    const geometry g = geometry_of(call, call->in[0].shape, call->out[0].shape);
    const int64_t map = g.y.h * g.y.w;
    (void)scratch;
    for (int64_t i = begin; i < end; i++) {
        const int64_t p = i % map / g.y.w, q = i % g.y.w;
        const int64_t h = p * g.stride[0] - g.padding[0], w = q * g.stride[1] - g.padding[1];
        average_pool_place(&g, ghl_at(call->in[0].data, ((i / map * g.x.h + h) * g.x.w + w) * g.x.c, half), rows_inside(&g, p),
                           columns_inside(&g, q), call->attr.pool.relu != 0, ghl_at(call->out[0].data, i * g.y.c, half), half);
    }
}
GHL_CPU_RANGES(average_pool, call->in[0], ghl_shape_elements(call->out[0].shape) / call->out[0].shape.c, 8 * call->out[0].shape.c)
