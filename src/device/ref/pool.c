/* SPDX-License-Identifier: Apache-2.0
 *
 * pool.c - maximum and mean over windows, per channel, and their adjoints. The backward passes gather: each place of the image looks
 * up the windows that cover it.
 */
#include <math.h>

#include "device/places.h"
#include "device/ref/ref.h"

enum { NOTHING = 255 }; /* index of a maximum that passes no error */

typedef struct spot {
    int64_t n, h, w, c;
} spot;

static spot spot_of(ghl_shape s, int64_t i)
{
    return (spot){i / s.c / s.w / s.h, i / s.c / s.w % s.h, i / s.c % s.w, i % s.c};
}

/* Element of x under tap (r,s) of the window at `out`, or -1 in the padding. */
static int64_t under(const ghl_window *win, ghl_shape xs, spot out, int64_t r, int64_t s)
{
    const int64_t h = ghl_place_under(win, 0, out.h, r, xs.h), w = ghl_place_under(win, 1, out.w, s, xs.w);
    return h >= 0 && w >= 0 ? ghl_ref_at(xs, out.n, h, w) + out.c : -1;
}

/* Element of the pooled map whose tap (r,s) lies at `in`, or -1. */
static int64_t over(const ghl_window *win, ghl_shape ys, spot in, int64_t r, int64_t s)
{
    const int64_t p = ghl_place_over(win, 0, in.h, r, ys.h), q = ghl_place_over(win, 1, in.w, s, ys.w);
    return p >= 0 && q >= 0 ? ghl_ref_at(ys, in.n, p, q) + in.c : -1;
}

ghl_status ghl_ref_max_pool(const ghl_call *call)
{
    const float *x = ghl_ref_in(call, 0);
    const ghl_window *win = &call->attr.window;
    ghl_shape xs = call->in[0].shape, ys = call->out[0].shape;
    float *y = ghl_ref_out(call, 0);
    uint8_t *index = call->out[1].data;
    for (int64_t i = 0; i < ghl_shape_elements(ys); i++) {
        float best = -INFINITY;
        int64_t winner = -1;
        for (int64_t tap = 0; tap < (int64_t)win->kernel[0] * win->kernel[1]; tap++) {
            int64_t from = under(win, xs, spot_of(ys, i), tap / win->kernel[1], tap % win->kernel[1]);
            if (from >= 0 && (winner < 0 || x[from] > best || (isnan(x[from]) && !isnan(best)))) {
                best = x[from];
                winner = tap;
            }
        }
        bool cut = call->attr.pool.relu && best <= 0.0f;
        y[i] = cut ? 0.0f : best;
        index[i] = cut ? NOTHING : (uint8_t)winner;
    }
    return GHL_OK;
}

ghl_status ghl_ref_max_pool_backward(const ghl_call *call)
{
    const float *e = ghl_ref_in(call, 0);
    const uint8_t *index = call->in[1].data;
    const ghl_window *win = &call->attr.window;
    ghl_shape es = call->in[0].shape, xs = call->out[0].shape;
    float *dx = ghl_ref_out(call, 0);
    for (int64_t i = 0; i < ghl_shape_elements(xs); i++) {
        double sum = 0.0;
        for (int64_t tap = 0; tap < (int64_t)win->kernel[0] * win->kernel[1]; tap++) {
            int64_t from = over(win, es, spot_of(xs, i), tap / win->kernel[1], tap % win->kernel[1]);
            if (from >= 0 && index[from] == tap)
                sum += e[from];
        }
        dx[i] = (float)sum;
    }
    return GHL_OK;
}

ghl_status ghl_ref_average_pool(const ghl_call *call)
{
    const float *x = ghl_ref_in(call, 0);
    const ghl_window *win = &call->attr.window;
    ghl_shape xs = call->in[0].shape, ys = call->out[0].shape;
    int64_t taps = (int64_t)win->kernel[0] * win->kernel[1];
    float *y = ghl_ref_out(call, 0);
    for (int64_t i = 0; i < ghl_shape_elements(ys); i++) {
        double sum = 0.0;
        for (int64_t tap = 0; tap < taps; tap++) {
            int64_t from = under(win, xs, spot_of(ys, i), tap / win->kernel[1], tap % win->kernel[1]);
            if (from >= 0 && !(call->attr.pool.relu && x[from] <= 0.0f))
                sum += x[from];
        }
        y[i] = (float)(sum / (double)taps);
    }
    return GHL_OK;
}

ghl_status ghl_ref_average_pool_backward(const ghl_call *call)
{
    const float *e = ghl_ref_in(call, 0), *u = ghl_ref_in(call, 1);
    const ghl_window *win = &call->attr.window;
    ghl_shape es = call->in[0].shape, xs = call->out[0].shape;
    int64_t taps = (int64_t)win->kernel[0] * win->kernel[1];
    float *dx = ghl_ref_out(call, 0);
    for (int64_t i = 0; i < ghl_shape_elements(xs); i++) {
        double sum = 0.0;
        for (int64_t tap = 0; tap < taps; tap++) {
            int64_t from = over(win, es, spot_of(xs, i), tap / win->kernel[1], tap % win->kernel[1]);
            if (from >= 0)
                sum += e[from];
        }
        dx[i] = u && u[i] <= 0.0f ? 0.0f : (float)(sum / (double)taps);
    }
    return GHL_OK;
}
