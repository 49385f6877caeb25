/* SPDX-License-Identifier: Apache-2.0
 *
 * norm.c - batch normalisation over N, H and W (Ioffe & Szegedy 2015), with xhat = (x - mean) / sqrt(variance + epsilon):
 *
 *     z = xhat scale + shift,   dL/dx = scale / sqrt(variance + epsilon) (e - sum_e / M - xhat sum_ex / M)
 *
 * and the fused forms y = relu(z + addend), in which e is masked where relu let nothing through. Every step of a fused form is rounded
 * as the op of its own would round it. The variance is that of the batch (biased), from a second pass, so that a large mean costs no
 * digits.
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

/* x and its statistics as a call has them; absent ones are NULL. */
typedef struct norm {
    const float *x, *mean, *variance, *scale, *shift;
    double epsilon;
    int32_t from_output;
} norm;

static norm norm_of(const ghl_call *call, int x, int shift)
{
    return (norm){ghl_ref_in(call, x), ghl_ref_in(call, x + 1), ghl_ref_in(call, x + 2), ghl_ref_in(call, x + 3), ghl_ref_in(call, shift),
                  (double)call->attr.norm.epsilon, call->attr.norm.from_output};
}

static double inverse_deviation(const norm *n, int64_t c)
{
    return 1.0 / sqrt((double)n->variance[c] + n->epsilon);
}

/* xhat of element i, whose channel is c. */
static double normalised(const norm *n, int64_t i, int64_t c)
{
    return n->from_output ? n->x[i] : ((double)n->x[i] - n->mean[c]) * inverse_deviation(n, c);
}

static float output(const norm *n, int64_t i, int64_t c)
{
    return (float)(normalised(n, i, c) * (n->scale ? n->scale[c] : 1.0) + (n->shift ? n->shift[c] : 0.0));
}

ghl_status ghl_ref_batch_norm(const ghl_call *call)
{
    const norm n = norm_of(call, 0, 4);
    const float *addend = ghl_ref_in(call, 5);
    ghl_shape xs = call->in[0].shape;
    for (int64_t i = 0; i < ghl_shape_elements(xs); i++) {
        float y = output(&n, i, i % xs.c);
        if (addend)
            y += addend[i];
        ghl_ref_out(call, 0)[i] = call->attr.norm.relu && y <= 0.0f ? 0.0f : y;
    }
    return GHL_OK;
}

ghl_status ghl_ref_batch_norm_sums(const ghl_call *call)
{
    const norm n = norm_of(call, 1, 5);
    const float *e = ghl_ref_in(call, 0), *e2 = ghl_ref_in(call, 6), *mask = ghl_ref_in(call, 7);
    float *d = ghl_ref_out(call, 2);
    ghl_shape xs = call->in[0].shape;
    for (int64_t c = 0; c < xs.c; c++) {
        double sum_e = 0.0, sum_ex = 0.0;
        for (int64_t i = c; i < ghl_shape_elements(xs); i += xs.c) {
            float error = e2 ? e[i] + e2[i] : e[i];
            if ((mask && mask[i] <= 0.0f) || (call->attr.norm.relu && output(&n, i, c) <= 0.0f))
                error = 0.0f;
            if (d)
                d[i] = error;
            sum_e += error;
            sum_ex += error * normalised(&n, i, c);
        }
        ghl_ref_out(call, 0)[c] = (float)sum_e;
        ghl_ref_out(call, 1)[c] = (float)sum_ex;
    }
    return GHL_OK;
}

ghl_status ghl_ref_batch_norm_backward(const ghl_call *call)
{
    const norm n = norm_of(call, 1, 7);
    const float *e = ghl_ref_in(call, 0), *sum_e = ghl_ref_in(call, 5), *sum_ex = ghl_ref_in(call, 6);
    ghl_shape xs = call->in[0].shape;
    double positions = (double)(xs.n * xs.h * xs.w);
    for (int64_t i = 0; i < ghl_shape_elements(xs); i++) {
        int64_t c = i % xs.c;
        double error = call->attr.norm.relu && output(&n, i, c) <= 0.0f ? 0.0 : e[i];
        if (sum_e)
            error -= sum_e[c] / positions + normalised(&n, i, c) * sum_ex[c] / positions;
        ghl_ref_out(call, 0)[i] = (float)((n.scale ? n.scale[c] : 1.0) * inverse_deviation(&n, c) * error);
    }
    return GHL_OK;
}

ghl_status ghl_ref_variance_keeping(const ghl_call *call)
{
    const float *variance = ghl_ref_in(call, 0);
    const double epsilon = call->attr.norm.epsilon;
    const int64_t channels = call->in[0].shape.c;
    float *factor = ghl_ref_out(call, 0);
    double mean = 0.0;
    for (int64_t c = 0; c < channels; c++)
        mean += variance[c] / (double)channels;
    for (int64_t c = 0; c < channels; c++)
        factor[c] = (float)sqrt((variance[c] + epsilon) / (mean + epsilon));
    return GHL_OK;
}
