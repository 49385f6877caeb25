/* SPDX-License-Identifier: Apache-2.0
 *
 * isa_dot.h - sums of products: in f32 over short blocks in several lanes, in f64 over the blocks.
 */
#ifndef GHL_DEVICE_CPU_ISA_DOT_H
#define GHL_DEVICE_CPU_ISA_DOT_H

#include <stdint.h>

enum { GHL_DOT_LANES = 16, GHL_DOT_BLOCK = 512 };

/* <a, b>. The lanes are added up in order, so that every instruction set adds alike. */
static inline double ghl_dot(const float *a, const float *b, int64_t n)
{
    double sum = 0;
    for (int64_t at = 0; at < n; at += GHL_DOT_BLOCK) {
        int64_t end = at + GHL_DOT_BLOCK < n ? at + GHL_DOT_BLOCK : n, i = at;
        float lane[GHL_DOT_LANES] = {0};
        double block = 0;
        for (; i + GHL_DOT_LANES <= end; i += GHL_DOT_LANES)
#pragma omp simd
            for (int j = 0; j < GHL_DOT_LANES; j++)
                lane[j] += a[i + j] * b[i + j];
        for (; i < end; i++)
            lane[0] += a[i] * b[i];
        for (int j = 0; j < GHL_DOT_LANES; j++)
            block += (double)lane[j];
        sum += block;
    }
    return sum;
}

#endif
