/* SPDX-License-Identifier: Apache-2.0
 *
 * columns.c - which convolutions go by columns, and the scratch they need. See columns.h.
 */
#include "device/cpu/conv.h"

bool ghl_columns_plan(const ghl_conv_problem *p, int threads, ghl_columns *out)
{
    int64_t inputs = p->w.h * p->w.w * p->w.c;
    if (p->direction == GHL_CONV_BACKWARD_DATA || p->y.c % 16 != 0 || inputs > GHL_COLUMNS_WIDEST)
        return false;
    ghl_columns g = {.x = p->x, .w = p->w, .y = p->y, .window = p->window, .width = (inputs + 15) / 16 * 16};
    g.chunks = p->y.n < GHL_COLUMNS_CHUNKS ? p->y.n : GHL_COLUMNS_CHUNKS;
    int64_t floats = g.y.c * g.width + threads * (GHL_COLUMNS_BLOCK * g.width + 16);
    if (p->direction == GHL_CONV_BACKWARD_WEIGHTS)
        floats = g.chunks * 2 * g.y.c * g.width + threads * GHL_COLUMNS_BLOCK * (g.width + g.y.c);
    g.scratch_bytes = (size_t)floats * sizeof(float);
    *out = g;
    return true;
}
