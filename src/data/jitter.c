/* SPDX-License-Identifier: Apache-2.0
 *
 * Colour jitter (Howard 2013, "Some improvements on deep CNN based image classification", section 2.2, in torchvision's form):
 *
 *     pixel <- other + factor (pixel - other)
 *
 * where `other` is black (brightness), the mean of the picture's grey values (contrast), or the pixel's own grey value (saturation).
 * Rounded as Pillow does it: towards zero, what is outside 0..255 is cut off; grey by ITU-R 601 in 16 bits, its mean to the nearest.
 */
#include "data/jitter.h"

static int grey_of(const uint8_t *p)
{
    return (int)((19595u * p[0] + 38470u * p[1] + 7471u * p[2] + 0x8000u) >> 16);
}

static int mean_grey(int64_t count, const uint8_t *pixels)
{
    int64_t sum = 0;

    for (int64_t i = 0; i < count; i++)
        sum += grey_of(pixels + 3 * i);
    return (int)((double)sum / (double)count + 0.5);
}

static uint8_t blend(int other, int value, float factor)
{
    const float mixed = (float)other + factor * (float)(value - other);
    return mixed <= 0 ? 0 : mixed >= 255 ? 255 : (uint8_t)mixed;
}

void ghl_jitter_one(int which, double factor, int64_t count, uint8_t *pixels)
{
    const int mean = which == GHL_JITTER_CONTRAST ? mean_grey(count, pixels) : 0;

    for (int64_t i = 0; i < count; i++) {
        uint8_t *p = pixels + 3 * i;
        const int other = which == GHL_JITTER_SATURATION ? grey_of(p) : mean;
        for (int c = 0; c < 3; c++)
            p[c] = blend(other, p[c], (float)factor);
    }
}

void ghl_jitter_apply(const double strengths[GHL_JITTERS], const ghl_draw *draw, int64_t sample, int64_t count, uint8_t *pixels)
{
    static const uint8_t orders[][GHL_JITTERS] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    uint32_t word[4];

    ghl_random4(draw->seed, GHL_RANDOM_JITTER, (uint64_t)sample, (uint64_t)draw->phase << 32 | (uint64_t)draw->epoch, word);
    const uint8_t *order = orders[(uint64_t)word[3] * 6 >> 32];
    for (int k = 0; k < GHL_JITTERS; k++) {
        const double s = strengths[order[k]], least = s < 1 ? 1 - s : 0;
        if (s > 0)
            ghl_jitter_one(order[k], least + (1 + s - least) * ((double)word[order[k]] / 4294967296.0), count, pixels);
    }
}
