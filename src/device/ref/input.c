/* SPDX-License-Identifier: Apache-2.0
 *
 * input.c - pixels to numbers: crop and flip by counters of the sample, then one scale and one shift a channel.
 */
#include "device/places.h"
#include "device/ref/ref.h"

ghl_status ghl_ref_input(const ghl_call *call)
{
    const uint8_t *images = call->in[0].data;
    const int64_t *samples = call->in[1].data;
    const float *affine = ghl_ref_in(call, 3);
    const int64_t *rows = ghl_ref_has(call, 4) ? call->in[4].data : NULL;
    ghl_shape s = call->out[0].shape;
    float *x = ghl_ref_out(call, 0);
    ghl_augmentation a = {0};
    for (int64_t i = 0; i < ghl_shape_elements(s); i++) {
        int64_t c = i % s.c, w = i / s.c % s.w, h = i / s.c / s.w % s.h, n = i / s.c / s.w / s.h;
        if (i % (s.h * s.w * s.c) == 0)
            a = ghl_augmentation_of(&call->attr, samples[n], call->in[2].data);
        int64_t row = h + a.dy, column = (a.flip ? s.w - 1 - w : w) + a.dx;
        bool inside = row >= 0 && row < s.h && column >= 0 && column < s.w;
        double pixel = inside ? images[ghl_ref_at(s, rows != NULL ? rows[n] : n, row, column) + c] : 0.0;
        x[i] = (float)(affine[c] * pixel + affine[s.c + c]);
    }
    return GHL_OK;
}
