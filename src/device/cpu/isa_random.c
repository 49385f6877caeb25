/* SPDX-License-Identifier: Apache-2.0
 *
 * isa_random.c - dropout from counters, and pixels to numbers. The random words are those of ghl_random4 (Philox4x32-10), here many
 * counters side by side in vectors; a test compares the bits.
 */
#include <string.h>

#include "device/cpu/isa.h"

enum { DRAWS = 64 }; /* counters side by side; four words each */

/* The key of ghl_random4. */
static uint64_t philox_key(uint64_t seed, uint64_t purpose)
{
    uint64_t x = purpose;
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return seed ^ x ^ (x >> 31);
}

/* word[i] of the counters a, a + 1, ... */
static void philox(uint64_t key, uint64_t a, uint64_t b, uint32_t word[4][DRAWS])
{
    uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32), b0 = (uint32_t)b, b1 = (uint32_t)(b >> 32);
#pragma omp simd
    for (int i = 0; i < DRAWS; i++) {
        uint64_t counter = a + (uint64_t)i;
        word[0][i] = (uint32_t)counter;
        word[1][i] = (uint32_t)(counter >> 32);
        word[2][i] = b0;
        word[3][i] = b1;
    }
    for (int round = 0; round < 10; round++) {
#pragma omp simd
        for (int i = 0; i < DRAWS; i++) {
            uint64_t p0 = (uint64_t)0xD2511F53u * word[0][i], p1 = (uint64_t)0xCD9E8D57u * word[2][i];
            word[0][i] = (uint32_t)(p1 >> 32) ^ word[1][i] ^ k0;
            word[1][i] = (uint32_t)p1;
            word[2][i] = (uint32_t)(p0 >> 32) ^ word[3][i] ^ k1;
            word[3][i] = (uint32_t)p0;
        }
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
}

/* Elements [begin, begin + n) with begin a multiple of four and n at most 4 DRAWS. */
static GHL_CPU_BODY void dropout_block(const void *x, void *y, int64_t n, uint32_t word[4][DRAWS], double threshold, float factor, int half)
{
    float gain[4 * DRAWS];
    uint32_t limit = threshold >= 4294967295.0 ? UINT32_MAX : (uint32_t)threshold;
    limit += (double)limit < threshold; /* words are whole numbers: word >= threshold is word >= its ceiling */
#pragma omp simd
    for (int i = 0; i < DRAWS; i++) {
        gain[4 * i] = word[0][i] >= limit ? factor : 0.0f;
        gain[4 * i + 1] = word[1][i] >= limit ? factor : 0.0f;
        gain[4 * i + 2] = word[2][i] >= limit ? factor : 0.0f;
        gain[4 * i + 3] = word[3][i] >= limit ? factor : 0.0f;
    }
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        ghl_put(y, i, ghl_get(x, i, half) * gain[i], half);
}

static GHL_CPU_BODY void dropout_range(const ghl_call *call, void *scratch, int64_t begin, int64_t end, int half)
{
    const int64_t *clock = call->in[1].data;
    double rate = (double)call->attr.dropout.rate, threshold = rate * 4294967296.0;
    uint64_t key = philox_key(call->attr.seed, GHL_RANDOM_DROPOUT + (uint64_t)call->attr.dropout.node);
    uint64_t moment = (uint64_t)clock[GHL_CLOCK_PHASE] << 56 | (uint64_t)clock[GHL_CLOCK_STEP];
    int64_t n = ghl_shape_elements(call->out[0].shape);
    (void)scratch;
    for (int64_t block = begin; block < end; block++) {
        uint32_t word[4][DRAWS];
        int64_t at = block * 4 * DRAWS;
        philox(key, (uint64_t)at / 4, moment, word);
        dropout_block(ghl_at(call->in[0].data, at, half), ghl_at(call->out[0].data, at, half), ghl_cpu_min(4 * DRAWS, n - at), word,
                      threshold, (float)(1.0 / (1.0 - rate)), half);
    }
}
GHL_CPU_RANGES(dropout, call->in[0], (ghl_shape_elements(call->in[0].shape) + 4 * DRAWS - 1) / (4 * DRAWS), 16 * DRAWS)

typedef struct augmentation {
    int64_t dy, dx;
    int flip;
} augmentation;

static augmentation draw(const ghl_call *call, int64_t sample)
{
    const int64_t *clock = call->in[2].data, padding = call->attr.input.padding;
    uint64_t moment = (uint64_t)clock[GHL_CLOCK_PHASE] << 32 | (uint64_t)clock[GHL_CLOCK_EPOCH];
    uint32_t word[4];
    augmentation a = {0, 0, 0};
    if (call->attr.input.augment == 0)
        return a;
    ghl_random4(call->attr.seed, GHL_RANDOM_AUGMENT, (uint64_t)sample, moment, word);
    if (call->attr.input.augment & GHL_AUGMENT_CROP) {
        a.dy = (int64_t)(word[0] % (uint64_t)(2 * padding + 1)) - padding;
        a.dx = (int64_t)(word[1] % (uint64_t)(2 * padding + 1)) - padding;
    }
    a.flip = (call->attr.input.augment & GHL_AUGMENT_FLIP) != 0 && (word[2] & 1) != 0;
    return a;
}

static GHL_CPU_BODY void input_row(const uint8_t *pixels, ghl_shape s, augmentation a, int64_t h, const float *affine, void *x, int half)
{
    int64_t from = h + a.dy;
    for (int64_t w = 0; w < s.w; w++) {
        int64_t column = (a.flip ? s.w - 1 - w : w) + a.dx;
        int inside = from >= 0 && from < s.h && column >= 0 && column < s.w;
        int64_t at = (from * s.w + column) * s.c;
        for (int64_t c = 0; c < s.c; c++)
            ghl_put(x, w * s.c + c, inside ? affine[c] * (float)pixels[at + c] + affine[s.c + c] : affine[s.c + c], half);
    }
}

static GHL_CPU_BODY void input_range(const ghl_call *call, void *scratch, int64_t begin, int64_t end, int half)
{
    ghl_shape s = call->in[0].shape;
    const uint8_t *images = call->in[0].data;
    const int64_t *samples = call->in[1].data;
    int64_t image = s.h * s.w * s.c;
    (void)scratch;
    for (int64_t n = begin; n < end; n++) {
        augmentation a = draw(call, samples[n]);
        for (int64_t h = 0; h < s.h; h++)
            input_row(images + n * image, s, a, h, call->in[3].data, ghl_at(call->out[0].data, n * image + h * s.w * s.c, half), half);
    }
}
GHL_CPU_RANGES(input, call->out[0], call->in[0].shape.n, 2 * ghl_shape_elements(call->in[0].shape) / call->in[0].shape.n)
