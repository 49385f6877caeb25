/* SPDX-License-Identifier: Apache-2.0
 *
 * linear.c - which problems are linear layers, and the scratch they need. See linear.h.
 */
#include "device/cpu/conv.h"

static size_t round_up(int64_t n)
{
    return (size_t)((n + 15) / 16 * 16);
}

bool ghl_linear_plan(const ghl_conv_problem *p, int threads, ghl_linear *out)
{
    const ghl_window *window = &p->window;
    if (p->y.h != 1 || p->y.w != 1 || window->padding[0] != 0 || window->padding[1] != 0 || p->w.h != p->x.h || p->w.w != p->x.w)
        return false;
    ghl_linear l = {.rows = p->x.n, .inputs = p->x.h * p->x.w * p->x.c, .outputs = p->y.c, .threads = threads};
    size_t floats = 0;
    if (p->direction == GHL_CONV_BACKWARD_DATA)
        floats = round_up(l.rows) * round_up(l.outputs) + (size_t)threads * GHL_LINEAR_STRIP * GHL_LINEAR_DEPTH;
    else if (p->direction == GHL_CONV_BACKWARD_WEIGHTS)
        floats = round_up(l.rows) * (round_up(l.inputs) + round_up(l.outputs)) + (size_t)(threads * GHL_LINEAR_ROWS * l.inputs);
    l.scratch_bytes = floats * sizeof(float);
    *out = l;
    return true;
}
