/* SPDX-License-Identifier: Apache-2.0
 *
 * loss.cu - softmax cross entropy with its error and its counts of hits, and labels as responses. A warp does a row, in f64; the rows'
 * scores are added up in order by one warp more.
 *
 *     L = sum over rows of (log sum exp(z) - <q, z>),   e = (softmax(z) - q) / total,   q = (1 - s) one hot + s / K
 */
#include "device/cuda/kernel.h"

/* Whether row n has a label among so many classes; where it has not, the job is reported as failed. */
GHL_INLINE int labelled(const ghl_cuda_args *a, int n, int label, int classes)
{
    if (label >= 0 && label < classes)
        return 1;
    if (atomicCAS(&a->fault->seen, 0, 1) == 0) {
        a->fault->row = n;
        a->fault->label = label;
        a->fault->classes = classes;
    }
    return 0;
}

/* Classes before the label; comparisons are the negated ones, so that a NaN logit comes before it. */
GHL_INLINE int rank_of(const ghl_cuda_args *a, int row, int label, int half)
{
    const int classes = a->in[0].c;
    const float own = ghl_get(a->in[0].data, row * classes + label, half);
    float before = 0.0f;
    for (int k = (int)threadIdx.x % 32; k < classes; k += 32) {
        const float z = ghl_get(a->in[0].data, row * classes + k, half);
        before += k != label && (k < label ? !(z < own) : !(z <= own)) ? 1.0f : 0.0f;
    }
    before = ghl_lanes_sum(before, 32);
    return own != own ? classes : (int)before;
}

GHL_INLINE void loss_row(const ghl_cuda_args *a, int row, int half)
{
    const int classes = a->in[0].c, lane = (int)threadIdx.x % 32, label = ((const int32_t *)a->in[1].data)[row];
    const int64_t *clock = (const int64_t *)a->in[2].data;
    const double smoothing = (double)a->attr.loss.smoothing, share = smoothing / (double)classes;
    double *score = (double *)a->scratch + 4 * row, all = 0.0;
    const int counts = row < clock[GHL_CLOCK_COUNT] && labelled(a, row, label, classes);
    float most = -INFINITY;
    double sum = 0.0;
    for (int k = lane; k < classes; k += 32) {
        const float z = ghl_get(a->in[0].data, row * classes + k, half);
        most = z > most ? z : most;
    }
    for (int o = 16; o > 0; o /= 2) {
        const float other = __shfl_xor_sync(GHL_ALL_LANES, most, o);
        most = other > most ? other : most;
    }
    for (int k = lane; k < classes; k += 32) {
        const double z = (double)ghl_get(a->in[0].data, row * classes + k, half);
        sum += exp(z - (double)most);
        all += z;
    }
    sum = ghl_lanes_sum_double(sum, 32);
    all = ghl_lanes_sum_double(all, 32);
    for (int k = lane; k < classes; k += 32) {
        const double q = exp((double)ghl_get(a->in[0].data, row * classes + k, half) - (double)most) / sum;
        const double e = (q - (k == label ? 1.0 - smoothing + share : share)) / (double)clock[GHL_CLOCK_TOTAL];
        ghl_put(a->out[0].data, row * classes + k, counts ? (float)e : 0.0f, half);
    }
    const int rank = rank_of(a, row, counts ? label : 0, half);
    if (lane != 0)
        return;
    double aimed = counts ? (double)ghl_get(a->in[0].data, row * classes + label, half) : 0.0;
    if (smoothing > 0.0) /* else the other logits do not count, be they infinite */
        aimed = (1.0 - smoothing) * aimed + share * all;
    score[GHL_RESULT_LOSS] = counts ? log(sum) + (double)most - aimed : 0.0;
    score[GHL_RESULT_TOP1] = counts && rank < 1 ? 1.0 : 0.0;
    score[GHL_RESULT_TOP5] = counts && rank < 5 ? 1.0 : 0.0;
    score[GHL_RESULT_COUNT] = counts ? 1.0 : 0.0;
}

GHL_INLINE void loss_rows(const ghl_cuda_args *a, int half)
{
    for (int row = ghl_thread() / 32; row < a->in[0].n; row += ghl_threads() / 32)
        loss_row(a, row, half);
}
GHL_HALF_KERNEL(loss_kernel, loss_rows)

GHL_KERNEL loss_finish(const __grid_constant__ ghl_cuda_args a)
{
    if (threadIdx.x >= 32)
        return;
    for (int i = 0; i < 4; i++) {
        double sum = 0.0;
        for (int row = (int)threadIdx.x; row < a.in[0].n; row += 32)
            sum += ((const double *)a.scratch)[4 * row + i];
        sum = ghl_lanes_sum_double(sum, 32);
        if (threadIdx.x == 0)
            ((double *)a.out[1].data)[i] = sum;
    }
}

void ghl_cuda_softmax_cross_entropy(const ghl_call *call, ghl_cuda_plan *plan)
{
    ghl_cuda_spread(plan, loss_kernel, 32 * call->in[0].shape.n, 1);
    ghl_cuda_add_launch(plan, loss_finish, 1, 1);
    plan->scratch_bytes = 4 * (size_t)call->in[0].shape.n * sizeof(double);
}

GHL_INLINE void one_hot_elements(const ghl_cuda_args *a, int half)
{
    const int64_t *clock = (const int64_t *)a->in[1].data;
    const int classes = a->out[0].c;
    GHL_EACH(i, a->out[0].count) {
        const int n = i / classes, label = ((const int32_t *)a->in[0].data)[n];
        const int counts = n < clock[GHL_CLOCK_COUNT] && labelled(a, n, label, classes);
        ghl_put(a->out[0].data, i, counts && i - n * classes == label ? 1.0f : 0.0f, half);
    }
}
GHL_HALF_KERNEL(one_hot_kernel, one_hot_elements)

void ghl_cuda_one_hot(const ghl_call *call, ghl_cuda_plan *plan)
{
    ghl_cuda_spread(plan, one_hot_kernel, ghl_cuda_elements(&call->out[0]), 1);
}
