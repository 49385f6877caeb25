/* SPDX-License-Identifier: Apache-2.0
 *
 * isa_tile.h - the innermost product: a register tile of ROWS rows and `blocks` blocks of 16 columns,
 *
 *     c[i][j] = (add ? c[i][j] : 0) + sum_k a[k][i] b[k][j]
 *
 * b lies in blocks of 16 columns, [block][k][16]; c has any pitch of blocks and rows. The depth is walked in groups of 16; a's element
 * (k, i) is at a[k / 16 * group_step + k % 16 * k_step + i * row_step], which suits a matrix blocked like b (rows are channels), one
 * blocked along k (rows are positions), and a plain one.
 */
#ifndef GHL_DEVICE_CPU_ISA_TILE_H
#define GHL_DEVICE_CPU_ISA_TILE_H

#include <stdint.h>

enum { GHL_LANES = 16 }; /* of a block, whatever the instruction set */

/* A vector register has GHL_WIDTH floats, a block GHL_PARTS of them; the tile's sums fill most of the registers. */
#if defined(__AVX512F__)
#define GHL_VECTOR_BYTES 64
enum { GHL_TILE_ROWS = 8, GHL_TILE_BLOCKS = 3 };
#elif defined(__AVX2__)
#define GHL_VECTOR_BYTES 32
enum { GHL_TILE_ROWS = 4, GHL_TILE_BLOCKS = 1 };
#else
#define GHL_VECTOR_BYTES 16
enum { GHL_TILE_ROWS = 2, GHL_TILE_BLOCKS = 1 };
#endif
enum { GHL_WIDTH = GHL_VECTOR_BYTES / 4, GHL_PARTS = GHL_LANES / GHL_WIDTH };
typedef float ghl_vec __attribute__((vector_size(GHL_VECTOR_BYTES), may_alias));
typedef float ghl_vec_loose __attribute__((vector_size(GHL_VECTOR_BYTES), aligned(4), may_alias)); /* at any float */

#define GHL_LOAD(at) (*(const ghl_vec_loose *)(at))
#define GHL_STORE(at, v) ((void)(*(ghl_vec_loose *)(at) = (v)))

/* 16 floats at any place. */
static inline void ghl_block_copy(float *to, const float *from)
{
    for (int i = 0; i < GHL_LANES; i += GHL_WIDTH)
        GHL_STORE(to + i, GHL_LOAD(from + i));
}

typedef struct ghl_tile {
    const float *a, *b;
    float *c;
    int64_t group_step, b_block, c_block; /* of b and c: floats from a block to the next */
    int64_t c_row;                        /* floats from a row to the next */
    int64_t groups;                       /* depth / 16 */
} ghl_tile;

static inline __attribute__((always_inline)) void ghl_tile_run(const ghl_tile *t, int64_t row_step, int64_t k_step, int blocks, int add)
{
    ghl_vec sum[GHL_TILE_ROWS][GHL_TILE_BLOCKS * GHL_PARTS];
    const float *a = t->a, *b = t->b;
    const int vectors = blocks * GHL_PARTS;
#pragma GCC unroll 8
    for (int i = 0; i < GHL_TILE_ROWS; i++)
#pragma GCC unroll 4
        for (int j = 0; j < vectors; j++)
            sum[i][j] = (ghl_vec){0};
    for (int64_t group = 0; group < t->groups; group++, a += t->group_step) {
#pragma GCC unroll 4
        for (int k = 0; k < GHL_LANES; k++, b += GHL_LANES) {
            ghl_vec column[GHL_TILE_BLOCKS * GHL_PARTS];
#pragma GCC unroll 4
            for (int j = 0; j < vectors; j++)
                column[j] = *(const ghl_vec *)(b + j / GHL_PARTS * t->b_block + j % GHL_PARTS * GHL_WIDTH);
#pragma GCC unroll 8
            for (int i = 0; i < GHL_TILE_ROWS; i++)
#pragma GCC unroll 4
                for (int j = 0; j < vectors; j++)
                    sum[i][j] += column[j] * a[k * k_step + i * row_step];
        }
    }
#pragma GCC unroll 8
    for (int i = 0; i < GHL_TILE_ROWS; i++)
#pragma GCC unroll 4
        for (int j = 0; j < vectors; j++) {
            float *to = t->c + j / GHL_PARTS * t->c_block + j % GHL_PARTS * GHL_WIDTH + i * t->c_row;
            ghl_vec old = {0};
            if (add)
                old = GHL_LOAD(to);
            GHL_STORE(to, old + sum[i][j]);
        }
}

/* How many of `left` blocks of columns the next tile takes: three at a time, and never one alone where two and two would do. */
static inline int64_t ghl_tile_blocks(int64_t left)
{
    if (left <= GHL_TILE_BLOCKS)
        return left;
    return left == GHL_TILE_BLOCKS + 1 && GHL_TILE_BLOCKS > 1 ? 2 : GHL_TILE_BLOCKS;
}

/* One copy of the code for each number of blocks. */
static inline __attribute__((always_inline)) void ghl_tile_any(const ghl_tile *t, int64_t row_step, int64_t k_step, int64_t blocks, int add)
{
    if (GHL_TILE_BLOCKS >= 3 && blocks == 3)
        ghl_tile_run(t, row_step, k_step, GHL_TILE_BLOCKS, add);
    else if (GHL_TILE_BLOCKS >= 2 && blocks == 2)
        ghl_tile_run(t, row_step, k_step, GHL_TILE_BLOCKS < 2 ? 1 : 2, add);
    else
        ghl_tile_run(t, row_step, k_step, 1, add);
}

/* Rows are channels: a lies in blocks of 16 rows. */
static __attribute__((noinline, unused)) void ghl_tile_channels(const ghl_tile *t, int64_t blocks, int add)
{
    ghl_tile_any(t, 1, GHL_LANES, blocks, add);
}

/* Rows are neighbours, k is `k_step` apart: a plain matrix [k][row]. */
static __attribute__((noinline, unused)) void ghl_tile_plain(const ghl_tile *t, int64_t k_step, int64_t blocks, int add)
{
    ghl_tile_any(t, 1, k_step, blocks, add);
}

/* Rows are positions, each `row_step` floats long. */
static __attribute__((noinline, unused)) void ghl_tile_rows(const ghl_tile *t, int64_t row_step, int64_t blocks, int add)
{
    ghl_tile_any(t, row_step, 1, blocks, add);
}

#endif
