/* SPDX-License-Identifier: Apache-2.0
 *
 * philox.h - random numbers as a function of counters: Philox4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as
 * 1, 2, 3", SC 2011), for the processor and, in the same words, for kernels of a GPU. Nothing depends on threads or on the order of calls,
 * so a resumed run draws what an undisturbed one would have drawn.
 *
 * Counter words: a low, a high, b low, b high. Key words: low and high of seed ^ mix(purpose). mix is the finaliser of SplitMix64, a
 * bijection with mix(0) = 0, so that two purposes never share a key under one seed.
 */
#ifndef GHL_BASE_PHILOX_H
#define GHL_BASE_PHILOX_H

#include <stdint.h>

/* A function that the processor and a GPU's kernels share. */
#if defined(__CUDACC__)
#define GHL_SHARED_FUNCTION static __host__ __device__ __forceinline__
#else
#define GHL_SHARED_FUNCTION static inline
#endif

GHL_SHARED_FUNCTION uint64_t ghl_philox_mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

/* See ghl_random4. */
GHL_SHARED_FUNCTION void ghl_philox4(uint64_t seed, uint64_t purpose, uint64_t a, uint64_t b, uint32_t *out)
{
    const uint64_t key = seed ^ ghl_philox_mix(purpose);
    uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
    uint32_t c0 = (uint32_t)a, c1 = (uint32_t)(a >> 32), c2 = (uint32_t)b, c3 = (uint32_t)(b >> 32);
    for (int round = 0; round < 10; round++) {
        const uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)p1;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)p0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

#endif
