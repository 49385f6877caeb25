/* SPDX-License-Identifier: Apache-2.0
 *
 * rule.c - what the learning rules are made of: the response, decays, the scale, and the direction of GHL (Hua et al. 2026, eq. 4-6) or of
 * rules that ascend.
 *
 *     r = softmax_k(t u),   d_k = p_k - <w_k,p_k> w_k,   h = |d| / (s + 1e-30),   v = h^power sign(g)
 *     instar: d_k = f (p_k - a_k w_k) / b_k,   Sanger: d = f (p - tril(y^T y) w),   ascent: v_k = -rate_k d_k / (s + 1e-30)
 */
#include <math.h>
#include <stdlib.h>

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
        int64_t winner = 0;
        for (int64_t k = 1; k < us.c; k++) {
            highest = t * column[k] > highest ? t * column[k] : highest;
            winner = column[k] > column[winner] ? k : winner;
        }
        for (int64_t k = 0; k < us.c; k++)
            sum += exp(t * column[k] - highest);
        for (int64_t k = 0; k < us.c; k++) {
            const double q = exp(t * column[k] - highest) / sum;
            const double loser[] = {[GHL_LOSERS_SOFT] = q, [GHL_LOSERS_NEGATIVE] = -q, [GHL_LOSERS_NONE] = 0.0 * q};
            const double won = call->attr.softmax.losers == GHL_LOSERS_NONE && q == q ? 1.0 : q;
            r[m * us.c + k] = (float)(k == winner ? won : loser[call->attr.softmax.losers]);
        }
    }
    return GHL_OK;
}

static double dot(const float *a, const float *b, int64_t n)
{
    double sum = 0.0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)a[i] * b[i];
    return sum;
}

static float rate_of(float norm, float power)
{
    return (float)pow(fabs(norm - 1.0) + 1e-10, power);
}

ghl_status ghl_ref_oja_decay(const ghl_call *call)
{
    const float *p = ghl_ref_in(call, 0), *w = ghl_ref_in(call, 1);
    const int64_t neurons = call->in[0].shape.n, fan_in = ghl_shape_elements(call->in[0].shape) / neurons;
    float *d = ghl_ref_out(call, 0);
    for (int64_t k = 0; k < neurons; k++) {
        const double product = (float)dot(w + k * fan_in, p + k * fan_in, fan_in); /* rounded as oja_scale's output */
        for (int64_t i = k * fan_in; i < (k + 1) * fan_in; i++)
            d[i] = (float)(p[i] - product * w[i]);
    }
    return GHL_OK;
}

ghl_status ghl_ref_oja_scale(const ghl_call *call)
{
    const float *p = ghl_ref_in(call, 0), *w = ghl_ref_in(call, 1);
    const int64_t neurons = call->in[0].shape.n, fan_in = ghl_shape_elements(call->in[0].shape) / neurons;
    float *decay = ghl_ref_out(call, 0), *s = ghl_ref_out(call, 1), *rate = ghl_ref_out(call, 2);
    *s = 0.0f;
    for (int64_t k = 0; k < neurons; k++) {
        const float *wk = w + k * fan_in;
        decay[k] = (float)dot(wk, p + k * fan_in, fan_in);
        for (int64_t i = k * fan_in; i < (k + 1) * fan_in; i++) {
            const float size = (float)fabs(p[i] - (double)decay[k] * w[i]);
            *s = size <= *s || isnan(*s) ? *s : size;
        }
        if (rate)
            rate[k] = rate_of((float)sqrt(dot(wk, wk, fan_in)), call->attr.ascent.power);
    }
    return GHL_OK;
}

ghl_status ghl_ref_instar_decay(const ghl_call *call)
{
    const float *p = ghl_ref_in(call, 0), *w = ghl_ref_in(call, 1), *decay = ghl_ref_in(call, 2), *divisor = ghl_ref_in(call, 3);
    const int64_t fan_in = ghl_shape_elements(call->in[0].shape) / call->in[0].shape.n;
    for (int64_t i = 0; i < ghl_shape_elements(call->in[0].shape); i++) {
        const int64_t k = i / fan_in;
        const double by = divisor && divisor[k] != 0.0f ? divisor[k] : 1.0;
        ghl_ref_out(call, 0)[i] = (float)((double)call->attr.decay.factor * (p[i] - (double)decay[k] * w[i]) / by);
    }
    return GHL_OK;
}

/* Filters from the last to the first: those before k are still p where d lies on it. */
ghl_status ghl_ref_sanger_decay(const ghl_call *call)
{
    const float *y = ghl_ref_in(call, 0), *p = ghl_ref_in(call, 1), *w = ghl_ref_in(call, 2);
    const int64_t neurons = call->in[1].shape.n, fan_in = ghl_shape_elements(call->in[1].shape) / neurons;
    const int64_t columns = ghl_shape_elements(call->in[0].shape) / neurons;
    float *d = ghl_ref_out(call, 0);
    double *gram = NULL; /* y_k against y_j, j <= k */
    GHL_TRY(GHL_NEW(gram, neurons));
    for (int64_t k = neurons - 1; k >= 0; k--) {
        for (int64_t j = 0; j <= k; j++) {
            gram[j] = 0.0;
            for (int64_t m = 0; m < columns; m++)
                gram[j] += (double)y[m * neurons + k] * y[m * neurons + j];
        }
        for (int64_t f = 0; f < fan_in; f++) {
            double sum = p[k * fan_in + f];
            for (int64_t j = 0; j <= k; j++)
                sum -= gram[j] * w[j * fan_in + f];
            d[k * fan_in + f] = (float)((double)call->attr.decay.factor * sum);
        }
    }
    free(gram);
    return GHL_OK;
}

ghl_status ghl_ref_ascent(const ghl_call *call)
{
    const float *d = ghl_ref_in(call, 0), *s = ghl_ref_in(call, 1), *norm = ghl_ref_in(call, 2);
    const int64_t fan_in = ghl_shape_elements(call->in[0].shape) / call->in[0].shape.n;
    for (int64_t i = 0; i < ghl_shape_elements(call->in[0].shape); i++) {
        const double rate = norm ? rate_of(norm[i / fan_in], call->attr.ascent.power) : 1.0;
        ghl_ref_out(call, 0)[i] = (float)(-rate * d[i] / (s ? s[0] + 1e-30 : 1.0));
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
        const int32_t statistic = call->attr.scale.statistic;
        const double root = sqrt(statistic == GHL_SCALE_RMS ? squares / (double)each : squares);
        ghl_ref_out(call, 0)[k] = statistic == GHL_SCALE_MAX ? largest : (float)root;
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
