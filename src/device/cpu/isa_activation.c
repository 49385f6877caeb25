/* SPDX-License-Identifier: Apache-2.0
 *
 * isa_activation.c - activations beside relu. repu_backward's factor of e is power v^(power - 1), and 0 where v <= 0: so powers below 1
 * are safe at 0.
 */
#include "device/cpu/isa.h"
#include "device/cpu/isa_math.h"

enum { LANES = 16 };

/* Of n elements from `at` on; in order of lanes, so that every instruction set adds alike. */
static GHL_CPU_BODY float mean_of(const void *x, int64_t at, int64_t n, int half)
{
    float lane[LANES] = {0};
    double sum = 0;
    for (int64_t end = at + n / LANES * LANES, i = at; i < end; i += LANES)
#pragma omp simd
        for (int j = 0; j < LANES; j++)
            lane[j] += ghl_get(x, i + j, half);
    for (int64_t j = 0; j < n % LANES; j++)
        lane[j] += ghl_get(x, at + n - n % LANES + j, half);
    for (int j = 0; j < LANES; j++)
        sum += (double)lane[j];
    return (float)(sum / (double)n);
}

static GHL_CPU_BODY void repu_run(const ghl_call *call, int64_t begin, int64_t end, float mean, int half)
{
    const void *x = call->in[0].data;
    void *y = call->out[0].data;
    const float power = call->attr.repu.power;
    if (power == 1.0f)
#pragma omp simd
        for (int64_t i = begin; i < end; i++) {
            const float v = ghl_get(x, i, half) - mean;
            ghl_put(y, i, v <= 0.0f ? 0.0f : v, half);
        }
    else
#pragma omp simd
        for (int64_t i = begin; i < end; i++) {
            const float v = ghl_get(x, i, half) - mean, raised = ghl_power(v, power);
            ghl_put(y, i, v <= 0.0f ? 0.0f : raised, half);
        }
}

static GHL_CPU_BODY void repu_backward_run(const ghl_call *call, int64_t begin, int64_t end, float mean, int half)
{
    const void *e = call->in[0].data, *x = call->in[1].data;
    void *dx = call->out[0].data;
    const float power = call->attr.repu.power;
    if (power == 1.0f)
#pragma omp simd
        for (int64_t i = begin; i < end; i++) {
            const float v = ghl_get(x, i, half) - mean, error = ghl_get(e, i, half);
            ghl_put(dx, i, v <= 0.0f ? 0.0f : error, half);
        }
    else
#pragma omp simd
        for (int64_t i = begin; i < end; i++) {
            const float v = ghl_get(x, i, half) - mean, error = ghl_get(e, i, half) * power * ghl_power(v, power - 1.0f);
            ghl_put(dx, i, v <= 0.0f ? 0.0f : error, half);
        }
}

/* Positions [begin, end): each has a mean of its own, or all have 0. */
static GHL_CPU_BODY void repu_range(const ghl_call *call, void *scratch, int64_t begin, int64_t end, int half)
{
    const int64_t channels = call->in[0].shape.c;
    (void)scratch;
    if (!call->attr.repu.centred)
        repu_run(call, begin * channels, end * channels, 0.0f, half);
    else
        for (int64_t i = begin * channels; i < end * channels; i += channels)
            repu_run(call, i, i + channels, mean_of(call->in[0].data, i, channels, half), half);
}
GHL_CPU_RANGES(repu, call->in[0], ghl_shape_elements(call->in[0].shape) / call->in[0].shape.c, call->in[0].shape.c * 4)

static GHL_CPU_BODY void repu_backward_range(const ghl_call *call, void *scratch, int64_t begin, int64_t end, int half)
{
    const int64_t channels = call->in[0].shape.c;
    (void)scratch;
    if (!call->attr.repu.centred)
        repu_backward_run(call, begin * channels, end * channels, 0.0f, half);
    else
        for (int64_t i = begin * channels; i < end * channels; i += channels)
            repu_backward_run(call, i, i + channels, mean_of(call->in[1].data, i, channels, half), half);
}
GHL_CPU_RANGES(repu_backward, call->in[0], ghl_shape_elements(call->in[0].shape) / call->in[0].shape.c, call->in[0].shape.c * 4)

/* Ops of one operand, and of two, element by element. */
#define MAP(op, value)                                                                                                  \
    static GHL_CPU_BODY void op##_range(const ghl_call *call, void *scratch, int64_t begin, int64_t end, int half)      \
    {                                                                                                                   \
        (void)scratch;                                                                                                  \
        _Pragma("omp simd") for (int64_t i = begin; i < end; i++)                                                       \
        {                                                                                                               \
            const float a = ghl_get(call->in[0].data, i, half), b = ghl_get(call->in[call->n_in - 1].data, i, half);    \
            (void)b;                                                                                                    \
            ghl_put(call->out[0].data, i, value, half);                                                                 \
        }                                                                                                               \
    }                                                                                                                   \
    GHL_CPU_RANGES(op, call->in[0], ghl_shape_elements(call->in[0].shape), 4)

MAP(tanh, ghl_tanh(a))
MAP(tanh_backward, a * ((1.0f - b) * (1.0f + b)))
MAP(sigmoid, 1.0f / (1.0f + ghl_exp(-a)))
MAP(sigmoid_backward, a * (b * (1.0f - b)))
