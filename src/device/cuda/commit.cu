/* SPDX-License-Identifier: Apache-2.0
 *
 * commit.cu - the ops that write state, and only where the vote of the step is ok. SGD and Adam (Kingma & Ba 2015) as PyTorch has them.
 */
#include "device/cuda/kernel.h"

GHL_INLINE int is_ok(const ghl_cuda_args *a)
{
    return *(const int32_t *)a->in[0].data != 0;
}

GHL_GROUP_KERNEL(count_kernel)
{
    if (threadIdx.x == 0 && is_ok(a)) {
        if (a->bytes == 8)
            *(int64_t *)a->out[0].data += 1;
        else
            *GHL_OUT(a, 0) += 1.0f;
    }
}

void ghl_cuda_count(const ghl_call *call, ghl_cuda_plan *plan)
{
    (void)call;
    ghl_cuda_add_launch(plan, count_kernel, 1, 1);
    ghl_cuda_add_grouped(plan, count_kernel_group);
}

GHL_GROUP_KERNEL(running_average_kernel)
{
    const float momentum = a->attr.running.momentum, correction = a->attr.running.correction;
    if (!is_ok(a))
        return;
    GHL_EACH_OF_CALL(c, a->out[0].count)
        GHL_OUT(a, 0)[c] = (1.0f - momentum) * GHL_OUT(a, 0)[c] + momentum * correction * GHL_IN(a, 1)[c];
}

void ghl_cuda_running_average(const ghl_call *call, ghl_cuda_plan *plan)
{
    ghl_cuda_spread(plan, running_average_kernel, ghl_cuda_elements(&call->out[0]), 1);
    ghl_cuda_add_grouped(plan, running_average_kernel_group);
}

/* ---- SGD ---- */

/* The step of eight elements from i on, in direction d; width of them exist. */
GHL_INLINE void sgd_step(const ghl_cuda_args *a, int i, const float *d, float *w)
{
    const float lr = GHL_IN(a, 1)[a->attr.sgd.group], decay = a->attr.sgd.weight_decay, momentum = a->attr.sgd.momentum;
    const int count = a->out[0].count;
    float buffer[8] = {0};
    if (momentum != 0.0f)
        ghl_load(a->out[1].data, i, count, 0, buffer);
    for (int j = 0; j < 8; j++) {
        float step = a->attr.sgd.decoupled ? d[j] : d[j] + decay * w[j];
        if (momentum != 0.0f) {
            buffer[j] = momentum * buffer[j] + step;
            step = a->attr.sgd.nesterov ? step + momentum * buffer[j] : buffer[j];
        }
        if (a->attr.sgd.decoupled)
            step += decay * w[j];
        w[j] -= lr * step;
    }
    if (momentum != 0.0f)
        ghl_store(a->out[1].data, i, count, buffer, 0);
    ghl_store(a->out[0].data, i, count, w, 0);
}

/* d, or what direction or ascent makes of p - decay w. */
GHL_INLINE void sgd_direction(const ghl_cuda_args *a, int i, float *d, const float *w)
{
    const int count = a->out[0].count, fan_in = count / a->out[0].n;
    const float by = *GHL_IN(a, 4) + 1e-30f;
    float g[8] = {0};
    if (GHL_IN(a, 6) != NULL)
        ghl_load(a->in[6].data, i, count, 0, g);
    for (int j = 0; j < 8 && i + j < count; j++) {
        const int k = (i + j) / fan_in;
        const float q = d[j] - GHL_IN(a, 3)[k] * w[j];
        if (GHL_IN(a, 6) == NULL)
            d[j] = -(GHL_IN(a, 5) != NULL ? GHL_IN(a, 5)[k] : 1.0f) * q / by;
        else
            d[j] = g[j] != g[j] ? g[j] : fabsf(q) / by * (float)((g[j] > 0.0f) - (g[j] < 0.0f));
    }
}

GHL_GROUP_KERNEL(sgd_kernel)
{
    const int count = a->out[0].count;
    float d[8], w[8];
    if (!is_ok(a))
        return;
    GHL_EACH_PACK_OF_CALL(i, count) {
        ghl_load(a->in[2].data, i, count, 0, d);
        ghl_load(a->out[0].data, i, count, 0, w);
        if (a->in[3].data != NULL)
            sgd_direction(a, i, d, w);
        sgd_step(a, i, d, w);
    }
}

void ghl_cuda_sgd(const ghl_call *call, ghl_cuda_plan *plan)
{
    ghl_cuda_spread(plan, sgd_kernel, ghl_cuda_elements(&call->out[0]), 8);
    ghl_cuda_add_grouped(plan, sgd_kernel_group);
}

/* With d = e^T x: a thread makes eight elements of it, which may belong to two filters or more, from the batch. */
GHL_INLINE void product_pack(const ghl_cuda_args *a, int i, int half, float *d)
{
    const int count = a->out[0].count, filters = a->out[0].n, fan_in = count / filters;
    const int k = i / fan_in, f = i - k * fan_in, whole = fan_in % 8 == 0;
    float x[8];
    for (int n = 0; n < a->in[2].n; n++) {
        if (whole) {
            const float e = ghl_get(a->in[3].data, n * filters + k, half);
            ghl_get8(a->in[2].data, n * fan_in + f, half, x);
            for (int j = 0; j < 8; j++)
                d[j] += e * x[j];
        } else {
            for (int j = 0; j < 8 && i + j < count; j++) {
                const int filter = (i + j) / fan_in;
                d[j] += ghl_get(a->in[3].data, n * filters + filter, half) *
                        ghl_get(a->in[2].data, n * fan_in + i + j - filter * fan_in, half);
            }
        }
    }
}

GHL_INLINE void sgd_product_pack(const ghl_cuda_args *a, int i, int half)
{
    const int count = a->out[0].count, fan_in = count / a->out[0].n;
    float d[8] = {0}, w[8];
    product_pack(a, i, half, d);
    ghl_load(a->out[0].data, i, count, 0, w);
    for (int j = 0; j < 8 && i + j < count && GHL_IN(a, 4) != NULL; j++) {
        const int k = (i + j) / fan_in;
        const float by = GHL_IN(a, 5) != NULL && GHL_IN(a, 5)[k] != 0.0f ? GHL_IN(a, 5)[k] : 1.0f;
        d[j] = (GHL_IN(a, 4)[k] * w[j] - d[j]) / by;
    }
    sgd_step(a, i, d, w);
}

GHL_INLINE void sgd_product_all(const ghl_cuda_args *a, int half)
{
    if (!is_ok(a))
        return;
    GHL_EACH_PACK(i, a->out[0].count) sgd_product_pack(a, i, half);
}
GHL_HALF_KERNEL(sgd_product_kernel, sgd_product_all)

void ghl_cuda_sgd_product(const ghl_call *call, ghl_cuda_plan *plan)
{
    ghl_cuda_spread(plan, sgd_product_kernel, ghl_cuda_elements(&call->out[0]), 8);
}

/* ---- Adam: every element reads the step's number, so that it is counted by a launch of its own ---- */

GHL_GROUP_KERNEL(adam_kernel)
{
    const int count = a->out[0].count;
    const float decay = a->attr.adam.weight_decay, beta1 = a->attr.adam.beta1, beta2 = a->attr.adam.beta2;
    float d[8], w[8], m[8], v[8];
    if (!is_ok(a))
        return;
    const float lr = GHL_IN(a, 1)[a->attr.adam.group], step = *GHL_OUT(a, 3) + 1.0f;
    const float rate = lr / -expm1f(step * logf(beta1)), correction = -expm1f(step * logf(beta2));
    GHL_EACH_PACK_OF_CALL(i, count) {
        ghl_load(a->in[2].data, i, count, 0, d);
        ghl_load(a->out[0].data, i, count, 0, w);
        ghl_load(a->out[1].data, i, count, 0, m);
        ghl_load(a->out[2].data, i, count, 0, v);
        for (int j = 0; j < 8; j++) {
            const float g = a->attr.adam.decoupled ? d[j] : d[j] + decay * w[j];
            m[j] = beta1 * m[j] + (1.0f - beta1) * g;
            v[j] = beta2 * v[j] + (1.0f - beta2) * g * g;
            if (a->attr.adam.decoupled)
                w[j] -= lr * decay * w[j];
            w[j] -= rate * m[j] / (sqrtf(v[j] / correction) + a->attr.adam.epsilon);
        }
        ghl_store(a->out[0].data, i, count, w, 0);
        ghl_store(a->out[1].data, i, count, m, 0);
        ghl_store(a->out[2].data, i, count, v, 0);
    }
}

GHL_GROUP_KERNEL(adam_count)
{
    if (threadIdx.x == 0 && is_ok(a))
        *GHL_OUT(a, 3) += 1.0f;
}

void ghl_cuda_adam(const ghl_call *call, ghl_cuda_plan *plan)
{
    ghl_cuda_spread(plan, adam_kernel, ghl_cuda_elements(&call->out[0]), 8);
    ghl_cuda_add_grouped(plan, adam_kernel_group);
    ghl_cuda_add_launch(plan, adam_count, 1, 1);
    ghl_cuda_add_grouped(plan, adam_count_group);
}

/* ---- What the host reads ---- */

GHL_KERNEL report_kernel(const __grid_constant__ ghl_cuda_args a)
{
    const double *score = (const double *)a.in[1].data;
    double *result = (double *)a.out[0].data;
    const int i = (int)threadIdx.x;
    if (i < GHL_RESULT_SIZE)
        result[i] = i < 4 ? (score != NULL ? score[i] : 0.0) : i == GHL_RESULT_OK && is_ok(&a) ? 1.0 : 0.0;
}

void ghl_cuda_report(const ghl_call *call, ghl_cuda_plan *plan)
{
    (void)call;
    ghl_cuda_add_launch(plan, report_kernel, 1, 1);
}
