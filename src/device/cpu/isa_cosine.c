/* SPDX-License-Identifier: Apache-2.0
 *
 * isa_cosine.c - layers whose weight, or whose columns too, count by their direction alone, and the adjoints:
 *
 *     v = w / |w|,   dL/dw = (g - v <v,g>) / |w|        by filter or by tap
 *     u = v / n,     n_m = sqrt(|x_m|^2 + 1e-8),   dL/dx_i = x_i sum over columns m that see i of -(sum_k e_mk v_mk) / n_m^3
 */
#include <math.h>

#include "device/cpu/isa.h"
#include "device/cpu/isa_dot.h"

/* The elements that have a norm together: a filter, or a tap of it. */
static int64_t normalised_together(const ghl_call *call)
{
    const ghl_shape s = call->in[0].shape;
    return call->attr.normalise.tap ? s.c : s.h * s.w * s.c;
}

/* 1 / |w|, and whether that is a norm or counts as one. */
static inline double inverse_norm(const float *w, int64_t n, bool *counted)
{
    const double norm = sqrt(ghl_dot(w, w, n));
    *counted = norm <= 1e-12;
    return *counted ? 1.0 : 1.0 / norm;
}

ghl_status GHL_CPU_OP(normalise_weight)(const ghl_call *call, void *scratch)
{
    const float *w = call->in[0].data;
    const int64_t n = ghl_shape_elements(call->in[0].shape), each = normalised_together(call);
    float *v = call->out[0].data;
    (void)scratch;
#pragma omp parallel for schedule(static) if (n > GHL_CPU_SMALL)
    for (int64_t at = 0; at < n; at += each) {
        bool counted;
        const float factor = (float)inverse_norm(w + at, each, &counted);
#pragma omp simd
        for (int64_t i = at; i < at + each; i++)
            v[i] = w[i] * factor;
    }
    return GHL_OK;
}

/* |w|^2 of what comes from memory: enough sums side by side to wait for nothing else, and the next few kilobytes asked for. */
static double squares_of(const float *w, int64_t n)
{
    enum { LANES = 32, AHEAD = 2048 };
    double lane[LANES] = {0}, sum = 0;
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        __builtin_prefetch(w + i + AHEAD);
        __builtin_prefetch(w + i + AHEAD + 16);
#pragma omp simd
        for (int j = 0; j < LANES; j++)
            lane[j] += (double)w[i + j] * (double)w[i + j];
    }
    for (; i < n; i++)
        lane[i % LANES] += (double)w[i] * (double)w[i];
    for (int j = 0; j < LANES; j++)
        sum += lane[j];
    return sum;
}

void GHL_ISA_NAME(ghl_cpu_filter_norms)(const ghl_call *call, const double *squares, float *factor)
{
    const int64_t filters = call->in[1].shape.n, fan_in = ghl_shape_elements(call->in[1].shape) / filters;
    const float *w = call->in[1].data;
    float *norm = call->n_out > 1 ? call->out[1].data : NULL, *unit = call->n_out > 2 ? call->out[2].data : NULL;
#pragma omp parallel for schedule(static) if (squares == NULL && filters * fan_in > GHL_CPU_SMALL)
    for (int64_t k = 0; k < filters; k++) {
        const double own = sqrt(squares != NULL ? squares[k] : squares_of(w + k * fan_in, fan_in)), counted = own <= 1e-12 ? 1.0 : own;
        factor[k] = (float)(1.0 / counted);
        if (norm != NULL)
            norm[k] = (float)own;
        if (unit != NULL)
            unit[k] = (float)(own / counted);
    }
}

static GHL_CPU_BODY void multiply_rows(const ghl_call *call, const float *factor, int64_t m, int half)
{
    const int64_t filters = call->out[0].shape.c;
    const float *bias = call->n_in > 2 ? call->in[2].data : NULL;
    void *u = ghl_at(call->out[0].data, m * filters, half);
    if (bias == NULL) {
#pragma omp simd
        for (int64_t k = 0; k < filters; k++)
            ghl_put(u, k, ghl_get(u, k, half) * factor[k], half);
    } else {
#pragma omp simd
        for (int64_t k = 0; k < filters; k++)
            ghl_put(u, k, ghl_get(u, k, half) * factor[k] + bias[k], half);
    }
}

void GHL_ISA_NAME(ghl_cpu_multiply_filters)(const ghl_call *call, const float *factor)
{
    const int64_t filters = call->out[0].shape.c, columns = ghl_shape_elements(call->out[0].shape) / filters;
#pragma omp parallel for schedule(static) if (filters * columns > GHL_CPU_SMALL)
    for (int64_t m = 0; m < columns; m++) {
        if (call->out[0].dtype == GHL_BF16)
            multiply_rows(call, factor, m, 1);
        else
            multiply_rows(call, factor, m, 0);
    }
}

ghl_status GHL_CPU_OP(normalise_weight_backward)(const ghl_call *call, void *scratch)
{
    const float *g = call->in[0].data, *w = call->in[1].data;
    const int64_t n = ghl_shape_elements(call->in[0].shape), each = normalised_together(call);
    float *dw = call->out[0].data;
    (void)scratch;
#pragma omp parallel for schedule(static) if (n > GHL_CPU_SMALL)
    for (int64_t at = 0; at < n; at += each) {
        bool counted;
        const double inverse = inverse_norm(w + at, each, &counted);
        const float factor = (float)inverse, along = counted ? 0.0f : (float)(ghl_dot(w + at, g + at, each) * inverse * inverse);
#pragma omp simd
        for (int64_t i = at; i < at + each; i++)
            dw[i] = (g[i] - along * w[i]) * factor;
    }
    return GHL_OK;
}

static GHL_CPU_BODY void divide_columns_range(const ghl_call *call, void *scratch, int64_t begin, int64_t end, int half)
{
    const int64_t channels = call->in[0].shape.c;
    const float *norm = call->in[1].data, *bias = call->n_in > 2 ? call->in[2].data : NULL;
    (void)scratch;
    for (int64_t m = begin; m < end; m++) {
        const void *v = ghl_at(call->in[0].data, m * channels, half);
        void *u = ghl_at(call->out[0].data, m * channels, half);
        const float factor = 1.0f / sqrtf(norm[m] * norm[m] + 1e-8f);
        if (bias == NULL) {
#pragma omp simd
            for (int64_t k = 0; k < channels; k++)
                ghl_put(u, k, ghl_get(v, k, half) * factor, half);
        } else {
#pragma omp simd
            for (int64_t k = 0; k < channels; k++)
                ghl_put(u, k, ghl_get(v, k, half) * factor + bias[k], half);
        }
    }
}
GHL_CPU_RANGES(divide_columns, call->in[0], ghl_shape_elements(call->in[1].shape), call->in[0].shape.c)

static GHL_CPU_BODY void divide_columns_backward_range(const ghl_call *call, void *scratch, int64_t begin, int64_t end, int half)
{
    const int64_t channels = call->in[0].shape.c;
    const float *norm = call->in[2].data;
    float *c = call->out[0].data;
    (void)scratch;
    for (int64_t m = begin; m < end; m++) {
        const void *e = ghl_at(call->in[0].data, m * channels, half), *v = ghl_at(call->in[1].data, m * channels, half);
        const float square = norm[m] * norm[m] + 1e-8f;
        float sum = 0;
#pragma omp simd reduction(+ : sum)
        for (int64_t k = 0; k < channels; k++)
            sum += ghl_get(e, k, half) * ghl_get(v, k, half);
        c[m] = -sum / (square * sqrtf(square));
    }
}
GHL_CPU_RANGES(divide_columns_backward, call->in[0], ghl_shape_elements(call->out[0].shape), call->in[0].shape.c)

/* An item is a row of images. */
static GHL_CPU_BODY void column_norms_backward_range(const ghl_call *call, void *scratch, int64_t begin, int64_t end, int half)
{
    const ghl_window *win = &call->attr.window;
    const ghl_shape xs = call->in[0].shape, cs = call->in[1].shape;
    (void)scratch;
    for (int64_t row = begin; row < end; row++) {
        const float *c = (const float *)call->in[1].data + row / xs.h * cs.h * cs.w;
        for (int64_t w = 0; w < xs.w; w++) {
            const void *x = ghl_at(call->in[0].data, (row * xs.w + w) * xs.c, half);
            void *dx = ghl_at(call->out[0].data, (row * xs.w + w) * xs.c, half);
            float sum = 0;
            for (int64_t r = 0; r < win->kernel[0]; r++) {
                const int64_t down = row % xs.h + win->padding[0] - r, p = down / win->stride[0];
                for (int64_t s = 0; down >= 0 && p * win->stride[0] == down && p < cs.h && s < win->kernel[1]; s++) {
                    const int64_t across = w + win->padding[1] - s, q = across / win->stride[1];
                    if (across >= 0 && q * win->stride[1] == across && q < cs.w)
                        sum += c[p * cs.w + q];
                }
            }
#pragma omp simd
            for (int64_t i = 0; i < xs.c; i++)
                ghl_put(dx, i, ghl_get(x, i, half) * sum, half);
        }
    }
}
GHL_CPU_RANGES(column_norms_backward, call->in[0], call->in[0].shape.n * call->in[0].shape.h,
               call->in[0].shape.w * (call->in[0].shape.c + call->attr.window.kernel[0] * call->attr.window.kernel[1]))
