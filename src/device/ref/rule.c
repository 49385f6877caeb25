/* SPDX-License-Identifier: Apache-2.0
 *
 * rule.c - what the learning rules are made of (Hua et al. 2026, eq. 4-6): the response, Oja's decay, the scale, the direction.
 *
 *     r = softmax_k(t u),   d_k = p_k - <w_k,p_k> w_k,   h = |d| / (s + 1e-30),   v = h^power sign(g)
 */
#include <math.h>

#include "device/ref/ref.h"

ghl_status ghl_ref_softmax_channels(const ghl_call *call)
{
    const float *u = ghl_ref_in(call, 0);
    const double t = call->attr.softmax.inverse_temperature;
    ghl_shape us = call->in[0].shape;
    float *r = ghl_ref_out(call, 0);
    for (int64_t m = 0; m < us.n * us.h * us.w; m++) {
        const float *column = u + m * us.c;
        double highest = t * column[0], sum = 0.0;
        for (int64_t k = 1; k < us.c; k++)
            highest = t * column[k] > highest ? t * column[k] : highest;
        for (int64_t k = 0; k < us.c; k++)
            sum += exp(t * column[k] - highest);
        for (int64_t k = 0; k < us.c; k++)
            r[m * us.c + k] = (float)(exp(t * column[k] - highest) / sum);
    }
    return GHL_OK;
}

ghl_status ghl_ref_oja_decay(const ghl_call *call)
{
    const float *p = ghl_ref_in(call, 0), *w = ghl_ref_in(call, 1);
    const int64_t neurons = call->in[0].shape.n, fan_in = ghl_shape_elements(call->in[0].shape) / neurons;
    float *d = ghl_ref_out(call, 0);
    for (int64_t k = 0; k < neurons; k++) {
        double product = 0.0;
        for (int64_t f = 0; f < fan_in; f++)
            product += (double)w[k * fan_in + f] * p[k * fan_in + f];
        for (int64_t f = 0; f < fan_in; f++)
            d[k * fan_in + f] = (float)(p[k * fan_in + f] - product * w[k * fan_in + f]);
    }
    return GHL_OK;
}

ghl_status ghl_ref_scale(const ghl_call *call)
{
    const float *d = ghl_ref_in(call, 0);
    const int64_t groups = ghl_shape_elements(call->out[0].shape), each = ghl_shape_elements(call->in[0].shape) / groups;
    for (int64_t k = 0; k < groups; k++) {
        double squares = 0.0;
        float largest = 0.0f;
        for (int64_t i = k * each; i < (k + 1) * each; i++) {
            float size = fabsf(d[i]);
            squares += (double)size * size;
            if (size > largest || isnan(size))
                largest = size;
            if (isnan(largest))
                break;
        }
        ghl_ref_out(call, 0)[k] = call->attr.scale.statistic == GHL_SCALE_RMS ? (float)sqrt(squares / (double)each) : largest;
    }
    return GHL_OK;
}

/* The step's size: 1, or (|d| / s)^power. Powers of NaN are NaN here, unlike pow(NaN, 0). */
static double magnitude(const ghl_call *call, float d, float s)
{
    const double clip = call->attr.direction.clip;
    double h = fabs((double)d) / ((double)s + 1e-30);
    if (clip > 0.0 && h > clip)
        h = clip;
    return isnan(h) ? h : pow(h, call->attr.direction.power);
}

ghl_status ghl_ref_direction(const ghl_call *call)
{
    const float *g = ghl_ref_in(call, 0), *d = ghl_ref_in(call, 1), *s = ghl_ref_in(call, 2);
    const int64_t elements = ghl_shape_elements(call->in[0].shape);
    const int64_t each = d ? elements / ghl_shape_elements(call->in[2].shape) : elements;
    float *v = ghl_ref_out(call, 0);
    for (int64_t i = 0; i < elements; i++) {
        double sign = isnan(g[i]) ? g[i] : (double)(g[i] > 0.0f) - (double)(g[i] < 0.0f);
        v[i] = (float)((d ? magnitude(call, d[i], s[i / each]) : 1.0) * sign);
    }
    return GHL_OK;
}
