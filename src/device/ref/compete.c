/* SPDX-License-Identifier: Apache-2.0
 *
 * compete.c - units against their neighbours in the map (lateral inhibition) and against the other units of their column (hard winners
 * with a sliding threshold; Nimmo & Mondragon 2025):
 *
 *     v = y at the winner,   theta <- keep theta + (1 - keep) mean_m(v^2 where it wins),   f = v (v - theta),   p = f^T x
 */
#include <math.h>

#include "device/inhibition.h"
#include "device/places.h"
#include "device/ref/ref.h"

ghl_status ghl_ref_inhibit(const ghl_call *call)
{
    const float *y = ghl_ref_in(call, 0), *bias = ghl_ref_in(call, 1);
    const ghl_shape s = call->in[0].shape;
    for (int64_t at = 0; at < ghl_shape_elements(s); at++) {
        const int64_t k = at % s.c, q = at / s.c % s.w, p = at / s.c / s.w % s.h, n = at / s.c / s.w / s.h;
        double sum = bias ? bias[k] : 0.0;
        for (int i = -GHL_INHIBITION_REACH; i <= GHL_INHIBITION_REACH; i++)
            for (int j = -GHL_INHIBITION_REACH; j <= GHL_INHIBITION_REACH; j++)
                if (p + i >= 0 && p + i < s.h && q + j >= 0 && q + j < s.w)
                    sum += ghl_inhibition_of(i, j) * y[ghl_ref_at(s, n, p + i, q + j) + k];
        ghl_ref_out(call, 0)[at] = (float)sum;
    }
    return GHL_OK;
}

ghl_status ghl_ref_compete(const ghl_call *call)
{
    const float *y = ghl_ref_in(call, 0);
    const int64_t channels = call->in[0].shape.c, columns = ghl_shape_elements(call->in[0].shape) / channels;
    float *v = ghl_ref_out(call, 2);
    int32_t *winners = call->out[3].data;
    for (int64_t m = 0; m < columns; m++) {
        const float *column = y + m * channels;
        int32_t winner = 0;
        for (int32_t k = 1; k < channels; k++)
            winner = column[k] > column[winner] || (isnan(column[k]) && !isnan(column[winner])) ? k : winner;
        v[m] = column[winner];
        winners[m] = winner;
    }
    for (int64_t k = 0; k < channels; k++) {
        double sum = 0.0, squares = 0.0;
        for (int64_t m = 0; m < columns; m++) {
            const double value = winners[m] == k ? v[m] : 0.0;
            sum += value;
            squares += value * value;
        }
        ghl_ref_out(call, 0)[k] = (float)sum;
        ghl_ref_out(call, 1)[k] = (float)squares;
    }
    return GHL_OK;
}

ghl_status ghl_ref_winner_product(const ghl_call *call)
{
    const float *x = ghl_ref_in(call, 0), *f = ghl_ref_in(call, 1);
    const int32_t *winners = call->in[2].data;
    const ghl_window *win = &call->attr.window;
    const ghl_shape xs = call->in[0].shape, fs = call->in[1].shape, ps = call->out[0].shape;
    for (int64_t i = 0; i < ghl_shape_elements(ps); i++) {
        const int64_t c = i % ps.c, s = i / ps.c % ps.w, r = i / ps.c / ps.w % ps.h, k = i / ps.c / ps.w / ps.h;
        double sum = 0.0;
        for (int64_t m = 0; m < ghl_shape_elements(fs); m++) {
            const int64_t h = ghl_place_under(win, 0, m / fs.w % fs.h, r, xs.h), w = ghl_place_under(win, 1, m % fs.w, s, xs.w);
            if (winners[m] == k && h >= 0 && w >= 0)
                sum += (double)f[m] * x[ghl_ref_at(xs, m / fs.w / fs.h, h, w) + c];
        }
        ghl_ref_out(call, 0)[i] = (float)sum;
    }
    return GHL_OK;
}

ghl_status ghl_ref_bcm_threshold(const ghl_call *call)
{
    const float *theta = ghl_ref_in(call, 0), *squares = ghl_ref_in(call, 1);
    for (int64_t k = 0; k < call->out[0].shape.c; k++)
        ghl_ref_out(call, 0)[k] = (float)((double)call->attr.bcm.keep * theta[k] + (double)call->attr.bcm.add * squares[k]);
    return GHL_OK;
}

ghl_status ghl_ref_bcm_response(const ghl_call *call)
{
    const float *v = ghl_ref_in(call, 0), *theta = ghl_ref_in(call, 2);
    const int32_t *winners = call->in[1].data;
    for (int64_t m = 0; m < ghl_shape_elements(call->in[0].shape); m++)
        ghl_ref_out(call, 0)[m] = (float)((double)v[m] * ((double)v[m] - theta[winners[m]]));
    return GHL_OK;
}
