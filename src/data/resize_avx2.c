/* SPDX-License-Identifier: Apache-2.0
 *
 * The kernels of resize.c with AVX2: the same integers, 32 values or 4 pixels at a time.
 */
#include "data/resize.h"

#if defined(__x86_64__)

#include <immintrin.h>
#include <string.h>

#define AVX2 __attribute__((target("avx2")))
#define INLINE AVX2 __attribute__((always_inline)) static inline

/* With a constant number of taps everything but the values stays in registers. */
INLINE void columns_of(const uint8_t *const *rows, const uint16_t *weights, int64_t taps, int64_t n, int16_t *out)
{
    const __m256i zero = _mm256_setzero_si256(), start = _mm256_set1_epi16((int16_t)(taps / 2));

    for (int64_t at = 0; at < n; at += 32) {
        __m256i low = start, high = start; /* of each half of 16 values the first and the last 8 */
        for (int64_t k = 0; k < taps; k++) {
            const __m256i in = _mm256_loadu_si256((const __m256i *)(rows[k] + at)), w = _mm256_set1_epi16((int16_t)weights[k]);
            low = _mm256_add_epi16(low, _mm256_mulhi_epu16(_mm256_unpacklo_epi8(zero, in), w)); /* (256 value w) >> 16 */
            high = _mm256_add_epi16(high, _mm256_mulhi_epu16(_mm256_unpackhi_epi8(zero, in), w));
        }
        _mm256_storeu_si256((__m256i *)(out + at), _mm256_permute2x128_si256(low, high, 0x20));
        _mm256_storeu_si256((__m256i *)(out + at + 16), _mm256_permute2x128_si256(low, high, 0x31));
    }
}

AVX2 static void columns(const uint8_t *const *rows, const uint16_t *weights, int64_t taps, int64_t n, int16_t *out)
{
    switch (taps) {
    case 2: columns_of(rows, weights, 2, n, out); break;
    case 3: columns_of(rows, weights, 3, n, out); break;
    case 4: columns_of(rows, weights, 4, n, out); break;
    case 5: columns_of(rows, weights, 5, n, out); break;
    default: columns_of(rows, weights, taps, n, out);
    }
}

/* 4 pixels with 4 weights each: sums of the first two in the lower half, of the last two in the upper. */
INLINE __m256i weighted(const int16_t *in, const int16_t *groups, int64_t taps, __m256i sum)
{
    const __m256i pairs = _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 1, 8, 9, 2, 3, 10, 11, 4, 5, 12, 13, 6, 7, 14, 15));

    for (int64_t k = 0; k < taps; k += 4) {
        const __m256i four = _mm256_shuffle_epi8(_mm256_loadu_si256((const __m256i *)(in + 4 * k)), pairs);
        sum = _mm256_add_epi32(sum, _mm256_madd_epi16(four, _mm256_loadu_si256((const __m256i *)(groups + 4 * k))));
    }
    return sum;
}

/* Outputs 0 and 2, and 1 and 3, side by side, so that packing leaves them in order within 4 bytes. */
INLINE __m128i four_outputs(const int16_t *row, const int32_t *const from[4], const int16_t *const groups[4], int64_t taps)
{
    enum { SHIFT = GHL_RESIZE_ALONG_BITS + GHL_RESIZE_BETWEEN_BITS };
    const __m256i half = _mm256_setr_epi32(1 << (SHIFT - 1), 1 << (SHIFT - 1), 1 << (SHIFT - 1), 1 << (SHIFT - 1), 0, 0, 0, 0);
    __m256i sum[4], both[2];

    for (int i = 0; i < 4; i++)
        sum[i] = weighted(row + 4 * *from[i], groups[i], taps, half);
    for (int i = 0; i < 2; i++)
        both[i] = _mm256_srai_epi32(_mm256_add_epi32(_mm256_permute2x128_si256(sum[i], sum[i + 2], 0x20),
                                                     _mm256_permute2x128_si256(sum[i], sum[i + 2], 0x31)), SHIFT);
    const __m256i words = _mm256_packs_epi32(both[0], both[1]);
    return _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
}

/* Four outputs make 12 bytes; 16 are written where more than that follow in this row. */
INLINE void along_of(const int16_t *row, const ghl_resize_axis *x, const int16_t *groups, int64_t taps, uint8_t *out)
{
    const __m128i rgb = _mm_setr_epi8(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1);

    for (int64_t o = 0; o < x->out; o += 4) {
        const int32_t *from[4];
        const int16_t *group[4];
        for (int64_t i = 0; i < 4; i++) {
            const int64_t at = o + i < x->out ? o + i : o;
            from[i] = x->from + 2 * at;
            group[i] = groups + 4 * taps * at;
        }
        const __m128i bytes = _mm_shuffle_epi8(four_outputs(row, from, group, taps), rgb);
        if (x->out - o >= 6) {
            _mm_storeu_si128((__m128i *)(out + 3 * o), bytes);
        } else {
            uint8_t last[16];
            _mm_storeu_si128((__m128i *)last, bytes);
            memcpy(out + 3 * o, last, (size_t)(3 * (x->out - o < 4 ? x->out - o : 4)));
        }
    }
}

AVX2 static void along(const int16_t *row, const ghl_resize_axis *x, const int16_t *groups, uint8_t *out)
{
    switch (x->taps) {
    case 4: along_of(row, x, groups, 4, out); break;
    case 8: along_of(row, x, groups, 8, out); break;
    default: along_of(row, x, groups, x->taps, out);
    }
}

/* Four pixels are 12 of the 16 bytes read. */
AVX2 static void spread(const uint8_t *rgb, int64_t pixels, uint8_t *rgbx)
{
    const __m128i places = _mm_setr_epi8(0, 1, 2, -1, 3, 4, 5, -1, 6, 7, 8, -1, 9, 10, 11, -1);
    int64_t i = 0;

    for (; i + 6 <= pixels; i += 4)
        _mm_storeu_si128((__m128i *)(rgbx + 4 * i), _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(rgb + 3 * i)), places));
    for (; i < pixels; i++)
        memcpy(rgbx + 4 * i, rgb + 3 * i, 3);
}

const ghl_resize_kernels ghl_resize_avx2 = {columns, along, spread};

#endif
