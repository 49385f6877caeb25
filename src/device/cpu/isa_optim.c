/* SPDX-License-Identifier: Apache-2.0
 *
 * isa_optim.c - SGD and Adam (Kingma & Ba 2015) with PyTorch's conventions, one pass over the weights; SGD makes its direction of a
 * product and a decay on the way where it is given these. And running averages.
 */
#include <math.h>

#include "device/cpu/isa.h"
#include "device/cpu/isa_math.h"

enum { BLOCK = 512 }; /* of a filter, whose direction is in the first-level cache between two loops */

static const float *input(const ghl_call *call, int i)
{
    return i < call->n_in ? call->in[i].data : NULL;
}

ghl_sgd GHL_ISA_NAME(ghl_sgd_of)(const ghl_call *call)
{
    float decay = call->attr.sgd.weight_decay;
    bool decoupled = call->attr.sgd.decoupled != 0, product = call->op == GHL_OP_sgd_product;
    return (ghl_sgd){
        .w = call->out[0].data,
        .buffer = call->attr.sgd.momentum != 0.0f ? call->out[1].data : NULL,
        .rate = ((const float *)call->in[1].data)[call->attr.sgd.group],
        .coupled = decoupled ? 0.0f : decay,
        .decoupled = decoupled ? decay : 0.0f,
        .momentum = call->attr.sgd.momentum,
        .nesterov = call->attr.sgd.nesterov != 0,
        .decay = input(call, product ? 4 : 3),
        .divisor = product ? input(call, 5) : NULL,
        .scale = product ? NULL : input(call, 4),
        .rates = product ? NULL : input(call, 5),
        .guide = product ? NULL : input(call, 6),
        .fan_in = ghl_shape_elements(call->out[0].shape) / call->out[0].shape.n,
    };
}

static void plain(const ghl_sgd *s, const float *d, float *w, int64_t n)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        w[i] -= s->rate * (d[i] + (s->coupled + s->decoupled) * w[i]);
}

static void with_momentum(const ghl_sgd *s, const float *d, float *w, float *buffer, int64_t n)
{
    const float ahead = s->nesterov ? s->momentum : 1.0f, now = s->nesterov ? 1.0f : 0.0f;
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        float a = d[i] + s->coupled * w[i], average = s->momentum * buffer[i] + a;
        buffer[i] = average;
        w[i] -= s->rate * (now * a + ahead * average + s->decoupled * w[i]);
    }
}

static void some(const ghl_sgd *s, const float *d, int64_t begin, int64_t n)
{
    if (s->buffer == NULL)
        plain(s, d, s->w + begin, n);
    else
        with_momentum(s, d, s->w + begin, s->buffer + begin, n);
}

/* Within filter k: d = -(p - decay w) / divisor, as instar_decay rounds it. */
static void instar(const ghl_sgd *s, const float *p, int64_t k, int64_t begin, int64_t n, float *d)
{
    const float by = s->divisor != NULL && s->divisor[k] != 0.0f ? s->divisor[k] : 1.0f, decay = s->decay[k], *w = s->w + begin;
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        d[i] = (decay * w[i] - p[i]) / by;
}

/* d = |p - decay w| / scale sign(guide), as oja_decay and direction round it. */
static void guided(const ghl_sgd *s, const float *p, int64_t k, int64_t begin, int64_t n, float *d)
{
    const float by = *s->scale + 1e-30f, decay = s->decay[k], *w = s->w + begin, *g = s->guide + begin;
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        d[i] = fabsf(p[i] - decay * w[i]) / by * ghl_sign(g[i]);
}

/* d = -rate (p - decay w) / scale, as oja_decay and ascent round it. */
static void rated(const ghl_sgd *s, const float *p, int64_t k, int64_t begin, int64_t n, float *d)
{
    const float by = *s->scale + 1e-30f, decay = s->decay[k], rate = s->rates != NULL ? s->rates[k] : 1.0f, *w = s->w + begin;
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        d[i] = -((p[i] - decay * w[i]) / by) * rate;
}

void GHL_ISA_NAME(ghl_sgd_step)(const ghl_sgd *s, const float *d, int64_t begin, int64_t n)
{
    void (*const scaled)(const ghl_sgd *, const float *, int64_t, int64_t, int64_t, float *) = s->guide != NULL ? guided : rated;
    float made[BLOCK];
    if (s->decay == NULL)
        some(s, d, begin, n);
    for (int64_t i = 0, count; s->decay != NULL && i < n; i += count) {
        const int64_t k = (begin + i) / s->fan_in, end = ghl_cpu_min((k + 1) * s->fan_in - begin, n);
        count = ghl_cpu_min(BLOCK, end - i);
        (s->scale != NULL ? scaled : instar)(s, d + i, k, begin + i, count, made);
        some(s, made, begin + i, count);
    }
}

static void sgd_range(const ghl_call *call, void *scratch, int64_t begin, int64_t end)
{
    const ghl_sgd s = GHL_ISA_NAME(ghl_sgd_of)(call);
    (void)scratch;
    GHL_ISA_NAME(ghl_sgd_step)(&s, (const float *)call->in[2].data + begin, begin, end - begin);
}

ghl_status GHL_CPU_OP(sgd)(const ghl_call *call, void *scratch)
{
    if (*(const int32_t *)call->in[0].data != 0)
        ghl_cpu_cut(call, scratch, sgd_range, ghl_shape_elements(call->out[0].shape), 1);
    return GHL_OK;
}

ghl_status GHL_CPU_OP(adam)(const ghl_call *call, void *scratch)
{
    const float *d = call->in[2].data;
    float *w = call->out[0].data, *m = call->out[1].data, *v = call->out[2].data, *step = call->out[3].data;
    double b1 = call->attr.adam.beta1, b2 = call->attr.adam.beta2, lr = ((const float *)call->in[1].data)[call->attr.adam.group];
    int64_t n = ghl_shape_elements(call->out[0].shape);
    (void)scratch;
    if (*(const int32_t *)call->in[0].data == 0)
        return GHL_OK;
    *step += 1.0f;
    float beta1 = (float)b1, rest1 = (float)(1.0 - b1), beta2 = (float)b2, rest2 = (float)(1.0 - b2);
    float rate = (float)(lr / (1.0 - pow(b1, (double)*step))), epsilon = call->attr.adam.epsilon;
    float correction = (float)(1.0 / sqrt(1.0 - pow(b2, (double)*step)));
    float coupled = call->attr.adam.decoupled ? 0.0f : call->attr.adam.weight_decay;
    float keep = call->attr.adam.decoupled ? (float)(1.0 - lr * (double)call->attr.adam.weight_decay) : 1.0f;
#pragma omp parallel for simd schedule(static) if (n > GHL_CPU_SMALL)
    for (int64_t i = 0; i < n; i++) {
        float a = d[i] + coupled * w[i];
        float first = beta1 * m[i] + rest1 * a, second = beta2 * v[i] + rest2 * a * a;
        m[i] = first;
        v[i] = second;
        w[i] = keep * w[i] - rate * first / (sqrtf(second) * correction + epsilon);
    }
    return GHL_OK;
}

/* Written so that an average of what stays the same is that, however near to 1 the share that is kept. */
ghl_status GHL_CPU_OP(running_average)(const ghl_call *call, void *scratch)
{
    const float *statistic = call->in[1].data, share = call->attr.running.momentum, correction = call->attr.running.correction;
    float *running = call->out[0].data;
    const int64_t n = *(const int32_t *)call->in[0].data != 0 ? ghl_shape_elements(call->out[0].shape) : 0;
    (void)scratch;
#pragma omp parallel for simd schedule(static) if (n > GHL_CPU_SMALL)
    for (int64_t i = 0; i < n; i++)
        running[i] += share * (correction * statistic[i] - running[i]);
    return GHL_OK;
}
