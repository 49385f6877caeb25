/* SPDX-License-Identifier: Apache-2.0
 *
 * isa_half.h - activations of either dtype in vector registers. A unit is GHL_UNIT elements in a row, in memory f32 or bf16, in registers
 * two vectors of f32.
 *
 * A register of bf16 holds twice as many elements as one of f32. Its lower halves, shifted up, are the even elements, its upper halves
 * the odd ones: two instructions widen it where order is kept from load to store. So in registers bf16 elements are in the order of
 * ghl_slot(), and tables that go with them must be.
 */
#ifndef GHL_DEVICE_CPU_ISA_HALF_H
#define GHL_DEVICE_CPU_ISA_HALF_H

#include <string.h>

#include "device/cpu/isa.h"
#include "device/cpu/isa_tile.h"

#if defined(__AVX512F__)
#include <immintrin.h>
#endif

enum { GHL_UNIT = 2 * GHL_WIDTH };
typedef uint32_t ghl_bits __attribute__((vector_size(GHL_VECTOR_BYTES), may_alias));
typedef uint32_t ghl_bits_loose __attribute__((vector_size(GHL_VECTOR_BYTES), aligned(2), may_alias)); /* at any bf16 */

/* Where element i of an array of activations stands among the lanes of its unit's registers, units in a row. */
static inline int64_t ghl_slot(int64_t i, int half)
{
    int64_t k = i % GHL_UNIT;
    return half ? i - k + k % 2 * GHL_WIDTH + k / 2 : i;
}

static inline __attribute__((always_inline)) void ghl_unit_load(const void *from, ghl_vec out[2], int half)
{
    if (half) {
        const ghl_bits both = *(const ghl_bits_loose *)from;
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
        out[1] = (ghl_vec)(both << 16);
        out[0] = (ghl_vec)(both & 0xFFFF0000u);
#else
        out[0] = (ghl_vec)(both << 16);
        out[1] = (ghl_vec)(both & 0xFFFF0000u);
#endif
    } else {
        out[0] = GHL_LOAD((const float *)from);
        out[1] = GHL_LOAD((const float *)from + GHL_WIDTH);
    }
}

/* ghl_bits_round: to the nearest, ties to even, in the upper half. A quiet NaN, as arithmetic makes them, stays one: it is cut, not
 * rounded. ghl_vec_masked: v where not z <= 0, else 0: NaN in z lets v through. The compiler makes three instructions of a comparison
 * that selects, where AVX-512 has two. */
#if defined(__AVX512F__)
static inline __attribute__((always_inline, unused)) ghl_bits ghl_bits_round(ghl_vec v)
{
    const ghl_bits bits = (ghl_bits)v, up = (bits >> 16 & 1u) + 0x7FFFu;
    const __mmask16 number = _mm512_cmp_ps_mask((__m512)v, (__m512)v, _CMP_ORD_Q);
    return (ghl_bits)_mm512_mask_add_epi32((__m512i)bits, number, (__m512i)bits, (__m512i)up);
}

static inline __attribute__((always_inline)) ghl_vec ghl_vec_masked(ghl_vec v, ghl_vec z)
{
    return (ghl_vec)_mm512_maskz_mov_ps(_mm512_cmp_ps_mask((__m512)z, _mm512_setzero_ps(), _CMP_NLE_UQ), (__m512)v);
}
#else
static inline __attribute__((always_inline, unused)) ghl_bits ghl_bits_round(ghl_vec v)
{
    const ghl_bits bits = (ghl_bits)v, number = (ghl_bits)(v == v);
    return bits + (((bits >> 16 & 1u) + 0x7FFFu) & number);
}

static inline __attribute__((always_inline)) ghl_vec ghl_vec_masked(ghl_vec v, ghl_vec z)
{
    const ghl_vec zero = {0};
    return (ghl_vec)((ghl_bits)v & ~(ghl_bits)(z <= zero));
}
#endif

/* Rounds both, lanes into their order. The instruction of AVX512-BF16 takes denormals for 0, as the products on tiles do. */
static inline __attribute__((always_inline)) ghl_bits ghl_bits_narrow(const ghl_vec v[2])
{
#if defined(__AVX512BF16__)
    static const uint16_t order[32] __attribute__((aligned(64))) = {0, 16, 1, 17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
                                                                    8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
    const __m512i both = (__m512i)_mm512_cvtne2ps_pbh((__m512)v[1], (__m512)v[0]);
    return (ghl_bits)_mm512_permutexvar_epi16(_mm512_load_si512(order), both);
#elif defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    return ghl_bits_round(v[1]) >> 16 | (ghl_bits_round(v[0]) & 0xFFFF0000u);
#else
    return ghl_bits_round(v[0]) >> 16 | (ghl_bits_round(v[1]) & 0xFFFF0000u);
#endif
}

static inline __attribute__((always_inline)) void ghl_unit_store(void *to, const ghl_vec v[2], int half)
{
    if (half) {
        *(ghl_bits_loose *)to = ghl_bits_narrow(v);
    } else {
        GHL_STORE((float *)to, v[0]);
        GHL_STORE((float *)to + GHL_WIDTH, v[1]);
    }
}

/* The same at an array's end: of n elements, which may be more than a unit; lanes that are over are 0. */
static inline __attribute__((always_inline, unused)) void ghl_unit_load_some(const void *from, int64_t n, ghl_vec out[2], int half)
{
    if (n < GHL_UNIT) {
        float copy[GHL_UNIT] = {0};
        memcpy(copy, from, (size_t)n % GHL_UNIT * (half ? 2 : 4));
        ghl_unit_load(copy, out, half);
    } else
        ghl_unit_load(from, out, half);
}

static inline __attribute__((always_inline, unused)) void ghl_unit_store_some(void *to, int64_t n, const ghl_vec v[2], int half)
{
    if (n < GHL_UNIT) {
        float copy[GHL_UNIT];
        ghl_unit_store(copy, v, half);
        memcpy(to, copy, (size_t)n % GHL_UNIT * (half ? 2 : 4));
    } else
        ghl_unit_store(to, v, half);
}

#endif
