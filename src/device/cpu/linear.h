/* SPDX-License-Identifier: Apache-2.0
 *
 * linear.h - linear layers: convolutions whose kernel is the whole map, y = x w' + bias.
 */
#ifndef GHL_DEVICE_CPU_LINEAR_H
#define GHL_DEVICE_CPU_LINEAR_H

#include "ghl_ext.h"

typedef struct ghl_linear {
    int64_t rows, inputs, outputs; /* N, F, K */
    int64_t threads;
    size_t scratch_bytes;
} ghl_linear;

/* Sizes of what the backward passes lay out anew. */
enum { GHL_LINEAR_STRIP = 192, GHL_LINEAR_DEPTH = 128, GHL_LINEAR_ROWS = 8 /* of a gradient, a thread's */ };

#endif
