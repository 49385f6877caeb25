/* SPDX-License-Identifier: Apache-2.0
 *
 * beside.cu - two errors of a layer side by side, so that one convolution makes both gradients of its weights: [M,K] and [M,K] become
 * [M,2K], of which the gradient is [2K,F], one above the other.
 */
#include "device/cuda/kernel.h"

/* `width` channels from channel i of the pair on, counted through all columns. */
GHL_INLINE void beside_body(const ghl_cuda_args *a, int width, int half)
{
    const int k = a->in[0].c, count = a->out[0].count;
    const int written_half = a->bytes == 2;
    for (int i = width * ghl_thread(); i < count; i += width * ghl_threads()) {
        const int column = i / (2 * k), channel = i % (2 * k);
        const void *from = channel < k ? a->in[0].data : a->in[1].data;
        float v[8];
        ghl_get_some(from, column * k + channel % k, width, half, v);
        ghl_put_some(a->out[0].data, i, width, v, written_half);
    }
}

GHL_WIDE_KERNEL(beside_kernel, beside_body, a.in[0].c)

/* Eight elements of either half. */
GHL_INLINE void halves_body(const ghl_cuda_args *a, int width)
{
    const int count = a->out[0].count;
    for (int i = width * ghl_thread(); i < 2 * count; i += width * ghl_threads()) {
        float v[8];
        ghl_get_some(a->in[0].data, i, width, 0, v);
        ghl_put_some(i < count ? a->out[0].data : a->out[1].data, i % count, width, v, 0);
    }
}

GHL_KERNEL halves_kernel(const __grid_constant__ ghl_cuda_args a)
{
    if (a.out[0].count % 8 == 0)
        halves_body(&a, 8);
    else
        halves_body(&a, 1);
}

void ghl_cuda_beside(const ghl_call *call, ghl_cuda_plan *plan)
{
    ghl_cuda_spread(plan, beside_kernel, 2 * (int64_t)ghl_cuda_elements(&call->in[0]), call->in[0].shape.c % 8 == 0 ? 8 : 1);
}

void ghl_cuda_halves(const ghl_call *call, ghl_cuda_plan *plan)
{
    ghl_cuda_spread(plan, halves_kernel, 2 * (int64_t)ghl_cuda_elements(&call->out[0]), ghl_cuda_elements(&call->out[0]) % 8 == 0 ? 8 : 1);
}
