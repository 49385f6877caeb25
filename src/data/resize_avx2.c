/* SPDX-License-Identifier: Apache-2.0
 *
 * The kernels of resize.c with AVX2: the same integers, 16 values or 4 pixels at a time. Products of 16 bits are added in pairs.
 */
#include "data/resize.h"

#if defined(__x86_64__)

#include <immintrin.h>
#include <string.h>

#define AVX2 __attribute__((target("avx2")))

AVX2 static void columns(const uint8_t *const *rows, const int16_t *weights, int64_t taps, int64_t n, int16_t *out)
{
    enum { SHIFT = GHL_RESIZE_WEIGHT_BITS - GHL_RESIZE_BETWEEN_BITS };
    const __m256i half = _mm256_set1_epi32(1 << (SHIFT - 1));

    for (int64_t at = 0; at < n; at += 16) {
        __m256i low = half, high = half;
        for (int64_t k = 0; k < taps; k += 2) {
            int32_t pair;
            memcpy(&pair, weights + k, sizeof pair);
            const __m256i w = _mm256_set1_epi32(pair);
            const __m128i a = _mm_loadu_si128((const __m128i *)(rows[k] + at));
            const __m128i b = _mm_loadu_si128((const __m128i *)(rows[k + 1] + at));
            low = _mm256_add_epi32(low, _mm256_madd_epi16(_mm256_cvtepu8_epi16(_mm_unpacklo_epi8(a, b)), w));
            high = _mm256_add_epi32(high, _mm256_madd_epi16(_mm256_cvtepu8_epi16(_mm_unpackhi_epi8(a, b)), w));
        }
        const __m256i mixed = _mm256_packs_epi32(_mm256_srai_epi32(low, SHIFT), _mm256_srai_epi32(high, SHIFT));
        _mm256_storeu_si256((__m256i *)(out + at), _mm256_permute4x64_epi64(mixed, _MM_SHUFFLE(3, 1, 2, 0)));
    }
}

/* R, G, B, X of one output as 32 bits */
AVX2 static inline __m128i pixel(const int16_t *in, const int16_t *groups, int64_t count)
{
    enum { SHIFT = GHL_RESIZE_WEIGHT_BITS + GHL_RESIZE_BETWEEN_BITS };
    const __m256i pairs = _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 1, 8, 9, 2, 3, 10, 11, 4, 5, 12, 13, 6, 7, 14, 15));
    __m256i sum = _mm256_setzero_si256();

    for (int64_t k = 0; k < count; k += 4) {
        const __m256i four = _mm256_shuffle_epi8(_mm256_loadu_si256((const __m256i *)(in + 4 * k)), pairs);
        sum = _mm256_add_epi32(sum, _mm256_madd_epi16(four, _mm256_loadu_si256((const __m256i *)(groups + 4 * k))));
    }
    const __m128i both = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
    return _mm_srai_epi32(_mm_add_epi32(both, _mm_set1_epi32(1 << (SHIFT - 1))), SHIFT);
}

/* Four outputs make 12 bytes; 16 are written where more than that follow in this row. */
AVX2 static void along(const int16_t *row, const ghl_resize_axis *x, const int16_t *groups, uint8_t *out)
{
    const __m128i rgb = _mm_setr_epi8(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1);

    for (int64_t o = 0; o < x->out; o += 4) {
        __m128i p[4];
        const int64_t m = x->out - o < 4 ? x->out - o : 4;
        for (int i = 0; i < 4; i++) {
            const int64_t at = i < m ? o + i : o;
            p[i] = pixel(row + 4 * x->from[2 * at], groups + 4 * at * x->taps, x->taps);
        }
        const __m128i bytes = _mm_packus_epi16(_mm_packs_epi32(p[0], p[1]), _mm_packs_epi32(p[2], p[3]));
        if (x->out - o >= 6) {
            _mm_storeu_si128((__m128i *)(out + 3 * o), _mm_shuffle_epi8(bytes, rgb));
        } else {
            uint8_t last[16];
            _mm_storeu_si128((__m128i *)last, _mm_shuffle_epi8(bytes, rgb));
            memcpy(out + 3 * o, last, (size_t)(3 * m));
        }
    }
}

const ghl_resize_kernels ghl_resize_avx2 = {columns, along};

#endif
