/* SPDX-License-Identifier: Apache-2.0
 *
 * pointwise.cu - ops that treat every element by itself, eight a thread. Comparisons are written so that NaN goes through.
 */
#include "device/cuda/kernel.h"

#define GHL_POINTWISE(op)                              \
    GHL_PACK_KERNEL(op##_kernel, op##_pack, a.out[0].count)      \
    void ghl_cuda_##op(const ghl_call *call, ghl_cuda_plan *plan) \
    {                                                            \
        ghl_cuda_spread(plan, op##_kernel, ghl_cuda_elements(&call->out[0]), 8); \
    }

GHL_INLINE void relu_pack(const ghl_cuda_args *a, int i, int half)
{
    float v[8];
    ghl_load(a->in[0].data, i, a->out[0].count, half, v);
    for (int j = 0; j < 8; j++)
        v[j] = v[j] <= 0.0f ? 0.0f : v[j];
    ghl_store(a->out[0].data, i, a->out[0].count, v, half);
}
GHL_POINTWISE(relu)

/* Two inputs of the output's shape. */
#define GHL_BINARY(op, expression)                                          \
    GHL_INLINE void op##_pack(const ghl_cuda_args *a, int i, int half)      \
    {                                                                       \
        float x[8], y[8];                                                   \
        ghl_load(a->in[0].data, i, a->out[0].count, half, x);               \
        ghl_load(a->in[1].data, i, a->out[0].count, half, y);               \
        for (int j = 0; j < 8; j++)                                         \
            x[j] = (expression);                                            \
        ghl_store(a->out[0].data, i, a->out[0].count, x, half);             \
    }                                                                       \
    GHL_POINTWISE(op)

GHL_BINARY(relu_backward, y[j] <= 0.0f ? 0.0f : x[j])
GHL_BINARY(tanh_backward, x[j] * (1.0f - y[j] * y[j]))
GHL_BINARY(sigmoid_backward, x[j] * (y[j] * (1.0f - y[j])))
GHL_BINARY(add, x[j] + y[j])

GHL_INLINE void tanh_pack(const ghl_cuda_args *a, int i, int half)
{
    float v[8];
    ghl_load(a->in[0].data, i, a->out[0].count, half, v);
    for (int j = 0; j < 8; j++)
        v[j] = tanhf(v[j]);
    ghl_store(a->out[0].data, i, a->out[0].count, v, half);
}
GHL_POINTWISE(tanh)

GHL_INLINE void sigmoid_pack(const ghl_cuda_args *a, int i, int half)
{
    float v[8];
    ghl_load(a->in[0].data, i, a->out[0].count, half, v);
    for (int j = 0; j < 8; j++)
        v[j] = 1.0f / (1.0f + expf(-v[j]));
    ghl_store(a->out[0].data, i, a->out[0].count, v, half);
}
GHL_POINTWISE(sigmoid)

/* Four elements a draw. */
GHL_INLINE void dropout_pack(const ghl_cuda_args *a, int i, int half)
{
    const int64_t *clock = (const int64_t *)a->in[1].data;
    const float rate = a->attr.dropout.rate;
    const double threshold = ghl_dropout_threshold(rate);
    float v[8];
    uint32_t words[8];
    ghl_load(a->in[0].data, i, a->out[0].count, half, v);
    for (int j = 0; j < 8; j += 4)
        ghl_philox4(a->attr.seed, GHL_RANDOM_DROPOUT + (uint64_t)a->attr.dropout.node, (uint64_t)(i + j) / 4, ghl_dropout_moment(clock),
                    words + j);
    for (int j = 0; j < 8; j++)
        v[j] = v[j] * (words[j] >= threshold ? 1.0f : 0.0f) / (1.0f - rate);
    ghl_store(a->out[0].data, i, a->out[0].count, v, half);
}
GHL_POINTWISE(dropout)

GHL_INLINE void moving_average_pack(const ghl_cuda_args *a, int i)
{
    const float beta = a->attr.average.beta;
    const int started = *GHL_IN(a, 2) != 0.0f;
    float mean[8], g[8];
    ghl_load(a->in[0].data, i, a->out[0].count, 0, mean);
    ghl_load(a->in[1].data, i, a->out[0].count, 0, g);
    for (int j = 0; j < 8; j++)
        g[j] = started ? beta * mean[j] + (1.0f - beta) * g[j] : g[j];
    ghl_store(a->out[0].data, i, a->out[0].count, g, 0);
}
GHL_GROUP_PACKS(moving_average)

/* ---- repu: powers of what is above 0, or above the mean of the column's channels, a warp a column ---- */

GHL_INLINE float column_mean(const ghl_cuda_args *a, int x, int column, int half)
{
    const int channels = a->out[0].c;
    double sum = 0.0;
    for (int c = (int)(threadIdx.x % 32); c < channels; c += 32)
        sum += (double)ghl_get(a->in[x].data, column * channels + c, half);
    return (float)(ghl_lanes_sum_double(sum, 32) / channels);
}

GHL_INLINE float power_of(float v, float power)
{
    return power == 1.0f ? v : powf(v, power);
}

GHL_INLINE void repu_columns(const ghl_cuda_args *a, int half)
{
    const int channels = a->out[0].c, columns = a->out[0].count / channels;
    for (int m = ghl_thread() / 32; m < columns; m += ghl_threads() / 32) {
        const float mean = a->attr.repu.centred ? column_mean(a, 0, m, half) : 0.0f;
        for (int c = (int)(threadIdx.x % 32); c < channels; c += 32) {
            const float v = ghl_get(a->in[0].data, m * channels + c, half) - mean;
            ghl_put(a->out[0].data, m * channels + c, v <= 0.0f ? 0.0f : power_of(v, a->attr.repu.power), half);
        }
    }
}
GHL_HALF_KERNEL(repu_kernel, repu_columns)

GHL_INLINE void repu_backward_columns(const ghl_cuda_args *a, int half)
{
    const int channels = a->out[0].c, columns = a->out[0].count / channels;
    const float power = a->attr.repu.power;
    for (int m = ghl_thread() / 32; m < columns; m += ghl_threads() / 32) {
        const float mean = a->attr.repu.centred ? column_mean(a, 1, m, half) : 0.0f;
        for (int c = (int)(threadIdx.x % 32); c < channels; c += 32) {
            const int i = m * channels + c;
            const float v = ghl_get(a->in[1].data, i, half) - mean;
            const float slope = power == 1.0f ? 1.0f : power * powf(v, power - 1.0f);
            ghl_put(a->out[0].data, i, v <= 0.0f ? 0.0f : ghl_get(a->in[0].data, i, half) * slope, half);
        }
    }
}
GHL_HALF_KERNEL(repu_backward_kernel, repu_backward_columns)

void ghl_cuda_repu(const ghl_call *call, ghl_cuda_plan *plan)
{
    ghl_cuda_spread(plan, repu_kernel, 32 * (int64_t)ghl_cuda_elements(&call->out[0]) / call->out[0].shape.c, 1);
}

void ghl_cuda_repu_backward(const ghl_call *call, ghl_cuda_plan *plan)
{
    ghl_cuda_spread(plan, repu_backward_kernel, 32 * (int64_t)ghl_cuda_elements(&call->out[0]) / call->out[0].shape.c, 1);
}

/* ---- Copies, of bytes or rounded to bf16 ---- */

GHL_INLINE void copy_bytes(const void *from, void *to, int64_t bytes, int block, int blocks)
{
    GHL_EACH_OF_CALL(i, (int)(bytes / 16))
        ((uint4 *)to)[i] = ((const uint4 *)from)[i];
    GHL_EACH_OF_CALL(i, (int)(bytes % 16))
        ((uint8_t *)to)[bytes / 16 * 16 + i] = ((const uint8_t *)from)[bytes / 16 * 16 + i];
}

GHL_GROUP_KERNEL(copy_kernel)
{
    copy_bytes(a->in[0].data, a->out[0].data, (int64_t)a->in[0].count * a->bytes, block, blocks);
}

GHL_INLINE void round_pack(const ghl_cuda_args *a, int i, int half)
{
    float v[8];
    ghl_load(a->in[0].data, i, a->in[0].count, 0, v);
    ghl_store(a->out[0].data, i, a->in[0].count, v, half);
}

GHL_KERNEL round_kernel(const __grid_constant__ ghl_cuda_args a)
{
    GHL_EACH_PACK(i, a.in[0].count) round_pack(&a, i, 1);
}

GHL_INLINE void widen_pack(const ghl_cuda_args *a, int i, int half)
{
    float v[8];
    ghl_load(a->in[0].data, i, a->in[0].count, 1, v);
    ghl_store(a->out[0].data, i, a->in[0].count, v, half);
}

GHL_KERNEL widen_kernel(const __grid_constant__ ghl_cuda_args a)
{
    GHL_EACH_PACK(i, a.in[0].count) widen_pack(&a, i, 0);
}

GHL_GROUP_KERNEL(commit_kernel)
{
    if (*(const int32_t *)a->in[0].data != 0)
        copy_bytes(a->in[1].data, a->out[0].data, (int64_t)a->in[1].count * a->bytes, block, blocks);
}

void ghl_cuda_round(const ghl_call *call, ghl_cuda_plan *plan)
{
    ghl_cuda_spread(plan, round_kernel, ghl_cuda_elements(&call->in[0]), 8);
}

void ghl_cuda_widen(const ghl_call *call, ghl_cuda_plan *plan)
{
    ghl_cuda_spread(plan, widen_kernel, ghl_cuda_elements(&call->in[0]), 8);
}

void ghl_cuda_copy(const ghl_call *call, ghl_cuda_plan *plan)
{
    const int equal = call->in[0].dtype == call->out[0].dtype;
    ghl_cuda_spread(plan, equal ? copy_kernel : round_kernel, ghl_cuda_elements(&call->in[0]), 8);
    ghl_cuda_add_grouped(plan, equal ? copy_kernel_group : NULL);
}

void ghl_cuda_commit(const ghl_call *call, ghl_cuda_plan *plan)
{
    ghl_cuda_spread(plan, commit_kernel, ghl_cuda_elements(&call->in[1]), 8);
    ghl_cuda_add_grouped(plan, commit_kernel_group);
}
