/* SPDX-License-Identifier: Apache-2.0
 *
 * cosine.c - layers whose weight, or whose columns too, count by their direction alone, and the adjoints:
 *
 *     v = w / |w|,   dL/dw = (g - v <v,g>) / |w|        by filter or by tap (the C-vector of one place of the kernel)
 *     u = x v' + b = x w' / |w| + b                     by filter: a layer's in one call
 *     u = v / n,     n_m = sqrt(|x_m|^2 + 1e-8),   dL/dx_i = x_i sum over columns m that see i of -(sum_k e_mk v_mk) / n_m^3
 */
#include <math.h>

#include "device/places.h"
#include "device/ref/ref.h"

static double counted_norm(const float *w, int64_t n)
{
    double squares = 0.0;
    for (int64_t i = 0; i < n; i++)
        squares += (double)w[i] * w[i];
    const double norm = sqrt(squares);
    return norm <= 1e-12 ? 1.0 : norm;
}

/* How many elements have a norm together. */
static int64_t normalised_together(const ghl_call *call)
{
    const ghl_shape s = call->in[0].shape;
    return call->attr.normalise.tap ? s.c : s.h * s.w * s.c;
}

ghl_status ghl_ref_normalise_weight(const ghl_call *call)
{
    const float *w = ghl_ref_in(call, 0);
    const int64_t each = normalised_together(call);
    for (int64_t at = 0; at < ghl_shape_elements(call->in[0].shape); at += each) {
        const double norm = counted_norm(w + at, each);
        for (int64_t i = at; i < at + each; i++)
            ghl_ref_out(call, 0)[i] = (float)(w[i] / norm);
    }
    return GHL_OK;
}

/* u = conv(x, w) / |w_k| + bias. */
ghl_status ghl_ref_conv_unit_norm(const ghl_call *call)
{
    const float *w = ghl_ref_in(call, 1), *bias = ghl_ref_in(call, 2);
    const int64_t filters = call->in[1].shape.n, fan_in = ghl_shape_elements(call->in[1].shape) / filters;
    float *u = ghl_ref_out(call, 0), *norms = ghl_ref_out(call, 1), *units = ghl_ref_out(call, 2);
    ghl_call product = *call;
    product.n_in = 2;
    GHL_TRY(ghl_ref_conv(&product));
    for (int64_t k = 0; k < filters; k++) {
        const double by = counted_norm(w + k * fan_in, fan_in);
        double squares = 0.0;
        for (int64_t i = k * fan_in; i < (k + 1) * fan_in; i++)
            squares += (double)w[i] * w[i];
        for (int64_t i = k; i < ghl_shape_elements(call->out[0].shape); i += filters)
            u[i] = (float)(u[i] / by + (bias ? (double)bias[k] : 0.0));
        if (norms)
            norms[k] = (float)sqrt(squares);
        if (units)
            units[k] = (float)(sqrt(squares) / by);
    }
    return GHL_OK;
}

ghl_status ghl_ref_normalise_weight_backward(const ghl_call *call)
{
    const float *g = ghl_ref_in(call, 0), *w = ghl_ref_in(call, 1);
    const int64_t each = normalised_together(call);
    for (int64_t at = 0; at < ghl_shape_elements(call->in[0].shape); at += each) {
        double norm = counted_norm(w + at, each), along = 0.0, squares = 0.0;
        for (int64_t i = at; i < at + each; i++) {
            along += (double)w[i] * g[i];
            squares += (double)w[i] * w[i];
        }
        along = sqrt(squares) <= 1e-12 ? 0.0 : along / norm / norm;
        for (int64_t i = at; i < at + each; i++)
            ghl_ref_out(call, 0)[i] = (float)((g[i] - along * w[i]) / norm);
    }
    return GHL_OK;
}

static double square(const ghl_call *call, int norm, int64_t column)
{
    const double n = ghl_ref_in(call, norm)[column];
    return n * n + 1e-8;
}

ghl_status ghl_ref_divide_columns(const ghl_call *call)
{
    const float *v = ghl_ref_in(call, 0), *bias = ghl_ref_in(call, 2);
    const int64_t channels = call->in[0].shape.c;
    for (int64_t i = 0; i < ghl_shape_elements(call->in[0].shape); i++)
        ghl_ref_out(call, 0)[i] = (float)(v[i] / sqrt(square(call, 1, i / channels)) + (bias ? bias[i % channels] : 0.0));
    return GHL_OK;
}

ghl_status ghl_ref_divide_columns_backward(const ghl_call *call)
{
    const float *e = ghl_ref_in(call, 0), *v = ghl_ref_in(call, 1);
    const int64_t channels = call->in[0].shape.c;
    for (int64_t m = 0; m < ghl_shape_elements(call->out[0].shape); m++) {
        double sum = 0.0;
        for (int64_t i = m * channels; i < (m + 1) * channels; i++)
            sum += (double)e[i] * v[i];
        ghl_ref_out(call, 0)[m] = (float)(-sum / pow(square(call, 2, m), 1.5));
    }
    return GHL_OK;
}

ghl_status ghl_ref_column_norms_backward(const ghl_call *call)
{
    const float *x = ghl_ref_in(call, 0), *c = ghl_ref_in(call, 1);
    const ghl_window *win = &call->attr.window;
    const ghl_shape xs = call->in[0].shape, cs = call->in[1].shape;
    for (int64_t place = 0; place < xs.n * xs.h * xs.w; place++) {
        double sum = 0.0;
        for (int64_t r = 0; r < win->kernel[0]; r++)
            for (int64_t s = 0; s < win->kernel[1]; s++) {
                const int64_t p = ghl_place_over(win, 0, place / xs.w % xs.h, r, cs.h);
                const int64_t q = ghl_place_over(win, 1, place % xs.w, s, cs.w);
                if (p >= 0 && q >= 0)
                    sum += c[ghl_ref_at(cs, place / xs.w / xs.h, p, q)];
            }
        for (int64_t i = place * xs.c; i < (place + 1) * xs.c; i++)
            ghl_ref_out(call, 0)[i] = (float)(x[i] * sum);
    }
    return GHL_OK;
}
