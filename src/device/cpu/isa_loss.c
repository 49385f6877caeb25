/* SPDX-License-Identifier: Apache-2.0
 *
 * isa_loss.c - softmax cross entropy, a row (an image) at a time in f64, rows in parallel; their losses are added in order.
 *
 *     L = sum over rows of (log sum exp(z) - <q, z>),   e = (softmax(z) - q) / total,   q = (1 - s) one hot + s / K
 */
#include <math.h>
#include <string.h>

#include "device/cpu/isa.h"

/* Classes before the label; the comparisons let a NaN logit come before it. */
static int64_t rank_of(const float *z, int64_t classes, int64_t label)
{
    int64_t before = 0;
    for (int64_t k = 0; k < classes; k++)
        before += k < label ? !(z[k] < z[label]) : k > label && !(z[k] <= z[label]);
    return z[label] != z[label] ? classes : before;
}

typedef struct aim {
    int64_t classes;
    double total, smoothing;
} aim;

/* <q, z>. Without smoothing the other logits do not count, be they infinite. */
static double aimed_at(const aim *a, const float *z, int64_t label)
{
    double all = 0;
    for (int64_t k = 0; a->smoothing > 0 && k < a->classes; k++)
        all += (double)z[k];
    return a->smoothing > 0 ? (1.0 - a->smoothing) * (double)z[label] + a->smoothing / (double)a->classes * all : (double)z[label];
}

static void row_loss(const aim *a, const float *z, int64_t label, float *e, double score[3])
{
    const int64_t classes = a->classes;
    const double share = a->smoothing / (double)classes;
    float highest = z[0];
    double sum = 0;
    for (int64_t k = 1; k < classes; k++)
        highest = z[k] > highest ? z[k] : highest;
    for (int64_t k = 0; k < classes; k++)
        sum += exp((double)z[k] - (double)highest);
    for (int64_t k = 0; k < classes; k++)
        e[k] = (float)((exp((double)z[k] - (double)highest) / sum - (k == label ? 1.0 - a->smoothing + share : share)) / a->total);
    int64_t rank = rank_of(z, classes, label);
    score[GHL_RESULT_LOSS] = log(sum) + (double)highest - aimed_at(a, z, label);
    score[GHL_RESULT_TOP1] = rank < 1;
    score[GHL_RESULT_TOP5] = rank < 5;
}

ghl_status GHL_CPU_OP(softmax_cross_entropy)(const ghl_call *call, void *scratch)
{
    const bool half = call->in[0].dtype == GHL_BF16;
    const int32_t *labels = call->in[1].data;
    const int64_t *clock = call->in[2].data;
    int64_t rows = call->in[0].shape.n, classes = call->in[0].shape.c;
    const aim a = {classes, (double)clock[GHL_CLOCK_TOTAL], (double)call->attr.loss.smoothing};
    int64_t count = ghl_cpu_min(rows, clock[GHL_CLOCK_COUNT] > 0 ? clock[GHL_CLOCK_COUNT] : 0);
    double(*score)[3] = scratch, *total = call->out[1].data;
    float *wide = (float *)(score + rows); /* bf16: logits, then errors, in f32 */
    const float *logits = half ? wide : call->in[0].data;
    float *e = half ? wide + rows * classes : call->out[0].data;
    for (int64_t i = 0; half && i < rows * classes; i++)
        wide[i] = ghl_get(call->in[0].data, i, 1);
    for (int64_t n = 0; n < count; n++)
        if (labels[n] < 0 || labels[n] >= classes)
            return ghl_fail(GHL_DATA, "labels are numbers from 0 up", "row %lld has label %d of %lld classes", (long long)n, labels[n],
                            (long long)classes);
#pragma omp parallel for schedule(static) if (count * classes > GHL_CPU_SMALL / 16)
    for (int64_t n = 0; n < count; n++)
        row_loss(&a, logits + n * classes, labels[n], e + n * classes, score[n]);
    memset(e + count * classes, 0, (size_t)((rows - count) * classes) * sizeof *e);
    for (int64_t i = 0; half && i < rows * classes; i++)
        ghl_put(call->out[0].data, i, e[i], 1);
    memset(total, 0, 4 * sizeof *total);
    for (int64_t n = 0; n < count; n++)
        for (int i = 0; i < 3; i++)
            total[i] += score[n][i];
    total[GHL_RESULT_COUNT] = (double)count;
    return GHL_OK;
}
