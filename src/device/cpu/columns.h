/* SPDX-License-Identifier: Apache-2.0
 *
 * columns.h - convolutions of few inputs a position (the first layer of a net), as products with columns x [M,F] that are written out
 * block by block in the first-level cache. Forward and weight gradient.
 */
#ifndef GHL_DEVICE_CPU_COLUMNS_H
#define GHL_DEVICE_CPU_COLUMNS_H

#include "ghl_ext.h"

enum { GHL_COLUMNS_BLOCK = 64, GHL_COLUMNS_WIDEST = 512, GHL_COLUMNS_CHUNKS = 64 };

typedef struct ghl_columns {
    ghl_shape x, w, y; /* K is a multiple of 16 */
    ghl_window window;
    int64_t width;     /* F rounded up to 16 */
    int64_t chunks;    /* of images, each with partial sums of its own */
    size_t scratch_bytes;
} ghl_columns;

#endif
