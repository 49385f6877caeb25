/* SPDX-License-Identifier: Apache-2.0
 *
 * activation.c - activations beside relu. repu's gradient is 0 where v <= 0, whatever the power: 0^(power - 1) counts as 0.
 */
#include <math.h>

#include "device/ref/ref.h"

/* Of the channels from `first` on, or 0 where they are not centred. */
static double mean(const ghl_call *call, const float *x, int64_t first)
{
    const int64_t channels = call->out[0].shape.c;
    double sum = 0.0;
    for (int64_t c = 0; call->attr.repu.centred && c < channels; c++)
        sum += x[first + c];
    return sum / (double)channels;
}

ghl_status ghl_ref_repu(const ghl_call *call)
{
    const float *x = ghl_ref_in(call, 0);
    float *y = ghl_ref_out(call, 0);
    const int64_t channels = call->out[0].shape.c;
    double middle = 0.0;
    for (int64_t i = 0; i < ghl_shape_elements(call->out[0].shape); i++) {
        if (i % channels == 0) /* before y is written, which may lie on x */
            middle = mean(call, x, i);
        const double v = x[i] - middle;
        y[i] = v <= 0.0 ? 0.0f : (float)pow(v, call->attr.repu.power);
    }
    return GHL_OK;
}

ghl_status ghl_ref_repu_backward(const ghl_call *call)
{
    const float *e = ghl_ref_in(call, 0), *x = ghl_ref_in(call, 1);
    float *dx = ghl_ref_out(call, 0);
    const int64_t channels = call->out[0].shape.c;
    const double power = call->attr.repu.power;
    for (int64_t i = 0; i < ghl_shape_elements(call->out[0].shape); i++) {
        const double v = x[i] - mean(call, x, i - i % channels);
        dx[i] = v <= 0.0 ? 0.0f : (float)(e[i] * power * pow(v, power - 1.0));
    }
    return GHL_OK;
}

ghl_status ghl_ref_tanh(const ghl_call *call)
{
    const float *x = ghl_ref_in(call, 0);
    float *y = ghl_ref_out(call, 0);
    for (int64_t i = 0; i < ghl_shape_elements(call->out[0].shape); i++)
        y[i] = (float)tanh(x[i]);
    return GHL_OK;
}

ghl_status ghl_ref_tanh_backward(const ghl_call *call)
{
    const float *e = ghl_ref_in(call, 0), *y = ghl_ref_in(call, 1);
    float *dx = ghl_ref_out(call, 0);
    for (int64_t i = 0; i < ghl_shape_elements(call->out[0].shape); i++)
        dx[i] = (float)(e[i] * (1.0 - (double)y[i] * y[i]));
    return GHL_OK;
}

ghl_status ghl_ref_sigmoid(const ghl_call *call)
{
    const float *x = ghl_ref_in(call, 0);
    float *y = ghl_ref_out(call, 0);
    for (int64_t i = 0; i < ghl_shape_elements(call->out[0].shape); i++)
        y[i] = (float)(1.0 / (1.0 + exp(-(double)x[i])));
    return GHL_OK;
}

ghl_status ghl_ref_sigmoid_backward(const ghl_call *call)
{
    const float *e = ghl_ref_in(call, 0), *y = ghl_ref_in(call, 1);
    float *dx = ghl_ref_out(call, 0);
    for (int64_t i = 0; i < ghl_shape_elements(call->out[0].shape); i++)
        dx[i] = (float)(e[i] * ((double)y[i] * (1.0 - y[i])));
    return GHL_OK;
}
