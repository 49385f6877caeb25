/* SPDX-License-Identifier: Apache-2.0
 *
 * isa_conv16.h - tiles and rows of bf16, for isa_conv16*.c. Tiles 0 to 3 are sums [16][16] f32; 4 and 5 rows of the left operand
 * [16][depth]; 6 and 7 the right operand in pairs [depth / 2][16][2]. The state is a thread's own: it is loaded and given back inside
 * every parallel region, because other libraries use tiles too.
 */
#ifndef GHL_DEVICE_CPU_ISA_CONV16_H
#define GHL_DEVICE_CPU_ISA_CONV16_H

#if defined(__AVX512BF16__)
#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#include "device/cpu/conv16.h"

enum { CONV16_ROWS = GHL_CONV16_ROWS, CONV16_DEPTH = GHL_CONV16_DEPTH };

#if defined(__AMX_BF16__)
typedef struct conv16_config {
    uint8_t palette, start, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} conv16_config;

static inline void conv16_begin(int depth)
{
    conv16_config c __attribute__((aligned(64))) = {.palette = 1};
    for (int i = 0; i < 8; i++) {
        c.rows[i] = (uint8_t)(i < 6 ? CONV16_ROWS : depth / 2);
        c.row_bytes[i] = (uint16_t)(i == 4 || i == 5 ? depth * 2 : 64);
    }
    __asm__ volatile("" : : "m"(c) : "memory");
    _tile_loadconfig(&c);
}

static inline void conv16_end(void)
{
    _tile_release();
}
#else
static inline void conv16_begin(int depth)
{
    (void)depth;
}

static inline void conv16_end(void)
{
}
#endif

/* n values at any place. */
static inline void conv16_copy(uint16_t *to, const uint16_t *from, int64_t n)
{
    for (; n >= CONV16_DEPTH; n -= CONV16_DEPTH, to += CONV16_DEPTH, from += CONV16_DEPTH)
        _mm512_storeu_si512(to, _mm512_loadu_si512(from));
    if (n > 0) {
        __mmask32 mask = ((__mmask32)1 << n) - 1;
        _mm512_mask_storeu_epi16(to, mask, _mm512_maskz_loadu_epi16(mask, from));
    }
}

static inline void conv16_zero(uint16_t *to, int64_t n)
{
    for (; n >= CONV16_DEPTH; n -= CONV16_DEPTH, to += CONV16_DEPTH)
        _mm512_storeu_si512(to, _mm512_setzero_si512());
    if (n > 0)
        _mm512_mask_storeu_epi16(to, ((__mmask32)1 << n) - 1, _mm512_setzero_si512());
}

/* Two rows of 16 values, as they stand in the right operand: [16][2]. */
static inline __m512i conv16_pair(__m256i a, __m256i b)
{
    const __m512i interleave = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21, 5, 20, 4,
                                                19, 3, 18, 2, 17, 1, 16, 0);
    return _mm512_permutexvar_epi16(interleave, _mm512_inserti64x4(_mm512_castsi256_si512(a), b, 1));
}

/* 16 rows of 16 pairs become 16 columns of them. */
static inline void conv16_transpose_pairs(__m512i v[16])
{
    __m512i t[16];
    for (int i = 0; i < 16; i += 4) {
        __m512i a = _mm512_unpacklo_epi32(v[i], v[i + 1]), b = _mm512_unpackhi_epi32(v[i], v[i + 1]);
        __m512i c = _mm512_unpacklo_epi32(v[i + 2], v[i + 3]), d = _mm512_unpackhi_epi32(v[i + 2], v[i + 3]);
        t[i] = _mm512_unpacklo_epi64(a, c), t[i + 1] = _mm512_unpackhi_epi64(a, c);
        t[i + 2] = _mm512_unpacklo_epi64(b, d), t[i + 3] = _mm512_unpackhi_epi64(b, d);
    }
    for (int i = 0; i < 4; i++) {
        __m512i a = _mm512_shuffle_i32x4(t[i], t[i + 4], 0x88), b = _mm512_shuffle_i32x4(t[i], t[i + 4], 0xdd);
        __m512i c = _mm512_shuffle_i32x4(t[i + 8], t[i + 12], 0x88), d = _mm512_shuffle_i32x4(t[i + 8], t[i + 12], 0xdd);
        v[i] = _mm512_shuffle_i32x4(a, c, 0x88), v[i + 8] = _mm512_shuffle_i32x4(a, c, 0xdd);
        v[i + 4] = _mm512_shuffle_i32x4(b, d, 0x88), v[i + 12] = _mm512_shuffle_i32x4(b, d, 0xdd);
    }
}

/* c[i][j] [16][16] = (add ? c[i][j] : 0) + sum over blocks and runs of a[i] [16][depth] times b[j] [depth / 2][16][2]. */
typedef struct conv16_product {
    const uint16_t *a[4], *b[4];
    int64_t a_bytes, a_block;     /* bytes from a row of a to the next; elements from a block to the next */
    const ghl_conv16_run *run;       /* where in a each run begins; b has a tile for each block and, in it, each run; NULL: one, at 0 */
    int runs, blocks, depth, add;
    int unbroken;                 /* b's tiles stand one behind the other, but after so many `skip` elements are left out; 0: never */
    int64_t skip;
    const char *ahead;            /* what will be needed next, brought into the second-level cache meanwhile: */
    int ahead_lines;              /* so many cache lines with each tile */
    int expect;                   /* the sums lie where they are not in the first-level cache */
    float *c[6];                  /* c[i * columns + j] */
    int64_t c_bytes;
} conv16_product;

/* rows x columns: 1x1, 2x1, 1x2, 2x2; with runs up to 4x1; without up to 1x4, and, if the depth is 32, 2x3. */
void GHL_ISA_NAME(ghl_conv16_multiply)(const conv16_product *t, int rows, int columns);

/* How many of `left` tiles to take next: `most` at a time, and never a last one alone, for a sum alone waits for itself. */
static inline int conv16_next(int64_t left, int most)
{
    return (int)(left <= most ? left : left < 2 * most ? (left + 1) / 2 : most);
}

void GHL_ISA_NAME(ghl_conv16_pack_weights)(const void *plan, const float *w, void *w_packed);
/* Where the plan says by_rows: some rows of w [K][F], and columns [begin, end) of theirs, multiples of 32; the last with end F. */
void GHL_ISA_NAME(ghl_conv16_pack_rows)(const void *plan, const float *w, int64_t first, int64_t rows, int64_t begin, int64_t end,
                                       void *w_packed);
void GHL_ISA_NAME(ghl_conv16_forward)(const void *plan, const uint16_t *x, const void *w, const ghl_conv_tail *tail, uint16_t *y,
                                      void *scratch);
void GHL_ISA_NAME(ghl_conv16_backward_data)(const void *plan, const uint16_t *e, const void *w, uint16_t *dx, void *scratch);
void GHL_ISA_NAME(ghl_conv16_backward_weights)(const void *plan, const uint16_t *x, int n, const uint16_t *const *e, float *const *dw,
                                               void *scratch);
void GHL_ISA_NAME(ghl_conv16_sgd)(const ghl_call *call, int n, const ghl_derived_writing *copies);
void GHL_ISA_NAME(ghl_conv16_sgd_product)(const void *plan, const ghl_call *call, int n, const ghl_derived_writing *copies, void *scratch);
#endif

#endif
