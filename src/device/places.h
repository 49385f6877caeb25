/* SPDX-License-Identifier: Apache-2.0
 *
 * places.h - which element a window, a reflection or an augmentation shows: index arithmetic that `ref` and the kernels of a GPU share, so
 * that the tests of `ref` are tests of both. Sizes and places are those of one axis; -1 stands for none.
 */
#ifndef GHL_DEVICE_PLACES_H
#define GHL_DEVICE_PLACES_H

#include "base/philox.h"
#include "ghl_ext.h"

/* Row or column of the image under tap `tap` of window `out`. */
GHL_SHARED_FUNCTION int64_t ghl_place_under(const ghl_window *w, int axis, int64_t out, int64_t tap, int64_t size)
{
    const int64_t in = out * w->stride[axis] - w->padding[axis] + tap;
    return in >= 0 && in < size ? in : -1;
}

/* The window, of `count`, whose tap `tap` lies on row or column `in`. */
GHL_SHARED_FUNCTION int64_t ghl_place_over(const ghl_window *w, int axis, int64_t in, int64_t tap, int64_t count)
{
    const int64_t offset = in + w->padding[axis] - tap, out = offset / w->stride[axis];
    return offset < 0 || offset % w->stride[axis] != 0 || out >= count ? -1 : out;
}

/* Row or column of the image that is seen at `padded`, the edge itself not repeated. */
GHL_SHARED_FUNCTION int64_t ghl_place_reflected(int64_t padded, int64_t padding, int64_t size)
{
    int64_t in = padded - padding;
    if (in < 0)
        in = -in;
    return in < size ? in : 2 * (size - 1) - in;
}

/* How a sample's image is shown: op input. */
typedef struct ghl_augmentation {
    int32_t dy, dx, flip;
} ghl_augmentation;

GHL_SHARED_FUNCTION ghl_augmentation ghl_augmentation_of(const ghl_attributes *attr, int64_t sample, const int64_t *clock)
{
    const int32_t padding = attr->input.padding;
    const uint32_t range = 2 * (uint32_t)padding + 1;
    const uint64_t epoch = (uint64_t)clock[GHL_CLOCK_PHASE] << 32 | (uint64_t)clock[GHL_CLOCK_EPOCH];
    ghl_augmentation a = {0, 0, 0};
    uint32_t words[4];
    ghl_philox4(attr->seed, GHL_RANDOM_AUGMENT, (uint64_t)sample, epoch, words);
    a.flip = (attr->input.augment & GHL_AUGMENT_FLIP) != 0 && (words[2] & 1) != 0;
    if (attr->input.augment & GHL_AUGMENT_CROP) {
        a.dy = (int32_t)(words[0] % range) - padding;
        a.dx = (int32_t)(words[1] % range) - padding;
    }
    return a;
}

/* What a word of a draw must reach for its element to be kept: op dropout. */
GHL_SHARED_FUNCTION double ghl_dropout_threshold(double rate)
{
    return rate * 4294967296.0;
}

GHL_SHARED_FUNCTION uint64_t ghl_dropout_moment(const int64_t *clock)
{
    return (uint64_t)clock[GHL_CLOCK_PHASE] << 56 | (uint64_t)clock[GHL_CLOCK_STEP];
}

#endif
