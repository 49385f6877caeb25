/* SPDX-License-Identifier: Apache-2.0
 *
 * norm.c - batch normalisation over N, H and W (Ioffe & Szegedy 2015), with xhat = (x - mean) / sqrt(variance + epsilon):
 *
 *     y = xhat scale + shift,   dL/dx = scale / sqrt(variance + epsilon) (e - sum_e / M - xhat sum_ex / M)
 *
 * The variance is that of the batch (biased), from a second pass, so that a large mean costs no digits.
 */
#include <math.h>

#include "device/ref/ref.h"

ghl_status ghl_ref_batch_norm_statistics(const ghl_call *call)
{
    const float *x = ghl_ref_in(call, 0);
    ghl_shape xs = call->in[0].shape;
    int64_t positions = xs.n * xs.h * xs.w;
    for (int64_t c = 0; c < xs.c; c++) {
        double sum = 0.0, squares = 0.0;
        for (int64_t m = 0; m < positions; m++)
            sum += x[m * xs.c + c];
        double mean = sum / (double)positions;
        for (int64_t m = 0; m < positions; m++)
            squares += (x[m * xs.c + c] - mean) * (x[m * xs.c + c] - mean);
        ghl_ref_out(call, 0)[c] = (float)mean;
        ghl_ref_out(call, 1)[c] = (float)(squares / (double)positions);
    }
    return GHL_OK;
}

static double inverse_deviation(const ghl_call *call, const float *variance, int64_t c)
{
    return 1.0 / sqrt((double)variance[c] + (double)call->attr.norm.epsilon);
}

ghl_status ghl_ref_batch_norm(const ghl_call *call)
{
    const float *x = ghl_ref_in(call, 0), *mean = ghl_ref_in(call, 1), *variance = ghl_ref_in(call, 2);
    const float *scale = ghl_ref_in(call, 3), *shift = ghl_ref_in(call, 4);
    ghl_shape xs = call->in[0].shape;
    float *y = ghl_ref_out(call, 0);
    for (int64_t i = 0; i < ghl_shape_elements(xs); i++) {
        int64_t c = i % xs.c;
        double xhat = ((double)x[i] - mean[c]) * inverse_deviation(call, variance, c);
        y[i] = (float)(xhat * (scale ? scale[c] : 1.0) + (shift ? shift[c] : 0.0));
    }
    return GHL_OK;
}

/* xhat of element i of input 1, whose channel is c. */
static double normalised(const ghl_call *call, int64_t i, int64_t c)
{
    const float *x = ghl_ref_in(call, 1), *mean = ghl_ref_in(call, 2), *variance = ghl_ref_in(call, 3);
    return call->attr.norm.from_output ? x[i] : ((double)x[i] - mean[c]) * inverse_deviation(call, variance, c);
}

ghl_status ghl_ref_batch_norm_sums(const ghl_call *call)
{
    const float *e = ghl_ref_in(call, 0);
    ghl_shape xs = call->in[0].shape;
    for (int64_t c = 0; c < xs.c; c++) {
        double sum_e = 0.0, sum_ex = 0.0;
        for (int64_t i = c; i < ghl_shape_elements(xs); i += xs.c) {
            sum_e += e[i];
            sum_ex += e[i] * normalised(call, i, c);
        }
        ghl_ref_out(call, 0)[c] = (float)sum_e;
        ghl_ref_out(call, 1)[c] = (float)sum_ex;
    }
    return GHL_OK;
}

ghl_status ghl_ref_batch_norm_backward(const ghl_call *call)
{
    const float *e = ghl_ref_in(call, 0), *variance = ghl_ref_in(call, 3), *scale = ghl_ref_in(call, 4);
    const float *sum_e = ghl_ref_in(call, 5), *sum_ex = ghl_ref_in(call, 6);
    ghl_shape xs = call->in[0].shape;
    double positions = (double)(xs.n * xs.h * xs.w);
    float *dx = ghl_ref_out(call, 0);
    for (int64_t i = 0; i < ghl_shape_elements(xs); i++) {
        int64_t c = i % xs.c;
        double error = e[i];
        if (sum_e)
            error -= sum_e[c] / positions + normalised(call, i, c) * sum_ex[c] / positions;
        dx[i] = (float)((scale ? scale[c] : 1.0) * inverse_deviation(call, variance, c) * error);
    }
    return GHL_OK;
}
