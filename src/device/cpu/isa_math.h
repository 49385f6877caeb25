/* SPDX-License-Identifier: Apache-2.0
 *
 * isa_math.h - a sign, an exponential, a power and a hyperbolic tangent that compilers can put into vectors.
 *
 *   exp(x) = 2^n exp(r),  n = round(x / ln 2),  |r| <= ln 2 / 2,  exp(r) by its Taylor polynomial of degree 7
 *
 * The factor 2^n is applied in two halves, so that results below the smallest normal number and overflow come out right. Relative
 * error at most 2 units in the last place for normal results; NaN stays, -inf gives 0, +inf gives +inf.
 *
 *   v^a = 2^(a n) exp(a ln m),  v = 2^n m,  m in [sqrt(1/2), sqrt(2)),  ln m = 2 artanh((m - 1) / (m + 1)) by its series
 *
 * The leading bits of a times n are exact, so that a large exponent costs no digits.
 */
#ifndef GHL_DEVICE_CPU_ISA_MATH_H
#define GHL_DEVICE_CPU_ISA_MATH_H

#include <math.h>
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

/* -1, 0 or 1; NaN stays. */
static inline float ghl_sign(float g)
{
    float size = g < 0.0f ? -1.0f : g;
    return g > 0.0f ? 1.0f : size;
}

/* For v > 0 and |power| <= 64; NaN stays. */
static inline float ghl_power(float v, float power)
{
    const float magic = 12582912.0f, ln2 = 0.693147181f;
    const float leading = (ghl_float_bits){.bits = (ghl_float_bits){power}.bits & 0xFFFFF000u}.value;
    const int small = v < 1.17549435e-38f;
    const uint32_t bits = (ghl_float_bits){small ? v * 16777216.0f : v}.bits;
    float m = (ghl_float_bits){.bits = (bits & 0x007FFFFFu) | 0x3F800000u}.value;
    float n = (float)((int32_t)(bits >> 23) - (small ? 151 : 127));
    const int upper = m > 1.41421356f;
    m = upper ? m * 0.5f : m;
    n = upper ? n + 1.0f : n;
    const float s = (m - 1.0f) / (m + 1.0f), t = s * s;
    const float ln_m = 2.0f * s * (1.0f + t * (1.0f / 3.0f + t * (1.0f / 5.0f + t * (1.0f / 7.0f + t * (1.0f / 9.0f)))));
    float exponent = leading * n;
    exponent = exponent < -250.0f ? -250.0f : exponent;
    exponent = exponent > 250.0f ? 250.0f : exponent;
    const float shifted = exponent + magic, rest = exponent - (shifted - magic);
    const int32_t whole = (int32_t)((ghl_float_bits){.value = shifted}.bits - 0x4B400000u), half = whole >> 1;
    const float fraction = ghl_exp((rest + (power - leading) * n) * ln2 + power * ln_m);
    const float y = fraction * ghl_power_of_two(half) * ghl_power_of_two(whole - half);
    const float end = power > 0.0f || v != v ? v : 0.0f; /* of infinity and NaN */
    return v < INFINITY ? y : end;
}

/* q / (q + 2), q = exp(2 |x|) - 1 without the cancellation of that difference where |x| is small. */
static inline float ghl_tanh(float x)
{
    const float magic = 12582912.0f, log2_e = 1.44269504f, ln2_high = 0.693359375f, ln2_low = -2.12194440e-4f;
    const float z = fabsf(x) > 10.0f ? 20.0f : 2.0f * fabsf(x), shifted = z * log2_e + magic, n = shifted - magic;
    const float r = (z - n * ln2_high) - n * ln2_low;
    float p = 1.0f / 5040.0f;
    p = p * r + 1.0f / 720.0f;
    p = p * r + 1.0f / 120.0f;
    p = p * r + 1.0f / 24.0f;
    p = p * r + 1.0f / 6.0f;
    p = p * r + 0.5f;
    p = (p * r) * r + r;
    const float two_n = ghl_power_of_two((int32_t)((ghl_float_bits){.value = shifted}.bits - 0x4B400000u));
    const float q = p * two_n + (two_n - 1.0f);
    return copysignf(q / (q + 2.0f), x);
}

#endif
