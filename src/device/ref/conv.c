/* SPDX-License-Identifier: Apache-2.0
 *
 * conv.c - convolution and its two adjoints, direct, with zero padding:
 *
 *     u[n,p,q,k] = sum over r,s,c of w[k,r,s,c] x[n, p stride - padding + r, q stride - padding + s, c]
 *
 * A linear layer is the case P = Q = 1. Places outside the image are passed over.
 */
#include "device/places.h"
#include "device/ref/ref.h"

enum { BLOCK = 64 }; /* channels summed side by side */

static double dot(const float *a, const float *b, int64_t n)
{
    double sum = 0.0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)a[i] * b[i];
    return sum;
}

ghl_status ghl_ref_conv(const ghl_call *call)
{
    const float *x = ghl_ref_in(call, 0), *w = ghl_ref_in(call, 1), *bias = ghl_ref_in(call, 2);
    const ghl_window *win = &call->attr.window;
    ghl_shape xs = call->in[0].shape, ws = call->in[1].shape, us = call->out[0].shape;
    float *u = ghl_ref_out(call, 0);
    for (int64_t i = 0; i < ghl_shape_elements(us); i++) {
        int64_t k = i % us.c, q = i / us.c % us.w, p = i / us.c / us.w % us.h, n = i / us.c / us.w / us.h;
        double sum = bias ? bias[k] : 0.0;
        for (int64_t r = 0; r < ws.h; r++)
            for (int64_t s = 0; s < ws.w; s++) {
                int64_t h = ghl_place_under(win, 0, p, r, xs.h), v = ghl_place_under(win, 1, q, s, xs.w);
                if (h >= 0 && v >= 0)
                    sum += dot(x + ghl_ref_at(xs, n, h, v), w + ghl_ref_at(ws, k, r, s), xs.c);
            }
        u[i] = (float)sum;
    }
    return GHL_OK;
}

/* dL/dx at (n,h,v), channels first .. first + count. */
static void gather(const ghl_call *call, const int64_t at[3], int64_t first, int64_t count, double *sum)
{
    const float *e = ghl_ref_in(call, 0), *w = ghl_ref_in(call, 1);
    const ghl_window *win = &call->attr.window;
    ghl_shape es = call->in[0].shape, ws = call->in[1].shape;
    for (int64_t r = 0; r < ws.h; r++)
        for (int64_t s = 0; s < ws.w; s++) {
            int64_t p = ghl_place_over(win, 0, at[1], r, es.h), q = ghl_place_over(win, 1, at[2], s, es.w);
            if (p < 0 || q < 0)
                continue;
            for (int64_t k = 0; k < ws.n; k++) {
                double error = e[ghl_ref_at(es, at[0], p, q) + k];
                const float *row = w + ghl_ref_at(ws, k, r, s) + first;
                for (int64_t c = 0; c < count; c++)
                    sum[c] += error * row[c];
            }
        }
}

ghl_status ghl_ref_conv_backward_data(const ghl_call *call)
{
    ghl_shape xs = call->out[0].shape;
    float *dx = ghl_ref_out(call, 0);
    for (int64_t i = 0; i < xs.n * xs.h * xs.w; i++)
        for (int64_t first = 0; first < xs.c; first += BLOCK) {
            int64_t count = xs.c - first < BLOCK ? xs.c - first : BLOCK;
            const int64_t at[3] = {i / xs.w / xs.h, i / xs.w % xs.h, i % xs.w};
            double sum[BLOCK] = {0};
            gather(call, at, first, count, sum);
            for (int64_t c = 0; c < count; c++)
                dx[i * xs.c + first + c] = (float)sum[c];
        }
    return GHL_OK;
}

/* g[k,r,s,c] = sum over n,p,q of e[n,p,q,k] x[n, place of p under r, place of q under s, c]. */
static void weight_gradient(const ghl_window *win, const ghl_operand *input, const ghl_operand *error, const ghl_operand *out)
{
    ghl_shape xs = input->shape, es = error->shape, ws = out->shape;
    const float *x = input->data, *e = error->data;
    float *g = out->data;
    for (int64_t i = 0; i < ws.n * ws.h * ws.w; i++)
        for (int64_t first = 0; first < ws.c; first += BLOCK) {
            int64_t k = i / ws.w / ws.h, r = i / ws.w % ws.h, s = i % ws.w, count = ws.c - first < BLOCK ? ws.c - first : BLOCK;
            double sum[BLOCK] = {0};
            for (int64_t m = 0; m < es.n * es.h * es.w; m++) {
                int64_t h = ghl_place_under(win, 0, m / es.w % es.h, r, xs.h), v = ghl_place_under(win, 1, m % es.w, s, xs.w);
                if (h < 0 || v < 0)
                    continue;
                const float *row = x + ghl_ref_at(xs, m / es.w / es.h, h, v) + first;
                for (int64_t c = 0; c < count; c++)
                    sum[c] += (double)e[m * es.c + k] * row[c];
            }
            for (int64_t c = 0; c < count; c++)
                g[i * ws.c + first + c] = (float)sum[c];
        }
}

ghl_status ghl_ref_conv_backward_weights(const ghl_call *call)
{
    weight_gradient(&call->attr.window, &call->in[0], &call->in[1], &call->out[0]);
    return GHL_OK;
}

ghl_status ghl_ref_conv_backward_weights_pair(const ghl_call *call)
{
    weight_gradient(&call->attr.window, &call->in[0], &call->in[1], &call->out[0]);
    weight_gradient(&call->attr.window, &call->in[0], &call->in[2], &call->out[1]);
    return GHL_OK;
}

ghl_status ghl_ref_sum_positions(const ghl_call *call)
{
    const float *e = ghl_ref_in(call, 0), *u = call->n_in > 1 ? ghl_ref_in(call, 1) : NULL;
    ghl_shape es = call->in[0].shape;
    float *sums = ghl_ref_out(call, 0);
    for (int64_t k = 0; k < es.c; k++) {
        double sum = 0.0;
        for (int64_t m = 0; m < es.n * es.h * es.w; m++)
            sum += u != NULL ? (double)e[m * es.c + k] * (double)u[m * es.c + k] : (double)e[m * es.c + k];
        sums[k] = (float)sum;
    }
    return GHL_OK;
}

ghl_status ghl_ref_pad_reflect(const ghl_call *call)
{
    const float *x = ghl_ref_in(call, 0);
    const int32_t *padding = call->attr.window.padding;
    ghl_shape xs = call->in[0].shape, ys = call->out[0].shape;
    float *y = ghl_ref_out(call, 0);
    for (int64_t i = 0; i < ghl_shape_elements(ys); i++) {
        int64_t c = i % ys.c, q = i / ys.c % ys.w, p = i / ys.c / ys.w % ys.h, n = i / ys.c / ys.w / ys.h;
        y[i] = x[ghl_ref_at(xs, n, ghl_place_reflected(p, padding[0], xs.h), ghl_place_reflected(q, padding[1], xs.w)) + c];
    }
    return GHL_OK;
}

/* All places of the padded image that show one place of the image add up. */
ghl_status ghl_ref_pad_reflect_backward(const ghl_call *call)
{
    const float *e = ghl_ref_in(call, 0);
    const int32_t *padding = call->attr.window.padding;
    ghl_shape es = call->in[0].shape, xs = call->out[0].shape;
    float *dx = ghl_ref_out(call, 0);
    for (int64_t i = 0; i < ghl_shape_elements(xs); i++) {
        int64_t c = i % xs.c, v = i / xs.c % xs.w, h = i / xs.c / xs.w % xs.h, n = i / xs.c / xs.w / xs.h;
        double sum = 0.0;
        for (int64_t p = 0; p < es.h; p++)
            for (int64_t q = 0; q < es.w; q++)
                if (ghl_place_reflected(p, padding[0], xs.h) == h && ghl_place_reflected(q, padding[1], xs.w) == v)
                    sum += e[ghl_ref_at(es, n, p, q) + c];
        dx[i] = (float)sum;
    }
    return GHL_OK;
}
