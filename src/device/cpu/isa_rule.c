/* SPDX-License-Identifier: Apache-2.0
 *
 * isa_rule.c - what the learning rules make of products: decays, the scale, and the direction of GHL (Hua et al. 2026, eq. 4-6) or of rules
 * that ascend.
 *
 *     Oja: d_k = p_k - <w_k,p_k> w_k,   instar: d_k = f (p_k - a_k w_k) / b_k,   h = |d| / (s + 1e-30),   v = h^power sign(g)
 *     ascent: v_k = -rate_k d_k / (s + 1e-30)
 */
#include <math.h>
#include <string.h>

#include "device/cpu/isa.h"
#include "device/cpu/isa_dot.h"
#include "device/cpu/isa_math.h"

ghl_status GHL_CPU_OP(oja_decay)(const ghl_call *call, void *scratch)
{
    const float *p = call->in[0].data, *w = call->in[1].data;
    int64_t neurons = call->in[0].shape.n, fan_in = ghl_shape_elements(call->in[0].shape) / neurons;
    float *d = call->out[0].data;
    (void)scratch;
#pragma omp parallel for schedule(static) if (neurons * fan_in > GHL_CPU_SMALL)
    for (int64_t k = 0; k < neurons; k++) {
        const float *pk = p + k * fan_in, *wk = w + k * fan_in;
        float *dk = d + k * fan_in, product = (float)ghl_dot(pk, wk, fan_in);
#pragma omp simd
        for (int64_t i = 0; i < fan_in; i++)
            dk[i] = pk[i] - product * wk[i];
    }
    return GHL_OK;
}

/* As unsigned numbers the sizes of floats are in order, infinity and then NaN at the top. */
static inline uint32_t size_bits(float d)
{
    return (ghl_float_bits){.value = d}.bits & 0x7FFFFFFFu;
}

static inline float rate_of(float norm, float power)
{
    return (float)pow(fabs((double)norm - 1.0) + 1e-10, (double)power);
}

ghl_status GHL_CPU_OP(oja_scale)(const ghl_call *call, void *scratch)
{
    const float *p = call->in[0].data, *w = call->in[1].data;
    int64_t neurons = call->in[0].shape.n, fan_in = ghl_shape_elements(call->in[0].shape) / neurons;
    float *decay = call->out[0].data, *rate = call->n_out > 2 ? call->out[2].data : NULL;
    uint32_t largest = 0;
    (void)scratch;
#pragma omp parallel for schedule(static) reduction(max : largest) if (neurons * fan_in > GHL_CPU_SMALL)
    for (int64_t k = 0; k < neurons; k++) {
        const float *pk = p + k * fan_in, *wk = w + k * fan_in, product = (float)ghl_dot(pk, wk, fan_in);
        uint32_t most = 0;
#pragma omp simd reduction(max : most)
        for (int64_t i = 0; i < fan_in; i++) {
            uint32_t size = size_bits(pk[i] - product * wk[i]);
            most = size > most ? size : most;
        }
        largest = most > largest ? most : largest;
        decay[k] = product;
        if (rate != NULL)
            rate[k] = rate_of((float)sqrt(ghl_dot(wk, wk, fan_in)), call->attr.ascent.power);
    }
    *(float *)call->out[1].data = (ghl_float_bits){.bits = largest}.value;
    return GHL_OK;
}

ghl_status GHL_CPU_OP(instar_decay)(const ghl_call *call, void *scratch)
{
    const float *p = call->in[0].data, *w = call->in[1].data, *decay = call->in[2].data;
    const float *divisor = call->n_in > 3 ? call->in[3].data : NULL;
    int64_t neurons = call->in[0].shape.n, fan_in = ghl_shape_elements(call->in[0].shape) / neurons;
    float *d = call->out[0].data, factor = call->attr.decay.factor;
    (void)scratch;
#pragma omp parallel for schedule(static) if (neurons * fan_in > GHL_CPU_SMALL)
    for (int64_t k = 0; k < neurons; k++) {
        const float *pk = p + k * fan_in, *wk = w + k * fan_in;
        const float by = divisor != NULL && divisor[k] != 0.0f ? divisor[k] : 1.0f;
        float *dk = d + k * fan_in;
#pragma omp simd
        for (int64_t i = 0; i < fan_in; i++)
            dk[i] = (pk[i] - decay[k] * wk[i]) / by * factor;
    }
    return GHL_OK;
}

ghl_status GHL_CPU_OP(ascent)(const ghl_call *call, void *scratch)
{
    const float *d = call->in[0].data, *s = call->n_in > 1 ? call->in[1].data : NULL, *norm = call->n_in > 2 ? call->in[2].data : NULL;
    int64_t neurons = call->in[0].shape.n, fan_in = ghl_shape_elements(call->in[0].shape) / neurons;
    float *v = call->out[0].data, by = s != NULL ? *s + 1e-30f : 1.0f;
    (void)scratch;
#pragma omp parallel for schedule(static) if (neurons * fan_in > GHL_CPU_SMALL)
    for (int64_t k = 0; k < neurons; k++) {
        float rate = norm != NULL ? rate_of(norm[k], call->attr.ascent.power) : 1.0f;
#pragma omp simd
        for (int64_t i = k * fan_in; i < (k + 1) * fan_in; i++)
            v[i] = -(d[i] / by) * rate;
    }
    return GHL_OK;
}

static uint32_t largest_bits(const float *d, int64_t n)
{
    uint32_t largest = 0;
#pragma omp simd reduction(max : largest)
    for (int64_t i = 0; i < n; i++) {
        uint32_t size = size_bits(d[i]);
        largest = size > largest ? size : largest;
    }
    return largest;
}

typedef union scale_part {
    uint32_t largest;
    double squares;
} scale_part;

ghl_status GHL_CPU_OP(scale)(const ghl_call *call, void *scratch)
{
    const float *d = call->in[0].data;
    float *s = call->out[0].data;
    int64_t groups = ghl_shape_elements(call->out[0].shape), n = ghl_shape_elements(call->in[0].shape), each = n / groups;
    int64_t parts = groups > 1 || n <= GHL_CPU_SMALL ? 1 : GHL_CPU_CHUNKS; /* of a group */
    int root = call->attr.scale.statistic != GHL_SCALE_MAX;
    double share = call->attr.scale.statistic == GHL_SCALE_RMS ? (double)each : 1.0;
    scale_part *part = scratch;
#pragma omp parallel for schedule(static) if (n > GHL_CPU_SMALL)
    for (int64_t i = 0; i < groups * parts; i++) {
        int64_t begin = ghl_cpu_part(each, parts, i % parts), count = ghl_cpu_part(each, parts, i % parts + 1) - begin;
        const float *at = d + i / parts * each + begin;
        if (root)
            part[i].squares = ghl_dot(at, at, count);
        else
            part[i].largest = largest_bits(at, count);
    }
    for (int64_t group = 0; group < groups; group++) {
        const scale_part *mine = part + group * parts;
        uint32_t largest = 0;
        double squares = 0;
        for (int64_t i = 0; i < parts; i++) {
            if (root)
                squares += mine[i].squares;
            else
                largest = mine[i].largest > largest ? mine[i].largest : largest;
        }
        s[group] = root ? (float)sqrt(squares / share) : (ghl_float_bits){.bits = largest}.value;
    }
    return GHL_OK;
}

/* v = |d| factor sign(g), clipped; factor = 1 / (s + 1e-30). */
static void direction_linear(const float *g, const float *d, float s, float clip, float *v, int64_t n)
{
    float divisor = s + 1e-30f, top = clip > 0.0f ? clip : INFINITY;
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        float h = fabsf(d[i]) / divisor;
        h = h > top ? top : h;
        v[i] = h * ghl_sign(g[i]);
    }
}

static void direction_power(const float *g, const float *d, float s, const ghl_attributes *attr, float *v, int64_t n)
{
    float divisor = s + 1e-30f, power = attr->direction.power, top = attr->direction.clip > 0.0f ? attr->direction.clip : INFINITY;
    for (int64_t i = 0; i < n; i++) {
        float h = fabsf(d[i]) / divisor;
        h = h > top ? top : h;
        v[i] = (h != h ? h : power == 0.0f ? 1.0f : power == 0.5f ? sqrtf(h) : powf(h, power)) * ghl_sign(g[i]);
    }
}

ghl_status GHL_CPU_OP(direction)(const ghl_call *call, void *scratch)
{
    const float *g = call->in[0].data, *d = call->n_in > 1 ? call->in[1].data : NULL;
    const float *s = call->n_in > 2 ? call->in[2].data : NULL;
    float *v = call->out[0].data;
    int64_t n = ghl_shape_elements(call->in[0].shape), groups = d != NULL ? ghl_shape_elements(call->in[2].shape) : 1, each = n / groups;
    int64_t parts = groups > 1 || n <= GHL_CPU_SMALL ? 1 : GHL_CPU_CHUNKS;
    (void)scratch;
#pragma omp parallel for schedule(static) if (n > GHL_CPU_SMALL)
    for (int64_t i = 0; i < groups * parts; i++) {
        int64_t begin = i / parts * each + ghl_cpu_part(each, parts, i % parts);
        int64_t count = i / parts * each + ghl_cpu_part(each, parts, i % parts + 1) - begin;
        if (d == NULL) {
#pragma omp simd
            for (int64_t j = begin; j < begin + count; j++)
                v[j] = ghl_sign(g[j]);
        } else if (call->attr.direction.power == 1.0f)
            direction_linear(g + begin, d + begin, s[i / parts], call->attr.direction.clip, v + begin, count);
        else
            direction_power(g + begin, d + begin, s[i / parts], &call->attr, v + begin, count);
    }
    return GHL_OK;
}
