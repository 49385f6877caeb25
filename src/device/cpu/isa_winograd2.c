/* SPDX-License-Identifier: Apache-2.0
 *
 * isa_winograd2.c - F(2x2, 3x3), points 0, 1, -1 and infinity: factors 1, -1 and 1/2. See winograd.h and winograd_body.h.
 */
#include <string.h>

#include "device/cpu/isa.h"
#include "device/cpu/isa_half.h"

enum { M = 2 };

static inline void input_line(const ghl_vec *d, int s, ghl_vec *to, int step)
{
    to[0] = d[0] - d[2 * s];
    to[step] = d[s] + d[2 * s];
    to[2 * step] = d[2 * s] - d[s];
    to[3 * step] = d[s] - d[3 * s];
}

static inline void scatter_line(const ghl_vec *m, int s, ghl_vec *to, int step)
{
    to[0] = m[0];
    to[step] = m[s] - m[2 * s] + m[3 * s];
    to[2 * step] = m[s] + m[2 * s] - m[0];
    to[3 * step] = -m[3 * s];
}

static inline void output_line(const ghl_vec *m, int s, ghl_vec *to, int step)
{
    to[0] = m[0] + m[s] + m[2 * s];
    to[step] = m[s] - m[2 * s] - m[3 * s];
}

static inline void error_line(const ghl_vec *e, int s, ghl_vec *to, int step)
{
    to[0] = e[0];
    to[step] = e[0] + e[s];
    to[2 * step] = e[0] - e[s];
    to[3 * step] = -e[s];
}

static inline void filter_line(const ghl_vec *w, int s, ghl_vec *to, int step)
{
    ghl_vec even = (w[0] + w[2 * s]) * 0.5f, odd = w[s] * 0.5f;
    to[0] = w[0];
    to[step] = even + odd;
    to[2 * step] = even - odd;
    to[3 * step] = w[2 * s];
}

static inline void gradient_line(const ghl_vec *m, int s, ghl_vec *to, int step)
{
    ghl_vec even = (m[s] + m[2 * s]) * 0.5f;
    to[0] = m[0] + even;
    to[step] = (m[s] - m[2 * s]) * 0.5f;
    to[2 * step] = even + m[3 * s];
}

#include "device/cpu/winograd_body.h"

const ghl_conv_kernels GHL_ISA_NAME(ghl_cpu_winograd2) = {
    .forward = forward,
    .backward_data = backward_data,
    .backward_weights = backward_weights,
};
