/* SPDX-License-Identifier: Apache-2.0
 *
 * isa_pointwise.c - ops that treat every element by itself. Comparisons are written so that NaN goes through: x <= 0 is false for it.
 */
#include <float.h>
#include <string.h>

#include "device/cpu/isa.h"
#include "device/cpu/isa_math.h"

/* Negative numbers of bf16 are known by their bits: from those of -0 to those of minus infinity. */
static GHL_CPU_BODY void relu_range(const ghl_call *call, void *scratch, int64_t begin, int64_t end, int half)
{
    (void)scratch;
    if (half) {
        const ghl_bf16 *x = call->in[0].data;
        ghl_bf16 *y = call->out[0].data;
#pragma omp simd
        for (int64_t i = begin; i < end; i++)
            y[i] = (uint16_t)(x[i] - 0x8000u) <= 0x7F80u ? 0 : x[i];
    } else {
        const float *x = call->in[0].data;
        float *y = call->out[0].data;
#pragma omp simd
        for (int64_t i = begin; i < end; i++)
            y[i] = x[i] <= 0.0f ? 0.0f : x[i];
    }
}
GHL_CPU_RANGES(relu, call->in[0], ghl_shape_elements(call->in[0].shape), 1)

static GHL_CPU_BODY void relu_backward_range(const ghl_call *call, void *scratch, int64_t begin, int64_t end, int half)
{
    const void *e = call->in[0].data, *x = call->in[1].data;
    void *dx = call->out[0].data;
    (void)scratch;
#pragma omp simd
    for (int64_t i = begin; i < end; i++) {
        float error = ghl_get(e, i, half);
        ghl_put(dx, i, ghl_get(x, i, half) <= 0.0f ? 0.0f : error, half);
    }
}
GHL_CPU_RANGES(relu_backward, call->in[0], ghl_shape_elements(call->in[0].shape), 1)

static GHL_CPU_BODY void add_range(const ghl_call *call, void *scratch, int64_t begin, int64_t end, int half)
{
    const void *a = call->in[0].data, *b = call->in[1].data;
    void *y = call->out[0].data;
    (void)scratch;
#pragma omp simd
    for (int64_t i = begin; i < end; i++)
        ghl_put(y, i, ghl_get(a, i, half) + ghl_get(b, i, half), half);
}
GHL_CPU_RANGES(add, call->in[0], ghl_shape_elements(call->in[0].shape), 1)

ghl_status GHL_CPU_OP(moving_average)(const ghl_call *call, void *scratch)
{
    const float *mean = call->in[0].data, *g = call->in[1].data;
    float *m = call->out[0].data, beta = call->attr.average.beta, rest = (float)(1.0 - (double)beta);
    int64_t n = ghl_shape_elements(call->out[0].shape);
    (void)scratch;
    if (*(const float *)call->in[2].data == 0.0f)
        beta = 0.0f, rest = 1.0f, mean = g;
#pragma omp parallel for simd schedule(static) if (n > GHL_CPU_SMALL)
    for (int64_t i = 0; i < n; i++)
        m[i] = beta * mean[i] + rest * g[i];
    return GHL_OK;
}

enum { NOT_FINITE = 0x7F800000 }; /* the bits of infinity; those of a NaN are larger still */

/* Magnitudes are ordered like their bits. */
static GHL_CPU_BODY uint32_t largest_of(const void *t, int64_t n, int half)
{
    uint32_t most = 0;
#pragma omp simd reduction(max : most)
    for (int64_t i = 0; i < n; i++) {
        uint32_t size = (ghl_float_bits){.value = ghl_get(t, i, half)}.bits & 0x7FFFFFFFu;
        most = size > most ? size : most;
    }
    return most;
}

static uint32_t odd_f64(const double *t, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (!(t[i] - t[i] == 0.0))
            return NOT_FINITE;
    return 0;
}

/* The bits of the largest magnitude in t; of f64 whether one is not finite. */
static uint32_t largest(const ghl_operand *t, void *scratch)
{
    int64_t n = ghl_shape_elements(t->shape), parts = n > GHL_CPU_SMALL ? GHL_CPU_CHUNKS : 1;
    uint32_t *each = scratch, most = 0;
#pragma omp parallel for schedule(static) if (parts > 1)
    for (int64_t part = 0; part < parts; part++) {
        int64_t begin = ghl_cpu_part(n, parts, part), count = ghl_cpu_part(n, parts, part + 1) - begin;
        if (t->dtype == GHL_F64)
            each[part] = odd_f64((const double *)t->data + begin, count);
        else if (t->dtype == GHL_BF16)
            each[part] = largest_of((const ghl_bf16 *)t->data + begin, count, 1);
        else
            each[part] = largest_of((const float *)t->data + begin, count, 0);
    }
    for (int64_t part = 0; part < parts; part++)
        most = each[part] > most ? each[part] : most;
    return most;
}

ghl_status GHL_CPU_OP(finite)(const ghl_call *call, void *scratch)
{
    *(int32_t *)call->out[0].data = largest(&call->in[0], scratch) < NOT_FINITE;
    return GHL_OK;
}

ghl_status GHL_CPU_OP(finite_step)(const ghl_call *call, void *scratch)
{
    const bool rates = call->n_in < 2 || call->in[1].data == NULL || largest(&call->in[1], scratch) < NOT_FINITE;
    const bool signs = call->n_in < 3 || call->in[2].data == NULL || largest(&call->in[2], scratch) <= NOT_FINITE; /* infinity has one */
    *(int32_t *)call->out[0].data = rates && signs && largest(&call->in[0], scratch) < NOT_FINITE;
    return GHL_OK;
}

/* Every sum of products is at most N max|x| max|e| before rounding; half of FLT_MAX leaves room for that. */
ghl_status GHL_CPU_OP(finite_product)(const ghl_call *call, void *scratch)
{
    const ghl_float_bits x = {.bits = largest(&call->in[0], scratch)}, e = {.bits = largest(&call->in[1], scratch)};
    const double bound = 2.0 * (double)call->in[0].shape.n * (double)x.value * (double)e.value;
    const float *decay = call->n_in > 2 ? call->in[2].data : NULL, *divisor = call->n_in > 3 ? call->in[3].data : NULL;
    int32_t fits = bound <= (double)FLT_MAX;
    for (int64_t k = 0; decay != NULL && k < call->in[1].shape.c; k++) {
        const double by = divisor != NULL && divisor[k] != 0.0f ? fabs((double)divisor[k]) : 1.0, more = by > 1.0 ? 1.0 : by;
        fits &= (bound + 2.0 * fabs((double)decay[k]) * (double)((const float *)call->in[4].data)[k]) / more <= (double)FLT_MAX;
    }
    *(int32_t *)call->out[0].data = fits;
    return GHL_OK;
}

static void copy_bytes(void *to, const ghl_operand *from)
{
    int64_t bytes = ghl_shape_elements(from->shape) * (int64_t)ghl_dtype_bytes(from->dtype);
    int64_t parts = bytes > 4 * GHL_CPU_SMALL ? GHL_CPU_CHUNKS : 1;
    if (to == from->data)
        return;
#pragma omp parallel for schedule(static) if (parts > 1)
    for (int64_t part = 0; part < parts; part++) {
        int64_t begin = ghl_cpu_part(bytes, parts, part), count = ghl_cpu_part(bytes, parts, part + 1) - begin;
        memcpy((char *)to + begin, (const char *)from->data + begin, (size_t)count);
    }
}

ghl_status GHL_CPU_OP(copy)(const ghl_call *call, void *scratch)
{
    const float *x = call->in[0].data;
    ghl_bf16 *y = call->out[0].data;
    int64_t n = ghl_shape_elements(call->out[0].shape);
    (void)scratch;
    if (call->in[0].dtype == call->out[0].dtype)
        copy_bytes(call->out[0].data, &call->in[0]);
    else
#pragma omp parallel for simd schedule(static) if (n > GHL_CPU_SMALL)
        for (int64_t i = 0; i < n; i++)
            y[i] = ghl_bf16_round(x[i]);
    return GHL_OK;
}

ghl_status GHL_CPU_OP(commit)(const ghl_call *call, void *scratch)
{
    (void)scratch;
    if (*(const int32_t *)call->in[0].data != 0)
        copy_bytes(call->out[0].data, &call->in[1]);
    return GHL_OK;
}
