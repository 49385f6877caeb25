/* SPDX-License-Identifier: Apache-2.0
 *
 * isa_compete.c - units against their neighbours in the map (lateral inhibition) and against the other units of their column (hard
 * winners with a sliding threshold; Nimmo & Mondragon 2025).
 */
#include <math.h>
#include <string.h>

#include "device/cpu/isa.h"
#include "device/inhibition.h"

/* An item is a row of the map. What lies outside is `scratch`, a row of zeros, as is an absent bias. */
static GHL_CPU_BODY void inhibit_range(const ghl_call *call, void *scratch, int64_t begin, int64_t end, int half)
{
    enum { REACH = GHL_INHIBITION_REACH, SIDE = 2 * REACH + 1 };
    const ghl_shape s = call->in[0].shape;
    const float *bias = call->n_in > 1 && call->in[1].data != NULL ? call->in[1].data : scratch;
    float weight[GHL_INHIBITION_TAPS];
    for (int t = 0; t < GHL_INHIBITION_TAPS; t++)
        weight[t] = (float)ghl_inhibition_of(t / SIDE - REACH, t % SIDE - REACH);
    for (int64_t row = begin; row < end; row++)
        for (int64_t q = 0; q < s.w; q++) {
            const void *from[GHL_INHIBITION_TAPS];
            void *to = ghl_at(call->out[0].data, (row * s.w + q) * s.c, half);
            for (int t = 0; t < GHL_INHIBITION_TAPS; t++) {
                const int64_t down = t / SIDE - REACH, p = row % s.h + down, across = q + t % SIDE - REACH;
                const bool inside = p >= 0 && p < s.h && across >= 0 && across < s.w;
                from[t] = inside ? ghl_at(call->in[0].data, ((row + down) * s.w + across) * s.c, half) : scratch;
            }
#pragma omp simd
            for (int64_t k = 0; k < s.c; k++) {
                float sum = bias[k];
#pragma GCC unroll 25
                for (int t = 0; t < GHL_INHIBITION_TAPS; t++)
                    sum += weight[t] * ghl_get(from[t], k, half);
                ghl_put(to, k, sum, half);
            }
        }
}

static void inhibit_single(const ghl_call *call, void *scratch, int64_t begin, int64_t end)
{
    inhibit_range(call, scratch, begin, end, 0);
}

static void inhibit_half(const ghl_call *call, void *scratch, int64_t begin, int64_t end)
{
    inhibit_range(call, scratch, begin, end, 1);
}

ghl_status GHL_CPU_OP(inhibit)(const ghl_call *call, void *scratch)
{
    const ghl_shape s = call->in[0].shape;
    memset(scratch, 0, (size_t)s.c * sizeof(float));
    ghl_cpu_cut(call, scratch, call->in[0].dtype == GHL_BF16 ? inhibit_half : inhibit_single, s.n * s.h,
                s.w * s.c * GHL_INHIBITION_TAPS);
    return GHL_OK;
}

/* Where the largest of a column stands: the first among equals, a NaN before all. */
static GHL_CPU_BODY int64_t winner_of(const void *y, int64_t n, int half)
{
    float most = -INFINITY;
    int odd = 0;
#pragma omp simd reduction(max : most) reduction(| : odd)
    for (int64_t k = 0; k < n; k++) {
        const float v = ghl_get(y, k, half);
        most = v > most ? v : most;
        odd |= v != v;
    }
    for (int64_t k = 0; k < n; k++) {
        const float v = ghl_get(y, k, half);
        if (odd ? v != v : v == most)
            return k;
    }
    return 0;
}

/* Columns [begin, end); sums [2][K] is the chunk's own. */
static GHL_CPU_BODY void compete_chunk(const ghl_call *call, double *sums, int64_t begin, int64_t end, int half)
{
    const int64_t channels = call->in[0].shape.c;
    float *v = call->out[2].data;
    int32_t *winners = call->out[3].data;
    memset(sums, 0, (size_t)(2 * channels) * sizeof *sums);
    for (int64_t m = begin; m < end; m++) {
        const void *y = ghl_at(call->in[0].data, m * channels, half);
        const int64_t winner = winner_of(y, channels, half);
        v[m] = ghl_get(y, winner, half);
        winners[m] = (int32_t)winner;
        sums[winner] += (double)v[m];
        sums[channels + winner] += (double)v[m] * (double)v[m];
    }
}

ghl_status GHL_CPU_OP(compete)(const ghl_call *call, void *scratch)
{
    const int64_t channels = call->in[0].shape.c, columns = ghl_shape_elements(call->in[0].shape) / channels;
    const int64_t parts = columns * channels > GHL_CPU_SMALL ? GHL_CPU_CHUNKS : 1;
    double *sums = scratch; /* [parts][2][K] */
#pragma omp parallel for schedule(static) if (parts > 1)
    for (int64_t part = 0; part < parts; part++) {
        const int64_t begin = ghl_cpu_part(columns, parts, part), end = ghl_cpu_part(columns, parts, part + 1);
        if (call->in[0].dtype == GHL_BF16)
            compete_chunk(call, sums + part * 2 * channels, begin, end, 1);
        else
            compete_chunk(call, sums + part * 2 * channels, begin, end, 0);
    }
    for (int64_t i = 0; i < 2 * channels; i++) {
        double sum = 0;
        for (int64_t part = 0; part < parts; part++)
            sum += sums[part * 2 * channels + i];
        ((float *)call->out[i / channels].data)[i % channels] = (float)sum;
    }
    return GHL_OK;
}
