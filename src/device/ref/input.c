/* SPDX-License-Identifier: Apache-2.0
 *
 * input.c - pixels to numbers: crop and flip by counters of the sample, then one scale and one shift a channel.
 */
#include "device/ref/ref.h"

typedef struct augmentation {
    int64_t dy, dx;
    bool flip;
} augmentation;

static augmentation draw(const ghl_call *call, int64_t sample, const int64_t *clock)
{
    const int32_t kinds = call->attr.input.augment;
    const int64_t padding = call->attr.input.padding, range = 2 * padding + 1;
    const uint64_t epoch = (uint64_t)clock[GHL_CLOCK_PHASE] << 32 | (uint64_t)clock[GHL_CLOCK_EPOCH];
    uint32_t words[4];
    ghl_random4(call->attr.seed, GHL_RANDOM_AUGMENT, (uint64_t)sample, epoch, words);
    augmentation a = {.flip = (kinds & GHL_AUGMENT_FLIP) && (words[2] & 1)};
    if (kinds & GHL_AUGMENT_CROP) {
        a.dy = words[0] % range - padding;
        a.dx = words[1] % range - padding;
    }
    return a;
}

ghl_status ghl_ref_input(const ghl_call *call)
{
    const uint8_t *images = call->in[0].data;
    const int64_t *samples = call->in[1].data;
    const float *affine = ghl_ref_in(call, 3);
    ghl_shape s = call->in[0].shape;
    float *x = ghl_ref_out(call, 0);
    augmentation a = {0};
    for (int64_t i = 0; i < ghl_shape_elements(s); i++) {
        int64_t c = i % s.c, w = i / s.c % s.w, h = i / s.c / s.w % s.h, n = i / s.c / s.w / s.h;
        if (i % (s.h * s.w * s.c) == 0)
            a = draw(call, samples[n], call->in[2].data);
        int64_t row = h + a.dy, column = (a.flip ? s.w - 1 - w : w) + a.dx;
        bool inside = row >= 0 && row < s.h && column >= 0 && column < s.w;
        double pixel = inside ? images[ghl_ref_at(s, n, row, column) + c] : 0.0;
        x[i] = (float)(affine[c] * pixel + affine[s.c + c]);
    }
    return GHL_OK;
}
