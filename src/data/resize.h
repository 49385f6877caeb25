/* SPDX-License-Identifier: Apache-2.0
 *
 * resize.h - an antialiased bilinear resize that takes the rows of a picture one at a time, as a decoder makes them.
 *
 * An output pixel is a weighted mean of input pixels. The weights are a triangle around its centre, as wide as the reduction and at least
 * one pixel to either side, cut off at the edges of the picture:
 *
 *     s = max(1, region / out),   w_i = max(0, 1 - |i + 1/2 - c| / s) / sum,   c = start + (o + 1/2) region / out
 *
 * which is how Pillow's resize(BILINEAR, box) weighs too. Columns of pixels come first, since that takes the fewest operations: each
 * pixel of a row that is put out is a mean over at most a few rows that are kept in a ring; means along that row follow. All of it is in
 * integers, so that every processor gives the same bytes: weights of 15 and 14 bits that sum up to 1 exactly, and 7 bits behind the
 * point between the two steps.
 */
#ifndef GHL_DATA_RESIZE_H
#define GHL_DATA_RESIZE_H

#include "base/status.h"

enum {
    GHL_RESIZE_COLUMN_BITS = 15,
    GHL_RESIZE_ALONG_BITS = 14,
    GHL_RESIZE_BETWEEN_BITS = 7,
    GHL_RESIZE_SHORT = 64, /* columns of more rows are summed up exactly, in 32 bits, which is slower */
    GHL_RESIZE_SLACK = 16 /* pixels behind the end of a row that may be read, with weight 0 */
};

typedef struct ghl_resize_axis {
    int64_t first, count; /* input pixels that have weight in any output */
    int64_t out;
    int64_t taps;     /* weights of an output, 0 behind the last: a multiple of 4 */
    int32_t *from;    /* [out] the first pixel of an output, counted from `first`, and how many: from, count, from, count, ... */
    uint16_t *weights; /* [out,taps] */
    size_t from_bytes, weights_bytes;
} ghl_resize_axis;

typedef struct ghl_resize_kernels {
    /* out[i] = taps / 2 + sum of (rows[k][i] weights[k]) >> 8 over k < taps <= GHL_RESIZE_SHORT: the first term is what the shifts lose.
     * `n` values; up to the next multiple of 32 may be read and written. */
    void (*columns)(const uint8_t *const *rows, const uint16_t *weights, int64_t taps, int64_t n, int16_t *out);
    /* RGBX of 16 bits into RGB; `groups` as in ghl_resize. */
    void (*along)(const int16_t *row, const ghl_resize_axis *x, const int16_t *groups, uint8_t *out);
    void (*spread)(const uint8_t *rgb, int64_t pixels, uint8_t *rgbx); /* what becomes of X does not matter */
} ghl_resize_kernels;

extern const ghl_resize_kernels ghl_resize_plain, ghl_resize_avx2;

/* Starts as {0}; memory grows and is used again. */
typedef struct ghl_resize {
    ghl_resize_axis x, y;
    const ghl_resize_kernels *kernels; /* NULL: the best that the processor runs */
    uint8_t *pixels;                   /* [y.out,x.out,3] */
    int64_t offset, stride;            /* pixels: where the window starts in a row of the ring, and from row to row */
    int64_t ring, read, written;       /* rows that the ring holds, that came, that were put out */
    uint8_t *rows;                     /* [ring,stride,4], behind one pixel */
    const uint8_t **pick;              /* [y.taps] rows of an output */
    int16_t *mean;                     /* [x.count,4] a row between the two steps */
    int16_t *groups;                   /* [x.out,x.taps/4,16] weights of 4 pixels: 0 1 0 1 0 1 0 1 2 3 2 3 2 3 2 3 */
    size_t rows_bytes, pick_bytes, mean_bytes, groups_bytes;
} ghl_resize;

/* Of a picture of `size[]` (width, height) pixels the region [start, start + extent) becomes out[] pixels. Where a size is not whole, the
 * last pixel sticks out of the picture, and counts as far as it lies within. Says in x and y which columns and rows are needed (first,
 * count). */
ghl_status ghl_resize_begin(ghl_resize *r, const double size[2], const double start[2], const double extent[2], const int64_t out[2],
                            uint8_t *pixels);
/* Rows will be `width` pixels RGBX long, and the column x.first is their pixel `offset`. */
ghl_status ghl_resize_rows(ghl_resize *r, int64_t width, int64_t offset);
/* Where the next of y.count rows belongs; it must be filled before the next call of ghl_resize_next, which puts out what it can. */
uint8_t *ghl_resize_slot(const ghl_resize *r);
void ghl_resize_next(ghl_resize *r);
void ghl_resize_release(ghl_resize *r);

/* Makes room for bytes in a buffer that grows and whose content may be lost; new room is zeroed. */
ghl_status ghl_room_reserve(void **buffer, size_t *capacity, size_t bytes);
#define GHL_RESERVE(pointer, capacity, count) ghl_room_reserve((void **)&(pointer), &(capacity), (size_t)(count) * sizeof *(pointer))

#endif
