/* SPDX-License-Identifier: Apache-2.0
 *
 * compete.c - units against their neighbours in the map (lateral inhibition) and against the other units of their column (hard winners
 * with a sliding threshold; Nimmo & Mondragon 2025):
 *
 *     v = y at the winner, else 0,   theta <- keep theta + (1 - keep) mean_m(v^2),   f = v (v - theta)
 */
#include <math.h>

#include "device/inhibition.h"
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
    float *squares = ghl_ref_out(call, 0), *v = ghl_ref_out(call, 1);
    for (int64_t m = 0; m < columns; m++) {
        const float *column = y + m * channels;
        int64_t winner = 0;
        for (int64_t k = 1; k < channels; k++)
            winner = column[k] > column[winner] || (isnan(column[k]) && !isnan(column[winner])) ? k : winner;
        const float largest = column[winner];
        for (int64_t k = 0; k < channels; k++)
            v[m * channels + k] = k == winner ? largest : 0.0f;
    }
    for (int64_t k = 0; k < channels; k++) {
        double sum = 0.0;
        for (int64_t m = 0; m < columns; m++)
            sum += (double)v[m * channels + k] * v[m * channels + k];
        squares[k] = (float)sum;
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
    const float *v = ghl_ref_in(call, 0), *theta = ghl_ref_in(call, 1);
    const int64_t channels = call->in[0].shape.c;
    for (int64_t i = 0; i < ghl_shape_elements(call->in[0].shape); i++)
        ghl_ref_out(call, 0)[i] = (float)((double)v[i] * ((double)v[i] - theta[i % channels]));
    return GHL_OK;
}
