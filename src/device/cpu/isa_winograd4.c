/* SPDX-License-Identifier: Apache-2.0
 *
 * isa_winograd4.c - F(4x4, 3x3), points 0, 1/2, -1/2, 3/2, -3/2 and infinity. See winograd.h and winograd_body.h.
 *
 * These points lose half as much as the usual 0, 1, -1, 2, -2: in f32 about 1.2e-6 of a weight gradient's norm and 2.1e-6 of a
 * product's, where F(2x2, 3x3) loses 3e-7 and 6e-7. Even and odd parts are shared by the points of either sign.
 */
#include <string.h>

#include "device/cpu/isa.h"
#include "device/cpu/isa_half.h"

enum { M = 4 };

static inline void input_line(const ghl_vec *d, int s, ghl_vec *to, int step)
{
    ghl_vec even1 = d[2 * s] * 2.25f - d[4 * s], odd1 = d[s] * 1.125f - d[3 * s] * 0.5f;
    ghl_vec even3 = d[4 * s] - d[2 * s] * 0.25f, odd3 = d[3 * s] * 1.5f - d[s] * 0.375f;
    to[0] = d[0] * 0.5625f - d[2 * s] * 2.5f + d[4 * s];
    to[step] = even1 + odd1;
    to[2 * step] = even1 - odd1;
    to[3 * step] = even3 + odd3;
    to[4 * step] = even3 - odd3;
    to[5 * step] = d[s] * 0.5625f - d[3 * s] * 2.5f + d[5 * s];
}

static inline void scatter_line(const ghl_vec *m, int s, ghl_vec *to, int step)
{
    ghl_vec even1 = m[s] + m[2 * s], odd1 = m[s] - m[2 * s], even3 = m[3 * s] + m[4 * s], odd3 = m[3 * s] - m[4 * s];
    to[0] = m[0] * 0.5625f;
    to[step] = odd1 * 1.125f - odd3 * 0.375f + m[5 * s] * 0.5625f;
    to[2 * step] = even1 * 2.25f - even3 * 0.25f - m[0] * 2.5f;
    to[3 * step] = odd3 * 1.5f - odd1 * 0.5f - m[5 * s] * 2.5f;
    to[4 * step] = m[0] - even1 + even3;
    to[5 * step] = m[5 * s];
}

static inline void output_line(const ghl_vec *m, int s, ghl_vec *to, int step)
{
    ghl_vec even1 = m[s] + m[2 * s], odd1 = m[s] - m[2 * s], even3 = m[3 * s] + m[4 * s], odd3 = m[3 * s] - m[4 * s];
    to[0] = m[0] + even1 + even3;
    to[step] = odd1 * 0.5f + odd3 * 1.5f;
    to[2 * step] = even1 * 0.25f + even3 * 2.25f;
    to[3 * step] = odd1 * 0.125f + odd3 * 3.375f + m[5 * s];
}

static inline void error_line(const ghl_vec *e, int s, ghl_vec *to, int step)
{
    ghl_vec even1 = e[0] + e[2 * s] * 0.25f, odd1 = e[s] * 0.5f + e[3 * s] * 0.125f;
    ghl_vec even3 = e[0] + e[2 * s] * 2.25f, odd3 = e[s] * 1.5f + e[3 * s] * 3.375f;
    to[0] = e[0];
    to[step] = even1 + odd1;
    to[2 * step] = even1 - odd1;
    to[3 * step] = even3 + odd3;
    to[4 * step] = even3 - odd3;
    to[5 * step] = e[3 * s];
}

static inline void filter_line(const ghl_vec *w, int s, ghl_vec *to, int step)
{
    ghl_vec even1 = w[0] + w[2 * s] * 0.25f, odd1 = w[s] * 0.5f;
    ghl_vec even3 = w[0] * (1.0f / 9.0f) + w[2 * s] * 0.25f, odd3 = w[s] * (1.0f / 6.0f);
    to[0] = w[0] * (16.0f / 9.0f);
    to[step] = even1 + odd1;
    to[2 * step] = even1 - odd1;
    to[3 * step] = even3 + odd3;
    to[4 * step] = even3 - odd3;
    to[5 * step] = w[2 * s];
}

static inline void gradient_line(const ghl_vec *m, int s, ghl_vec *to, int step)
{
    ghl_vec even1 = m[s] + m[2 * s], odd1 = m[s] - m[2 * s], even3 = m[3 * s] + m[4 * s], odd3 = m[3 * s] - m[4 * s];
    to[0] = m[0] * (16.0f / 9.0f) + even1 + even3 * (1.0f / 9.0f);
    to[step] = odd1 * 0.5f + odd3 * (1.0f / 6.0f);
    to[2 * step] = (even1 + even3) * 0.25f + m[5 * s];
}

#include "device/cpu/winograd_body.h"

const ghl_conv_kernels GHL_ISA_NAME(ghl_cpu_winograd4) = {
    .forward = forward,
    .backward_data = backward_data,
    .backward_weights = backward_weights,
};
