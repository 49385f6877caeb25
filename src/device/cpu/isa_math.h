/* SPDX-License-Identifier: Apache-2.0
 *
 * isa_math.h - an exponential that compilers can put into vectors.
 *
 *   exp(x) = 2^n exp(r),  n = round(x / ln 2),  |r| <= ln 2 / 2,  exp(r) by its Taylor polynomial of degree 7
 *
 * The factor 2^n is applied in two halves, so that results below the smallest normal number and overflow come out right. Relative
 * error at most 2 units in the last place for normal results; NaN stays, -inf gives 0, +inf gives +inf.
 */
#ifndef GHL_DEVICE_CPU_ISA_MATH_H
#define GHL_DEVICE_CPU_ISA_MATH_H

#include <stdint.h>

typedef union ghl_float_bits {
    float value;
    uint32_t bits;
} ghl_float_bits;

static inline float ghl_power_of_two(int32_t n)
{
    return (ghl_float_bits){.bits = (uint32_t)(n + 127) << 23}.value;
}

static inline float ghl_exp(float x)
{
    const float magic = 12582912.0f, log2_e = 1.44269504f, ln2_high = 0.693359375f, ln2_low = -2.12194440e-4f;
    x = x < -105.0f ? -105.0f : x;
    x = x > 90.0f ? 90.0f : x;
    float shifted = x * log2_e + magic, n = shifted - magic;
    float r = (x - n * ln2_high) - n * ln2_low;
    float p = 1.0f / 5040.0f;
    p = p * r + 1.0f / 720.0f;
    p = p * r + 1.0f / 120.0f;
    p = p * r + 1.0f / 24.0f;
    p = p * r + 1.0f / 6.0f;
    p = p * r + 0.5f;
    p = p * r + 1.0f;
    p = p * r + 1.0f;
    int32_t whole = (int32_t)((ghl_float_bits){.value = shifted}.bits - 0x4B400000u), half = whole >> 1;
    return p * ghl_power_of_two(half) * ghl_power_of_two(whole - half);
}

#endif
