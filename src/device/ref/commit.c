/* SPDX-License-Identifier: Apache-2.0
 *
 * commit.c - the ops that write state, and only where the vote of the step is ok. SGD and Adam (Kingma & Ba 2015) as PyTorch has them.
 */
#include <math.h>
#include <string.h>

#include "device/ref/ref.h"

static bool ok(const ghl_call *call)
{
    return *(const int32_t *)call->in[0].data != 0;
}

ghl_status ghl_ref_commit(const ghl_call *call)
{
    const ghl_operand *source = &call->in[1];
    if (ok(call))
        memmove(call->out[0].data, source->data, (size_t)ghl_shape_elements(source->shape) * ghl_dtype_bytes(source->dtype));
    return GHL_OK;
}

ghl_status ghl_ref_count(const ghl_call *call)
{
    if (ok(call) && call->out[0].dtype == GHL_I64)
        *(int64_t *)call->out[0].data += 1;
    else if (ok(call))
        *(float *)call->out[0].data += 1.0f;
    return GHL_OK;
}

ghl_status ghl_ref_running_average(const ghl_call *call)
{
    const float *statistic = ghl_ref_in(call, 1);
    const double momentum = call->attr.running.momentum, correction = call->attr.running.correction;
    float *running = ghl_ref_out(call, 0);
    for (int64_t i = 0; ok(call) && i < ghl_shape_elements(call->out[0].shape); i++)
        running[i] = (float)((1.0 - momentum) * running[i] + momentum * correction * statistic[i]);
    return GHL_OK;
}

/* The step of element i with direction d. */
static void sgd_step(const ghl_call *call, int64_t i, double d)
{
    const double lr = ghl_ref_in(call, 1)[call->attr.sgd.group], decay = call->attr.sgd.weight_decay, momentum = call->attr.sgd.momentum;
    float *w = ghl_ref_out(call, 0), *buffer = ghl_ref_out(call, 1);
    double a = call->attr.sgd.decoupled ? d : d + decay * w[i];
    if (momentum != 0.0) {
        double average = momentum * buffer[i] + a;
        buffer[i] = (float)average;
        a = call->attr.sgd.nesterov ? a + momentum * average : average;
    }
    if (call->attr.sgd.decoupled)
        a += decay * w[i];
    w[i] = (float)(w[i] - lr * a);
}

/* The direction of element i: d, or what direction or ascent makes of p - decay w. */
static float sgd_direction(const ghl_call *call, int64_t i)
{
    const float *d = ghl_ref_in(call, 2), *decay = ghl_ref_in(call, 3), *s = ghl_ref_in(call, 4), *rate = ghl_ref_in(call, 5);
    const float *g = ghl_ref_in(call, 6), *w = ghl_ref_out(call, 0);
    const ghl_shape ws = call->out[0].shape;
    if (!decay)
        return d[i];
    const int64_t k = i / (ws.h * ws.w * ws.c);
    const double q = (float)(d[i] - (double)decay[k] * w[i]), by = *s + 1e-30;
    if (!g)
        return (float)(-(rate ? (double)rate[k] : 1.0) * q / by);
    return isnan(g[i]) ? g[i] : (float)(fabs(q) / by * ((g[i] > 0.0f) - (g[i] < 0.0f)));
}

ghl_status ghl_ref_sgd(const ghl_call *call)
{
    for (int64_t i = 0; ok(call) && i < ghl_shape_elements(call->out[0].shape); i++)
        sgd_step(call, i, sgd_direction(call, i));
    return GHL_OK;
}

ghl_status ghl_ref_sgd_product(const ghl_call *call)
{
    const ghl_shape ws = call->out[0].shape;
    const float *x = ghl_ref_in(call, 2), *e = ghl_ref_in(call, 3), *decay = ghl_ref_in(call, 4), *divisor = ghl_ref_in(call, 5);
    const float *w = ghl_ref_out(call, 0);
    const int64_t inputs = ws.h * ws.w * ws.c;
    for (int64_t i = 0; ok(call) && i < ws.n * inputs; i++) {
        const int64_t k = i / inputs;
        double d = 0.0;
        for (int64_t n = 0; n < call->in[2].shape.n; n++)
            d += (double)e[n * ws.n + k] * x[n * inputs + i % inputs];
        if (decay)
            d = ((double)decay[k] * w[i] - d) / (divisor && divisor[k] != 0.0f ? divisor[k] : 1.0);
        sgd_step(call, i, (float)d);
    }
    return GHL_OK;
}

ghl_status ghl_ref_adam(const ghl_call *call)
{
    const float *d = ghl_ref_in(call, 2);
    const double lr = ghl_ref_in(call, 1)[call->attr.adam.group], decay = call->attr.adam.weight_decay;
    const double beta1 = call->attr.adam.beta1, beta2 = call->attr.adam.beta2, epsilon = call->attr.adam.epsilon;
    float *w = ghl_ref_out(call, 0), *m = ghl_ref_out(call, 1), *v = ghl_ref_out(call, 2), *step = ghl_ref_out(call, 3);
    if (!ok(call))
        return GHL_OK;
    *step += 1.0f;
    const double rate = lr / (1.0 - pow(beta1, *step)), correction = 1.0 - pow(beta2, *step);
    for (int64_t i = 0; i < ghl_shape_elements(call->out[0].shape); i++) {
        double old = w[i], a = call->attr.adam.decoupled ? d[i] : d[i] + decay * old;
        double first = beta1 * m[i] + (1.0 - beta1) * a, second = beta2 * v[i] + (1.0 - beta2) * a * a;
        m[i] = (float)first;
        v[i] = (float)second;
        if (call->attr.adam.decoupled)
            old -= lr * decay * old;
        w[i] = (float)(old - rate * first / (sqrt(second / correction) + epsilon));
    }
    return GHL_OK;
}

ghl_status ghl_ref_report(const ghl_call *call)
{
    static const double none[4];
    const double *score = call->n_in > 1 && call->in[1].data != NULL ? call->in[1].data : none;
    const double result[GHL_RESULT_SIZE] = {score[0], score[1], score[2], score[3], ok(call) ? 1.0 : 0.0, 0.0, 0.0, 0.0};
    memcpy(call->out[0].data, result, sizeof result);
    return GHL_OK;
}
