/* SPDX-License-Identifier: Apache-2.0
 *
 * isa_winner.c - the product of hard winners: p_k = sum of f_m x_m over the columns m that filter k wins. It is as much work as there are
 * columns, where a product with all responses would be that times the filters.
 *
 * Columns are sorted by their winner, which keeps their order; then filters are done one by one, in whatever order. Few columns are added
 * up in the filter itself, more of them in blocks, so that a sum of many loses no digits.
 */
#include <string.h>

#include "device/cpu/isa.h"

enum { COLUMNS = 64 }; /* of a block */

/* start [K + 1]: where the columns of each filter begin in order [M]. */
static void sort_by_winner(const int32_t *winners, int64_t columns, int64_t filters, int32_t *start, int32_t *order)
{
    memset(start, 0, (size_t)(filters + 1) * sizeof *start);
    for (int64_t m = 0; m < columns; m++)
        start[winners[m] + 1]++;
    for (int64_t k = 0; k < filters; k++)
        start[k + 1] += start[k];
    for (int64_t m = 0; m < columns; m++) /* each start moves on to the next one's */
        order[start[winners[m]]++] = (int32_t)m;
    for (int64_t k = filters; k > 0; k--)
        start[k] = start[k - 1];
    start[0] = 0;
}

/* to [R,S,C] += f x_m, a run of memory for each row of the window. */
static GHL_CPU_BODY void add_column(const ghl_call *call, int64_t m, float *to, int half)
{
    const ghl_window *win = &call->attr.window;
    const ghl_shape xs = call->in[0].shape, fs = call->in[1].shape;
    const float f = ((const float *)call->in[1].data)[m];
    const int64_t h = m / fs.w % fs.h * win->stride[0] - win->padding[0], w = m % fs.w * win->stride[1] - win->padding[1];
    const int64_t first = w < 0 ? -w : 0, last = ghl_cpu_min(win->kernel[1], xs.w - w), n = (last - first) * xs.c;
    for (int64_t r = 0; r < win->kernel[0]; r++) {
        if (h + r < 0 || h + r >= xs.h)
            continue;
        const void *x = ghl_at(call->in[0].data, ((m / fs.w / fs.h * xs.h + h + r) * xs.w + w + first) * xs.c, half);
        float *run = to + (r * win->kernel[1] + first) * xs.c;
#pragma omp simd
        for (int64_t i = 0; i < n; i++)
            run[i] += f * ghl_get(x, i, half);
    }
}

static GHL_CPU_BODY void filter_product(const ghl_call *call, const int32_t *order, int64_t count, float *p, float *block, int half)
{
    const ghl_shape ps = call->out[0].shape;
    const int64_t fan_in = ps.h * ps.w * ps.c;
    memset(p, 0, (size_t)fan_in * sizeof *p);
    for (int64_t at = 0; at < count; at += COLUMNS) {
        float *to = at == 0 ? p : block;
        if (at > 0)
            memset(block, 0, (size_t)fan_in * sizeof *block);
        for (int64_t i = at; i < ghl_cpu_min(at + COLUMNS, count); i++)
            add_column(call, order[i], to, half);
        for (int64_t i = 0; at > 0 && i < fan_in; i++)
            p[i] += block[i];
    }
}

ghl_status GHL_CPU_OP(winner_product)(const ghl_call *call, void *scratch)
{
    const ghl_shape ps = call->out[0].shape;
    const int64_t columns = ghl_shape_elements(call->in[1].shape), fan_in = ps.h * ps.w * ps.c;
    int32_t *start = scratch, *order = start + ps.n + 1;
    float *blocks = (float *)(order + columns); /* a thread's own each */
    sort_by_winner(call->in[2].data, columns, ps.n, start, order);
#pragma omp parallel for schedule(dynamic, 4) if (columns * fan_in > GHL_CPU_SMALL)
    for (int64_t k = 0; k < ps.n; k++) {
        float *p = (float *)call->out[0].data + k * fan_in, *block = blocks + omp_get_thread_num() * fan_in;
        if (call->in[0].dtype == GHL_BF16)
            filter_product(call, order + start[k], start[k + 1] - start[k], p, block, 1);
        else
            filter_product(call, order + start[k], start[k + 1] - start[k], p, block, 0);
    }
    return GHL_OK;
}
