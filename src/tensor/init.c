/* SPDX-License-Identifier: Apache-2.0
 *
 * Initial values as a function of seed, weight and element (numbered in PyTorch's order), so that they depend neither on the layout
 * in memory nor on threads.
 *
 * A word v becomes the real (v + 1/2) / 2^32 in (0,1). Normal: Box & Muller 1958 on pairs of words,
 *     z0 = sqrt(-2 ln u0) cos(2 pi u1),   z1 = sqrt(-2 ln u0) sin(2 pi u1),
 * with logarithm, sine and cosine written out here: a net of millions of weights must start within a fraction of a second (these
 * loops vectorise), and a seed must give the same weights whatever the machine's mathematical library.
 */
#include <math.h>
#include <string.h>

#include "tensor/tensor.h"

enum { BLOCK = 512 }; /* elements drawn together */

static double unit(uint32_t word)
{
    return ((double)word + 0.5) * 0x1p-32;
}

/* ln u for normal u > 0: u = 2^e m with m in [sqrt(1/2), sqrt(2)); ln m = 2 artanh(s), s = (m - 1) / (m + 1), as a series in
 * s^2 <= 0.03. */
static inline double logarithm(double u)
{
    uint64_t bits, mantissa, exponent;
    double m, e;
    memcpy(&bits, &u, sizeof bits);
    mantissa = (bits & UINT64_C(0x000fffffffffffff)) | UINT64_C(0x3ff0000000000000);
    exponent = (bits >> 52) | UINT64_C(0x4330000000000000); /* 2^52 + biased exponent, as a double */
    memcpy(&m, &mantissa, sizeof m);
    memcpy(&e, &exponent, sizeof e);
    e -= 0x1p52 + 1023;
    const bool upper = m > 1.4142135623730951;
    m = upper ? m * 0.5 : m;
    e = upper ? e + 1 : e;
    const double s = (m - 1) / (m + 1), t = s * s;
    double series = 1.0 / 21;
    series = series * t + 1.0 / 19;
    series = series * t + 1.0 / 17;
    series = series * t + 1.0 / 15;
    series = series * t + 1.0 / 13;
    series = series * t + 1.0 / 11;
    series = series * t + 1.0 / 9;
    series = series * t + 1.0 / 7;
    series = series * t + 1.0 / 5;
    series = series * t + 1.0 / 3;
    return e * 0.693147180559945309417 + 2 * s * (1 + series * t);
}

/* cos and sin of 2 pi u for u in (0,1): the nearest quarter turn is taken off exactly, Taylor series do the rest. */
static inline void turn(double u, double *cosine, double *sine)
{
    const double quarter = (4 * u + 0x1.8p52) - 0x1.8p52; /* rounds to the nearest of 0 .. 4 */
    const double x = (u - 0.25 * quarter) * 6.283185307179586476925, t = x * x;
    double s = -1.0 / 1307674368000;
    s = s * t + 1.0 / 6227020800;
    s = s * t - 1.0 / 39916800;
    s = s * t + 1.0 / 362880;
    s = s * t - 1.0 / 5040;
    s = s * t + 1.0 / 120;
    s = s * t - 1.0 / 6;
    s = x + x * t * s;
    double c = 1.0 / 20922789888000;
    c = c * t - 1.0 / 87178291200;
    c = c * t + 1.0 / 479001600;
    c = c * t - 1.0 / 3628800;
    c = c * t + 1.0 / 40320;
    c = c * t - 1.0 / 720;
    c = c * t + 1.0 / 24;
    c = c * t - 0.5;
    c = 1 + t * c;
    const bool odd = (quarter == 1) | (quarter == 3);
    const double first = odd ? s : c, second = odd ? c : s;
    *cosine = (quarter == 1) | (quarter == 2) ? -first : first;
    *sine = (quarter == 2) | (quarter == 3) ? -second : second;
}

static void draw_uniform(const ghl_init *init, const uint32_t *restrict word, float *restrict out)
{
    for (int i = 0; i < BLOCK; i++)
        out[i] = (float)(init->a + (init->b - init->a) * unit(word[i]));
}

static void draw_normal(const ghl_init *init, const uint32_t *restrict word, float *restrict out)
{
    double radius[BLOCK / 2], cosine[BLOCK / 2], sine[BLOCK / 2];
    const double mean = init->a, deviation = init->b;
    for (int i = 0; i < BLOCK / 2; i++)
        radius[i] = deviation * sqrt(-2 * logarithm(unit(word[2 * i])));
    for (int i = 0; i < BLOCK / 2; i++)
        turn(unit(word[2 * i + 1]), &cosine[i], &sine[i]);
    for (int i = 0; i < BLOCK / 2; i++) {
        out[2 * i] = (float)(mean + radius[i] * cosine[i]);
        out[2 * i + 1] = (float)(mean + radius[i] * sine[i]);
    }
}

/* Elements first .. first + BLOCK - 1 in PyTorch's order. */
static void draw(const ghl_weight *w, uint64_t seed, int64_t first, float out[BLOCK])
{
    uint32_t word[BLOCK];
    for (int i = 0; i < BLOCK; i += 4)
        ghl_random4(seed, (uint64_t)GHL_RANDOM_INIT + (uint64_t)w->index, (uint64_t)(first + i) / 4, 0, word + i);
    if (w->init.kind == GHL_INIT_UNIFORM)
        draw_uniform(&w->init, word, out);
    else
        draw_normal(&w->init, word, out);
}

void ghl_init_fill(const ghl_weight *w, uint64_t seed, float *values)
{
    const ghl_shape s = w->shape;
    const int64_t taps = s.h * s.w, elements = ghl_shape_elements(s);
    if (w->init.kind == GHL_INIT_CONSTANT) {
        for (int64_t i = 0; i < elements; i++)
            values[i] = (float)w->init.a;
        return;
    }
    if (w->init.kind == GHL_INIT_IDENTITY) {
        const int64_t fan_in = taps * s.c;
        for (int64_t i = 0; i < elements; i++)
            values[i] = i / fan_in == i % fan_in ? 1.0f : 0.0f;
        return;
    }
    float block[BLOCK];
    int64_t i = 0; /* in PyTorch's order */
    for (int64_t k = 0; k < s.n; k++)
        for (int64_t c = 0; c < s.c; c++)
            for (int64_t tap = 0; tap < taps; tap++, i++) {
                if (i % BLOCK == 0)
                    draw(w, seed, i, block);
                values[(k * taps + tap) * s.c + c] = block[i % BLOCK];
            }
}
