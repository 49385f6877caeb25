/* SPDX-License-Identifier: Apache-2.0
 *
 * pointwise.c - ops that treat every element by itself. Comparisons are written so that NaN goes through.
 */
#include <float.h>
#include <math.h>
#include <string.h>

#include "device/places.h"
#include "device/ref/ref.h"

ghl_status ghl_ref_relu(const ghl_call *call)
{
    const float *x = ghl_ref_in(call, 0);
    float *y = ghl_ref_out(call, 0);
    for (int64_t i = 0; i < ghl_shape_elements(call->out[0].shape); i++)
        y[i] = x[i] <= 0.0f ? 0.0f : x[i];
    return GHL_OK;
}

ghl_status ghl_ref_relu_backward(const ghl_call *call)
{
    const float *e = ghl_ref_in(call, 0), *x = ghl_ref_in(call, 1);
    float *dx = ghl_ref_out(call, 0);
    for (int64_t i = 0; i < ghl_shape_elements(call->out[0].shape); i++)
        dx[i] = x[i] <= 0.0f ? 0.0f : e[i];
    return GHL_OK;
}

ghl_status ghl_ref_dropout(const ghl_call *call)
{
    const float *x = ghl_ref_in(call, 0);
    const int64_t *clock = call->in[1].data;
    const uint64_t purpose = GHL_RANDOM_DROPOUT + (uint64_t)call->attr.dropout.node;
    const uint64_t moment = ghl_dropout_moment(clock);
    const double rate = call->attr.dropout.rate;
    float *y = ghl_ref_out(call, 0);
    uint32_t words[4];
    for (int64_t i = 0; i < ghl_shape_elements(call->out[0].shape); i++) {
        if (i % 4 == 0)
            ghl_random4(call->attr.seed, purpose, (uint64_t)i / 4, moment, words);
        double keep = words[i % 4] >= ghl_dropout_threshold(rate) ? 1.0 : 0.0;
        y[i] = (float)(x[i] * keep / (1.0 - rate));
    }
    return GHL_OK;
}

ghl_status ghl_ref_add(const ghl_call *call)
{
    const float *a = ghl_ref_in(call, 0), *b = ghl_ref_in(call, 1);
    float *y = ghl_ref_out(call, 0);
    for (int64_t i = 0; i < ghl_shape_elements(call->out[0].shape); i++)
        y[i] = a[i] + b[i];
    return GHL_OK;
}

ghl_status ghl_ref_moving_average(const ghl_call *call)
{
    const float *mean = ghl_ref_in(call, 0), *g = ghl_ref_in(call, 1);
    const bool started = *ghl_ref_in(call, 2) != 0.0f;
    const double beta = call->attr.average.beta;
    float *m = ghl_ref_out(call, 0);
    for (int64_t i = 0; i < ghl_shape_elements(call->out[0].shape); i++)
        m[i] = started ? (float)(beta * mean[i] + (1.0 - beta) * g[i]) : g[i];
    return GHL_OK;
}

ghl_status ghl_ref_finite(const ghl_call *call)
{
    const ghl_operand *t = &call->in[0];
    int32_t finite = 1;
    for (int64_t i = 0; i < ghl_shape_elements(t->shape); i++) {
        double value = t->dtype == GHL_F64 ? ((const double *)t->data)[i] : ((const float *)t->data)[i];
        if (!isfinite(value))
            finite = 0;
    }
    *(int32_t *)call->out[0].data = finite;
    return GHL_OK;
}

static double largest(const ghl_operand *t)
{
    double most = 0.0;
    for (int64_t i = 0; i < ghl_shape_elements(t->shape); i++) {
        const double size = fabs((double)((const float *)t->data)[i]);
        most = size <= most ? most : size;
        if (isnan(size))
            return size;
    }
    return most;
}

ghl_status ghl_ref_finite_product(const ghl_call *call)
{
    const double bound = 2.0 * (double)call->in[0].shape.n * largest(&call->in[0]) * largest(&call->in[1]);
    const float *decay = ghl_ref_in(call, 2), *divisor = ghl_ref_in(call, 3), *norm = ghl_ref_in(call, 4);
    int32_t fits = bound <= FLT_MAX;
    for (int64_t k = 0; decay && k < call->in[1].shape.c; k++) {
        const double by = divisor && divisor[k] != 0.0f ? fmin(fabs((double)divisor[k]), 1.0) : 1.0;
        fits &= (bound + 2.0 * fabs((double)decay[k]) * norm[k]) / by <= FLT_MAX && !(divisor && isnan(divisor[k]));
    }
    *(int32_t *)call->out[0].data = fits;
    return GHL_OK;
}

ghl_status ghl_ref_finite_step(const ghl_call *call)
{
    const float *rate = ghl_ref_in(call, 1), *g = ghl_ref_in(call, 2);
    int32_t finite = isfinite(*ghl_ref_in(call, 0));
    for (int64_t k = 0; rate && k < ghl_shape_elements(call->in[1].shape); k++)
        finite &= isfinite(rate[k]);
    for (int64_t i = 0; g && i < ghl_shape_elements(call->in[2].shape); i++)
        finite &= !isnan(g[i]);
    *(int32_t *)call->out[0].data = finite;
    return GHL_OK;
}

ghl_status ghl_ref_vote(const ghl_call *call)
{
    int32_t ok = 1;
    for (int i = 0; i < call->n_in; i++)
        if (*(const int32_t *)call->in[i].data != 1)
            ok = 0;
    *(int32_t *)call->out[0].data = ok;
    return GHL_OK;
}

ghl_status ghl_ref_copy(const ghl_call *call)
{
    const ghl_operand *x = &call->in[0];
    memmove(call->out[0].data, x->data, (size_t)ghl_shape_elements(x->shape) * ghl_dtype_bytes(x->dtype));
    return GHL_OK;
}
