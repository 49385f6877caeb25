/* SPDX-License-Identifier: Apache-2.0
 *
 * isa_conv16_product.c - the product that convolutions on bf16 tiles are made of: on matrix tiles (AMX), or as dot products of pairs
 * (AVX-512-BF16), on the same memory. See conv16.h.
 */
#include "device/cpu/isa.h"
#include "device/cpu/isa_conv16.h"

#if defined(__AMX_BF16__)

/* For the whole reduction the sums of `rows` times `columns` tiles stay in tiles. Up to four sums leave two tiles for each operand; six
 * leave one, and b is loaded twice. In the last 16 steps the lines of the sums are brought in, a row of each at a time: else the stores
 * would hold up the next product. `many`: there may be more than one run. */
static inline __attribute__((always_inline)) void multiply(const conv16_product *t, int rows, int columns, int many)
{
    const uint16_t *a0 = t->a[0], *a1 = t->a[1], *a2 = t->a[2], *a3 = t->a[3];
    const uint16_t *b0 = t->b[0], *b1 = t->b[1], *b2 = t->b[2], *b3 = t->b[3];
    const int64_t a_bytes = t->a_bytes, c_bytes = t->c_bytes, a_block = t->a_block, tile = (int64_t)t->depth * CONV16_ROWS;
    const int64_t blocks = t->blocks, late = t->expect ? (blocks > CONV16_ROWS ? blocks - CONV16_ROWS : 0) : blocks;
    const int n = rows * columns, runs = many ? t->runs : 1, lines = t->ahead_lines;
    const char *ahead = t->ahead;
    int64_t expected = 0;
#define EACH_SUM(f) f(0) f(1) f(2) f(3) f(4) f(5)
#define LOAD_SUM(i)                                                                                                            \
    if (n > i && t->add)                                                                                                       \
        _tile_loadd(i, t->c[i], c_bytes);                                                                                      \
    else if (n > i)                                                                                                            \
        _tile_zero(i);
#define STORE_SUM(i)                                                                                                           \
    if (n > i)                                                                                                                 \
        _tile_stored(i, t->c[i], c_bytes);
#define EXPECT_SUM(i)                                                                                                          \
    if (n > i)                                                                                                                 \
        __builtin_prefetch((const char *)t->c[i] + expected, 1);
#define TIMES(sum, a, a_tile, load_a, b, b_tile, load_b)                                                                       \
    do {                                                                                                                       \
        if (load_a)                                                                                                            \
            _tile_loadd(a_tile, a + at, a_bytes);                                                                              \
        if (load_b)                                                                                                            \
            _tile_loadd(b_tile, b + of_b, 64);                                                                                 \
        _tile_dpbf16ps(sum, a_tile, b_tile);                                                                                   \
    } while (0)
    EACH_SUM(LOAD_SUM)
    int64_t of_b = 0;
    int unbroken = t->unbroken;
    for (int64_t j = 0, block = 0; j < blocks; j++, block += a_block) {
        if (j >= late) {
            EACH_SUM(EXPECT_SUM)
            expected += c_bytes;
        }
        if (!many && j > 0 && --unbroken == 0) {
            unbroken = t->unbroken;
            of_b += t->skip;
        }
        for (int r = 0; r < runs; r++, of_b += tile) {
            const int64_t at = many ? t->run[r].at + block : block;
            for (int i = 0; i < lines; i++, ahead += 64)
                _mm_prefetch(ahead, _MM_HINT_T1);
            if (n == 6) {
                TIMES(0, a0, 6, 1, b0, 7, 1);
                TIMES(1, a0, 6, 0, b1, 7, 1);
                TIMES(2, a0, 6, 0, b2, 7, 1);
                TIMES(3, a1, 6, 1, b0, 7, 1);
                TIMES(4, a1, 6, 0, b1, 7, 1);
                TIMES(5, a1, 6, 0, b2, 7, 1);
                continue;
            }
            TIMES(0, a0, 4, 1, b0, 6, 1);
            if (rows == 2 && columns == 2) {
                TIMES(1, a0, 4, 0, b1, 7, 1);
                TIMES(2, a1, 5, 1, b0, 6, 0);
                TIMES(3, a1, 5, 0, b1, 7, 0);
                continue;
            }
            if (rows > 1)
                TIMES(1, a1, 5, 1, b0, 6, 0);
            if (rows > 2)
                TIMES(2, a2, 4, 1, b0, 6, 0);
            if (rows > 3)
                TIMES(3, a3, 5, 1, b0, 6, 0);
            if (columns > 1)
                TIMES(1, a0, 4, 0, b1, 7, 1);
            if (columns > 2)
                TIMES(2, a0, 4, 0, b2, 6, 1);
            if (columns > 3)
                TIMES(3, a0, 4, 0, b3, 7, 1);
        }
    }
    EACH_SUM(STORE_SUM)
#undef EACH_SUM
#undef LOAD_SUM
#undef STORE_SUM
#undef EXPECT_SUM
#undef TIMES
}

#elif defined(__AVX512BF16__)

/* `height` rows from `first` on of a tile of rows, times tiles [from, from + columns) of b: for the whole reduction the sums stay in
 * registers. A step takes a pair of each row to all lanes, and as many lines of b. */
static inline __attribute__((always_inline)) void dots(const conv16_product *t, int tile, int first, int height, int from, int columns,
                                                       int all, int many, const char *ahead)
{
    __m512 sum[16][3];
    const int64_t row = t->a_bytes / 2, whole = (int64_t)t->depth * CONV16_ROWS, c_row = t->c_bytes / 4;
    const uint16_t *a = t->a[tile] + first * row;
    float *c[3];
    int64_t of_b = 0;
    int unbroken = t->unbroken;
#pragma GCC unroll 3
    for (int j = 0; j < columns; j++)
        c[j] = t->c[tile * all + from + j] + first * c_row;
#pragma GCC unroll 16
    for (int i = 0; i < height; i++)
#pragma GCC unroll 3
        for (int j = 0; j < columns; j++)
            sum[i][j] = t->add ? _mm512_loadu_ps(c[j] + i * c_row) : _mm512_setzero_ps();
    for (int64_t j = 0, block = 0; j < t->blocks; j++, block += t->a_block) {
        if (!many && j > 0 && --unbroken == 0) {
            unbroken = t->unbroken;
            of_b += t->skip;
        }
        for (int r = 0; r < (many ? t->runs : 1); r++, of_b += whole) {
            const uint16_t *values = a + block + (many ? t->run[r].at : 0);
            for (int i = 0; ahead != NULL && i < t->ahead_lines; i++, ahead += 64)
                _mm_prefetch(ahead, _MM_HINT_T1);
            for (int64_t d = 0; d < t->depth; d += 2) {
                __m512bh pairs[3];
#pragma GCC unroll 3
                for (int k = 0; k < columns; k++)
                    pairs[k] = (__m512bh)_mm512_loadu_si512(t->b[from + k] + of_b + d * CONV16_ROWS);
#pragma GCC unroll 16
                for (int i = 0; i < height; i++) {
                    int32_t pair;
                    memcpy(&pair, values + i * row + d, sizeof pair);
                    const __m512bh value = (__m512bh)_mm512_set1_epi32(pair);
#pragma GCC unroll 3
                    for (int k = 0; k < columns; k++)
                        sum[i][k] = _mm512_dpbf16_ps(sum[i][k], value, pairs[k]);
                }
            }
        }
    }
#pragma GCC unroll 16
    for (int i = 0; i < height; i++)
#pragma GCC unroll 3
        for (int j = 0; j < columns; j++)
            _mm512_storeu_ps(c[j] + i * c_row, sum[i][j]);
}

/* Sixteen sums at a time or twenty-four: fewer would wait for each other, more are no registers for. */
static inline __attribute__((always_inline)) void multiply(const conv16_product *t, int rows, int columns, int many)
{
    const int at_once = columns == 4 ? 2 : columns, height = at_once == 1 ? CONV16_ROWS : CONV16_ROWS / 2;
    for (int tile = 0; tile < rows; tile++)
        for (int from = 0; from < columns; from += at_once)
            for (int first = 0; first < CONV16_ROWS; first += height)
                dots(t, tile, first, height, from, at_once, columns, many, tile + from + first == 0 ? t->ahead : NULL);
}

#endif

#if defined(__AVX512BF16__)

#define SHAPES(X)                                                                                                              \
    X(1, 1, 0) X(2, 1, 0) X(1, 2, 0) X(1, 3, 0) X(1, 4, 0) X(2, 2, 0) X(2, 3, 0)                                               \
    X(1, 1, 1) X(2, 1, 1) X(3, 1, 1) X(4, 1, 1) X(1, 2, 1) X(2, 2, 1)
#define SHAPE(rows, columns, many)                                                                                             \
    static __attribute__((noinline)) void multiply_##rows##x##columns##_##many(const conv16_product *t)                           \
    {                                                                                                                          \
        multiply(t, rows, columns, many);                                                                                      \
    }
SHAPES(SHAPE)
#define SHAPE_ROW(rows, columns, many) [many][rows][columns] = multiply_##rows##x##columns##_##many,

void GHL_ISA_NAME(ghl_conv16_multiply)(const conv16_product *t, int rows, int columns)
{
    static void (*const of[2][5][5])(const conv16_product *) = {SHAPES(SHAPE_ROW)};
    of[t->run != NULL][rows][columns](t);
}

#endif
