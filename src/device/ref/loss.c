/* SPDX-License-Identifier: Apache-2.0
 *
 * loss.c - softmax cross entropy with its error and its counts of hits:
 *
 *     L = sum over rows of (log sum exp(z) - z_label),   e = (softmax(z) - one hot) / total
 *
 * The label's rank is the number of classes before it. Comparisons are the negated ones, so that a NaN logit comes before the label.
 */
#include <math.h>
#include <string.h>

#include "device/ref/ref.h"

static int64_t rank_of(const float *z, int64_t classes, int64_t label)
{
    int64_t before = 0;
    for (int64_t k = 0; k < classes; k++)
        if (k != label && (k < label ? !(z[k] < z[label]) : !(z[k] <= z[label])))
            before++;
    return isnan(z[label]) ? classes : before;
}

/* One row: its error goes to e; its loss and hits are added to score. */
static void row_loss(const float *z, int64_t classes, int64_t label, double total, float *e, double *score)
{
    double highest = z[0], sum = 0.0;
    for (int64_t k = 1; k < classes; k++)
        highest = z[k] > highest ? z[k] : highest;
    for (int64_t k = 0; k < classes; k++)
        sum += exp(z[k] - highest);
    for (int64_t k = 0; k < classes; k++)
        e[k] = (float)((exp(z[k] - highest) / sum - (k == label ? 1.0 : 0.0)) / total);
    int64_t rank = rank_of(z, classes, label);
    score[GHL_RESULT_LOSS] += log(sum) + highest - z[label];
    score[GHL_RESULT_TOP1] += rank < 1;
    score[GHL_RESULT_TOP5] += rank < 5;
    score[GHL_RESULT_COUNT] += 1.0;
}

ghl_status ghl_ref_softmax_cross_entropy(const ghl_call *call)
{
    const float *logits = ghl_ref_in(call, 0);
    const int32_t *labels = call->in[1].data;
    const int64_t *clock = call->in[2].data;
    const int64_t rows = call->in[0].shape.n, classes = call->in[0].shape.c;
    float *e = ghl_ref_out(call, 0);
    double score[4] = {0};
    memset(e, 0, (size_t)(rows * classes) * sizeof *e);
    for (int64_t n = 0; n < rows && n < clock[GHL_CLOCK_COUNT]; n++) {
        if (labels[n] < 0 || labels[n] >= classes)
            return ghl_fail(GHL_DATA, "labels are numbers from 0 up", "row %lld has label %d of %lld classes", (long long)n, labels[n],
                            (long long)classes);
        row_loss(logits + n * classes, classes, labels[n], (double)clock[GHL_CLOCK_TOTAL], e + n * classes, score);
    }
    memcpy(call->out[1].data, score, sizeof score);
    return GHL_OK;
}
