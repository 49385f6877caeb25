/* SPDX-License-Identifier: Apache-2.0
 *
 * window.h - options kernel, stride and padding, a number or [rows, columns] each, shared by convolutions and pools.
 */
#ifndef GHL_LAYER_WINDOW_H
#define GHL_LAYER_WINDOW_H

#include "ghl_ext.h"

typedef struct ghl_window_options {
    ghl_ints kernel, stride, padding;
} ghl_window_options;

/* Rows for the member `window` of options struct `owner`; stride_help says what an empty stride means. */
#define GHL_WINDOW_ROWS(owner, stride_default, stride_help)                                                                           \
    {.name = "kernel", .type = GHL_OPTION_INTS, .offset = offsetof(owner, window.kernel), .fallback = "[]", .min = 1, .max = 4096,    \
     .help = "rows and columns of the window: one number or [rows, columns]"},                                                        \
    {.name = "stride", .type = GHL_OPTION_INTS, .offset = offsetof(owner, window.stride), .fallback = stride_default, .min = 1,       \
     .max = 4096, .help = stride_help},                                                                                               \
    {.name = "padding", .type = GHL_OPTION_INTS, .offset = offsetof(owner, window.padding), .fallback = "[0]", .min = 0, .max = 4096, \
     .help = "rows and columns added on each side: one number or [rows, columns]"}

/* GHL_RECIPE naming the node where kernel is missing or a list has more than two entries. An empty stride is the kernel's size. */
ghl_status ghl_layer_window(const ghl_node *node, const ghl_window_options *options, ghl_window *out);

#endif
