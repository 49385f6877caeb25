/* SPDX-License-Identifier: Apache-2.0
 *
 * loss.c - softmax cross entropy with its error and its counts of hits:
 *
 *     L = sum over rows of (log sum exp(z) - <q, z>),   e = (softmax(z) - q) / total,   q = (1 - s) one hot + s / K
 *
 * s smooths the labels (Szegedy et al. 2016, section 7; as PyTorch's CrossEntropyLoss). The label's rank is the number of classes
 * before it. Comparisons are the negated ones, so that a NaN logit comes before the label.
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

typedef struct aim {
    int64_t classes;
    double total, smoothing;
} aim;

/* <q, z>. Without smoothing the other logits do not count, be they infinite. */
static double aimed_at(const aim *a, const float *z, int64_t label)
{
    double all = 0.0;
    for (int64_t k = 0; a->smoothing > 0.0 && k < a->classes; k++)
        all += z[k];
    return a->smoothing > 0.0 ? (1.0 - a->smoothing) * z[label] + a->smoothing / (double)a->classes * all : z[label];
}

/* One row: its error goes to e; its loss and hits are added to score. */
static void row_loss(const aim *a, const float *z, int64_t label, float *e, double *score)
{
    const int64_t classes = a->classes;
    const double share = a->smoothing / (double)classes;
    double highest = z[0], sum = 0.0;
    for (int64_t k = 1; k < classes; k++)
        highest = z[k] > highest ? z[k] : highest;
    for (int64_t k = 0; k < classes; k++)
        sum += exp(z[k] - highest);
    for (int64_t k = 0; k < classes; k++)
        e[k] = (float)((exp(z[k] - highest) / sum - (k == label ? 1.0 - a->smoothing + share : share)) / a->total);
    int64_t rank = rank_of(z, classes, label);
    score[GHL_RESULT_LOSS] += log(sum) + highest - aimed_at(a, z, label);
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
    const aim a = {classes, (double)clock[GHL_CLOCK_TOTAL], call->attr.loss.smoothing};
    float *e = ghl_ref_out(call, 0);
    double score[4] = {0};
    memset(e, 0, (size_t)(rows * classes) * sizeof *e);
    for (int64_t n = 0; n < rows && n < clock[GHL_CLOCK_COUNT]; n++) {
        if (labels[n] < 0 || labels[n] >= classes)
            return ghl_fail(GHL_DATA, "labels are numbers from 0 up", "row %lld has label %d of %lld classes", (long long)n, labels[n],
                            (long long)classes);
        row_loss(&a, logits + n * classes, labels[n], e + n * classes, score);
    }
    memcpy(call->out[1].data, score, sizeof score);
    return GHL_OK;
}
