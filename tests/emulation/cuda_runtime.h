/* SPDX-License-Identifier: Apache-2.0
 *
 * cuda_runtime.h - CUDA's words for kernels, as C on the processor: a block's threads take turns on one core, each until it meets the
 * others in a barrier or a shuffle (emulator.c). What is __shared__ is static, since blocks follow one another.
 */
#ifndef GHL_TESTS_EMULATION_CUDA_RUNTIME_H
#define GHL_TESTS_EMULATION_CUDA_RUNTIME_H

#include <math.h>
#include <string.h>

#include "cuda_runtime_api.h"

#define __global__
#define __device__
#define __host__
#define __grid_constant__
#define __forceinline__ inline __attribute__((always_inline, unused))
#define __shared__ static

typedef struct uint3 {
    unsigned x, y, z;
} uint3;
typedef struct __attribute__((aligned(16))) uint4 {
    uint32_t x, y, z, w;
} uint4;
typedef struct __attribute__((aligned(16))) float4 {
    float x, y, z, w;
} float4;

extern uint3 threadIdx, blockIdx;
extern dim3 blockDim, gridDim;

void __syncthreads(void);
int __syncthreads_or(int predicate);
int32_t emulated_shuffle_int(int32_t value, int lanes);
float emulated_shuffle_float(float value, int lanes);
double emulated_shuffle_double(double value, int lanes);
#define __shfl_xor_sync(mask, value, lanes) \
    _Generic((value), int: emulated_shuffle_int, float: emulated_shuffle_float, double: emulated_shuffle_double)(value, lanes)

static inline int32_t atomicCAS(int32_t *at, int32_t expected, int32_t value)
{
    const int32_t old = *at;
    if (old == expected)
        *at = value;
    return old;
}

static inline float __uint_as_float(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline uint32_t __float_as_uint(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

#endif
