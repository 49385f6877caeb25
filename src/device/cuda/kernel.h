/* SPDX-License-Identifier: Apache-2.0
 *
 * kernel.h - what the kernels of device cuda share: their one argument, access to activations of either type, and sums in a fixed order.
 *
 * A kernel is written in what C11 and CUDA C++ have in common, so that tests/emulation runs the same source on the processor, thread by
 * thread. It takes a ghl_cuda_args by value. Activations are f32 or bf16; `half` says which, and is a constant wherever it is looked at:
 * a kernel calls its body, which is inlined, once with 1 and once with 0. Elements are counted in int32_t: a call with more than
 * GHL_CUDA_ELEMENTS of an operand is refused when it is prepared.
 *
 * Sums: a thread adds in f32 what it sees, a block adds up its threads, and blocks leave parts that a last block or warp adds up in order,
 * in f64. How much a thread sees follows from shapes alone: results are the same bits from run to run, and on every card.
 */
#ifndef GHL_DEVICE_CUDA_KERNEL_H
#define GHL_DEVICE_CUDA_KERNEL_H

#include <cuda_runtime.h>

#include "device/cuda/launch.h"
#include "device/places.h"

#ifdef __cplusplus
#define GHL_KERNEL extern "C" __global__ void
#else
#define GHL_KERNEL static void
#endif
#define GHL_INLINE static __device__ __forceinline__
#define GHL_ALL_LANES 0xffffffffu

/* ---- Access: element i, or eight from i on, which is a multiple of 8 ---- */

GHL_INLINE float ghl_widen(uint32_t bits)
{
    return __uint_as_float(bits << 16);
}

/* To the nearest, ties to even; NaN stays NaN. */
GHL_INLINE uint32_t ghl_round(float v)
{
    const uint32_t bits = __float_as_uint(v);
    const uint32_t nearest = (bits + 0x7FFFu + (bits >> 16 & 1u)) >> 16, quiet = bits >> 16 | 0x40u;
    return (bits & 0x7FFFFFFFu) > 0x7F800000u ? quiet : nearest;
}

GHL_INLINE float ghl_get(const void *from, int i, int half)
{
    return half ? ghl_widen(((const uint16_t *)from)[i]) : ((const float *)from)[i];
}

GHL_INLINE void ghl_put(void *to, int i, float v, int half)
{
    if (half)
        ((uint16_t *)to)[i] = (uint16_t)ghl_round(v);
    else
        ((float *)to)[i] = v;
}

GHL_INLINE void ghl_get8(const void *from, int i, int half, float *v)
{
    if (half) {
        const uint4 u = ((const uint4 *)from)[i / 8];
        const uint32_t words[4] = {u.x, u.y, u.z, u.w};
        for (int j = 0; j < 4; j++) {
            v[2 * j] = ghl_widen(words[j] & 0xFFFFu);
            v[2 * j + 1] = __uint_as_float(words[j] & 0xFFFF0000u);
        }
    } else {
        for (int j = 0; j < 2; j++) {
            const float4 f = ((const float4 *)from)[i / 4 + j];
            v[4 * j] = f.x;
            v[4 * j + 1] = f.y;
            v[4 * j + 2] = f.z;
            v[4 * j + 3] = f.w;
        }
    }
}

GHL_INLINE void ghl_put8(void *to, int i, const float *v, int half)
{
    if (half) {
        uint32_t words[4];
        for (int j = 0; j < 4; j++)
            words[j] = ghl_round(v[2 * j]) | ghl_round(v[2 * j + 1]) << 16;
        uint4 u;
        u.x = words[0];
        u.y = words[1];
        u.z = words[2];
        u.w = words[3];
        ((uint4 *)to)[i / 8] = u;
    } else {
        for (int j = 0; j < 2; j++) {
            float4 f;
            f.x = v[4 * j];
            f.y = v[4 * j + 1];
            f.z = v[4 * j + 2];
            f.w = v[4 * j + 3];
            ((float4 *)to)[i / 4 + j] = f;
        }
    }
}

/* `width` elements, 8 or 1. */
GHL_INLINE void ghl_get_some(const void *from, int i, int width, int half, float *v)
{
    if (width == 8)
        ghl_get8(from, i, half, v);
    else
        v[0] = ghl_get(from, i, half);
}

GHL_INLINE void ghl_put_some(void *to, int i, int width, const float *v, int half)
{
    if (width == 8)
        ghl_put8(to, i, v, half);
    else
        ghl_put(to, i, v[0], half);
}

/* Eight elements of `count`; past the end 0 is read, and nothing written. */
GHL_INLINE void ghl_load(const void *from, int i, int count, int half, float *v)
{
    if (i + 8 <= count)
        ghl_get8(from, i, half, v);
    else
        for (int j = 0; j < 8; j++)
            v[j] = i + j < count ? ghl_get(from, i + j, half) : 0.0f;
}

GHL_INLINE void ghl_store(void *to, int i, int count, const float *v, int half)
{
    if (i + 8 <= count)
        ghl_put8(to, i, v, half);
    else
        for (int j = 0; j < 8; j++)
            if (i + j < count)
                ghl_put(to, i + j, v[j], half);
}

/* ---- Which elements a thread does ---- */

GHL_INLINE int ghl_thread(void)
{
    return (int)(blockIdx.x * blockDim.x + threadIdx.x);
}

GHL_INLINE int ghl_threads(void)
{
    return (int)(gridDim.x * blockDim.x);
}

#define GHL_EACH(i, count) for (int i = ghl_thread(); i < (count); i += ghl_threads())
#define GHL_EACH_PACK(i, count) for (int i = 8 * ghl_thread(); i < (count); i += 8 * ghl_threads())

/* Two kernels of the body that follows: `name`, and name_group for a group of calls. The body sees its call's arguments, `a`, and which
 * block of how many it is for them; it asks neither blockIdx nor gridDim. */
#define GHL_GROUP_KERNEL(name)                                                                                        \
    GHL_INLINE void name##_body(const ghl_cuda_args *a, GHL_MAY_NOT_USE int block, GHL_MAY_NOT_USE int blocks);       \
    GHL_KERNEL name(const __grid_constant__ ghl_cuda_args a)                                                          \
    {                                                                                                                 \
        name##_body(&a, (int)blockIdx.x, (int)gridDim.x);                                                             \
    }                                                                                                                 \
    GHL_KERNEL name##_group(const __grid_constant__ ghl_cuda_args a)                                                  \
    {                                                                                                                 \
        const ghl_cuda_place place = ((const ghl_cuda_place *)a.list)[blockIdx.x];                                    \
        const ghl_cuda_args own = ((const ghl_cuda_args *)a.scratch)[place.call];                                     \
        name##_body(&own, place.block, place.blocks);                                                                 \
    }                                                                                                                 \
    GHL_INLINE void name##_body(const ghl_cuda_args *a, GHL_MAY_NOT_USE int block, GHL_MAY_NOT_USE int blocks)
#define GHL_MAY_NOT_USE __attribute__((unused))

/* In such a body. */
#define GHL_EACH_OF_CALL(i, count) \
    for (int i = block * (int)blockDim.x + (int)threadIdx.x; i < (count); i += blocks * (int)blockDim.x)
#define GHL_EACH_PACK_OF_CALL(i, count) \
    for (int i = 8 * (block * (int)blockDim.x + (int)threadIdx.x); i < (count); i += 8 * blocks * (int)blockDim.x)

/* An op whose body does the eight f32 elements from i on: void op_pack(const ghl_cuda_args *a, int i). */
#define GHL_GROUP_PACKS(op)                                                      \
    GHL_GROUP_KERNEL(op##_kernel)                                                \
    {                                                                            \
        GHL_EACH_PACK_OF_CALL(i, a->out[0].count) op##_pack(a, i);               \
    }                                                                            \
    void ghl_cuda_##op(const ghl_call *call, ghl_cuda_plan *plan)                \
    {                                                                            \
        ghl_cuda_spread(plan, op##_kernel, ghl_cuda_elements(&call->out[0]), 8); \
        ghl_cuda_add_grouped(plan, op##_kernel_group);                           \
    }

/* Kernel `name` of a body that does the eight elements from i on: void body(const ghl_cuda_args *a, int i, int half). */
#define GHL_PACK_KERNEL(name, body, elements)          \
    GHL_KERNEL name(const __grid_constant__ ghl_cuda_args a) \
    {                                                  \
        const int count = (elements);                  \
        if (a.half)                                    \
            GHL_EACH_PACK(i, count) body(&a, i, 1);    \
        else                                           \
            GHL_EACH_PACK(i, count) body(&a, i, 0);    \
    }

/* Kernel `name` of a body that does everything: void body(const ghl_cuda_args *a, int half). */
#define GHL_HALF_KERNEL(name, body)                    \
    GHL_KERNEL name(const __grid_constant__ ghl_cuda_args a) \
    {                                                  \
        if (a.half)                                    \
            body(&a, 1);                               \
        else                                           \
            body(&a, 0);                               \
    }

/* Of a body that takes channels eight at a time where `channels` is a multiple of 8, else one by one:
 * void body(const ghl_cuda_args *a, int width, int half). */
#define GHL_WIDE_KERNEL(name, body, channels)          \
    GHL_KERNEL name(const __grid_constant__ ghl_cuda_args a) \
    {                                                  \
        if ((channels) % 8 == 0) {                     \
            if (a.half)                                \
                body(&a, 8, 1);                        \
            else                                       \
                body(&a, 8, 0);                        \
        } else {                                       \
            if (a.half)                                \
                body(&a, 1, 1);                        \
            else                                       \
                body(&a, 1, 0);                        \
        }                                              \
    }

/* Input or output k, NULL where it is absent. */
#define GHL_IN(a, k) ((const float *)(a)->in[k].data)
#define GHL_OUT(a, k) ((float *)(a)->out[k].data)

/* ---- Sums and maxima over lanes and blocks. All lanes of a warp, and all threads of a block, must come here ---- */

GHL_INLINE float ghl_lanes_sum(float v, int lanes /* 1, 2, 4 .. 32 neighbours */)
{
    for (int o = lanes / 2; o > 0; o /= 2)
        v += __shfl_xor_sync(GHL_ALL_LANES, v, o);
    return v;
}

GHL_INLINE double ghl_lanes_sum_double(double v, int lanes)
{
    for (int o = lanes / 2; o > 0; o /= 2)
        v += __shfl_xor_sync(GHL_ALL_LANES, v, o);
    return v;
}

/* The larger, NaN before all. */
GHL_INLINE float ghl_most(float a, float b)
{
    return a != a ? a : b > a || b != b ? b : a;
}

GHL_INLINE float ghl_lanes_most(float v, int lanes)
{
    for (int o = lanes / 2; o > 0; o /= 2)
        v = ghl_most(v, __shfl_xor_sync(GHL_ALL_LANES, v, o));
    return v;
}

/* Of the block, for every thread of it; blocks are whole warps. */
GHL_INLINE double ghl_block_sum(double v)
{
    __shared__ double parts[32];
    v = ghl_lanes_sum_double(v, 32);
    __syncthreads();
    if (threadIdx.x % 32 == 0)
        parts[threadIdx.x / 32] = v;
    __syncthreads();
    v = threadIdx.x % 32 < blockDim.x / 32 ? parts[threadIdx.x % 32] : 0.0;
    return ghl_lanes_sum_double(v, 32);
}

GHL_INLINE float ghl_block_most(float v)
{
    __shared__ float parts[32];
    v = ghl_lanes_most(v, 32);
    __syncthreads();
    if (threadIdx.x % 32 == 0)
        parts[threadIdx.x / 32] = v;
    __syncthreads();
    v = parts[threadIdx.x % 32 < blockDim.x / 32 ? threadIdx.x % 32 : 0];
    return ghl_lanes_most(v, 32);
}

#endif
