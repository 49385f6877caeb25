/* SPDX-License-Identifier: Apache-2.0
 *
 * bf16.h - bfloat16, the upper half of a float: 8 bits of mantissa with the hidden one, the exponent of a float. Rounding is to the
 * nearest, ties to even; NaN stays NaN, infinities and denormals stay what they are.
 */
#ifndef GHL_TENSOR_BF16_H
#define GHL_TENSOR_BF16_H

#include <stdint.h>

typedef uint16_t ghl_bf16;

static inline float ghl_bf16_widen(ghl_bf16 v)
{
    union { uint32_t bits; float value; } f = {.bits = (uint32_t)v << 16};
    return f.value;
}

static inline ghl_bf16 ghl_bf16_round(float v)
{
    union { float value; uint32_t bits; } f = {.value = v};
    uint32_t nearest = (f.bits + 0x7FFFu + (f.bits >> 16 & 1u)) >> 16, quiet = f.bits >> 16 | 0x40u;
    return (ghl_bf16)((f.bits & 0x7FFFFFFFu) > 0x7F800000u ? quiet : nearest);
}

#endif
