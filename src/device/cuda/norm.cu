/* SPDX-License-Identifier: Apache-2.0
 *
 * norm.cu - batch normalisation over N, H and W (Ioffe & Szegedy 2015) with its fused forms, and sums over positions.
 *
 *     z = xhat scale + shift,   dL/dx = scale / sqrt(variance + epsilon) (e - sum_e / M - xhat sum_ex / M)
 *
 * Statistics are taken in one pass, of x less the channel's first value, so that a large mean costs no digits. A thread keeps to its
 * channels, whose numbers stay in registers.
 */
#include "device/cuda/sums.h"

/* ---- Statistics ---- */

GHL_INLINE void statistics_slice(const ghl_cuda_args *a, int width, int half)
{
    const int channels = a->in[0].c;
    const ghl_tile t = ghl_tile_of(a->in[0].count / channels, channels, width);
    float pivot[8] = {0}, x[8], sum[8] = {0}, squares[8] = {0};
    if (t.c < channels)
        ghl_get_some(a->in[0].data, t.c, width, half, pivot);
    for (int m = t.first; m < t.end; m += t.step) {
        ghl_get_some(a->in[0].data, m * channels + t.c, width, half, x);
        for (int j = 0; j < width; j++) {
            const float d = x[j] - pivot[j];
            sum[j] += d;
            squares[j] += d * d;
        }
    }
    ghl_tile_sums(a, &t, channels, width, sum, squares);
}
GHL_WIDE_KERNEL(statistics_kernel, statistics_slice, a.in[0].c)

GHL_KERNEL statistics_finish(const __grid_constant__ ghl_cuda_args a)
{
    const int c = ghl_warp(), channels = a.in[0].c;
    if (c >= channels)
        return;
    const double m = (double)(a.in[0].count / channels);
    const double mean = ghl_slices_sum(&a, 0, c, channels) / m, squares = ghl_slices_sum(&a, 1, c, channels) / m;
    const double variance = squares - mean * mean;
    if (threadIdx.x % 32 == 0) {
        GHL_OUT(&a, 0)[c] = (float)((double)ghl_get(a.in[0].data, c, a.half) + mean);
        GHL_OUT(&a, 1)[c] = variance < 0.0 ? 0.0f : (float)variance;
    }
}

void ghl_cuda_batch_norm_statistics(const ghl_call *call, ghl_cuda_plan *plan)
{
    const ghl_shape s = call->in[0].shape;
    ghl_cuda_plan_sums(plan, statistics_kernel, statistics_finish, s.n * s.h * s.w, (int)s.c, ghl_cuda_width(s.c));
}

/* ---- A thread's channels ---- */

typedef struct norm_values {
    float mean[8], inverse[8], scale[8], shift[8];
} norm_values;

/* in[x + 1 ..]: mean, variance, scale; in[shift]: shift. */
GHL_INLINE norm_values norm_of(const ghl_cuda_args *a, int x, int shift, int c, int width)
{
    norm_values n;
    for (int j = 0; j < width; j++) {
        n.mean[j] = GHL_IN(a, x + 1)[c + j];
        n.inverse[j] = 1.0f / sqrtf(GHL_IN(a, x + 2)[c + j] + a->attr.norm.epsilon);
        n.scale[j] = GHL_IN(a, x + 3) != NULL ? GHL_IN(a, x + 3)[c + j] : 1.0f;
        n.shift[j] = GHL_IN(a, shift) != NULL ? GHL_IN(a, shift)[c + j] : 0.0f;
    }
    return n;
}

GHL_INLINE float normalised(const ghl_cuda_args *a, const norm_values *n, float x, int j)
{
    return a->attr.norm.from_output ? x : (x - n->mean[j]) * n->inverse[j];
}

/* What relu sees; the same words forward and backward, so that both see the same sign. */
GHL_INLINE float normed(const norm_values *n, float xhat, int j)
{
    return xhat * n->scale[j] + n->shift[j];
}

/* Packs first, first + step .. < end of a thread that keeps to one pack of channels; none where first >= step. */
typedef struct lane {
    int first, step, end, c;
} lane;

GHL_INLINE lane lane_of(const ghl_cuda_args *a, int channels, int width)
{
    const int packs = channels / width;
    lane l;
    l.first = ghl_thread();
    l.step = ghl_threads() / packs * packs;
    l.end = l.first < l.step ? a->out[0].count / width : 0;
    l.c = l.first % packs * width;
    return l;
}

GHL_INLINE void norm_apply(const ghl_cuda_args *a, int width, int half)
{
    const lane l = lane_of(a, a->in[0].c, width);
    const norm_values n = norm_of(a, 0, 4, l.c, width);
    const void *addend = a->in[5].data;
    float x[8], more[8] = {0};
    for (int i = l.first; i < l.end; i += l.step) {
        ghl_get_some(a->in[0].data, i * width, width, half, x);
        if (addend != NULL)
            ghl_get_some(addend, i * width, width, half, more);
        for (int j = 0; j < width; j++) {
            const float y = normed(&n, (x[j] - n.mean[j]) * n.inverse[j], j) + (addend != NULL ? more[j] : 0.0f);
            x[j] = a->attr.norm.relu && y <= 0.0f ? 0.0f : y;
        }
        ghl_put_some(a->out[0].data, i * width, width, x, half);
    }
}
GHL_WIDE_KERNEL(norm_kernel, norm_apply, a.in[0].c)

void ghl_cuda_batch_norm(const ghl_call *call, ghl_cuda_plan *plan)
{
    ghl_cuda_spread(plan, norm_kernel, ghl_cuda_elements(&call->in[0]), ghl_cuda_width(call->in[0].shape.c));
}

/* ---- Backward ---- */

GHL_INLINE void norm_sums_slice(const ghl_cuda_args *a, int width, int half)
{
    const int channels = a->in[1].c;
    const ghl_tile t = ghl_tile_of(a->in[1].count / channels, channels, width);
    const norm_values n = norm_of(a, 1, 5, t.c < channels ? t.c : 0, width);
    float e[8], x[8], other[8], sum[8] = {0}, along[8] = {0};
    for (int m = t.first; m < t.end; m += t.step) {
        const int i = m * channels + t.c;
        ghl_get_some(a->in[0].data, i, width, half, e);
        ghl_get_some(a->in[1].data, i, width, half, x);
        if (a->in[6].data != NULL) {
            ghl_get_some(a->in[6].data, i, width, half, other);
            for (int j = 0; j < width; j++)
                e[j] += other[j];
        }
        if (a->in[7].data != NULL) {
            ghl_get_some(a->in[7].data, i, width, half, other);
            for (int j = 0; j < width; j++)
                e[j] = other[j] <= 0.0f ? 0.0f : e[j];
        }
        for (int j = 0; j < width; j++) {
            const float xhat = normalised(a, &n, x[j], j);
            e[j] = a->attr.norm.relu && normed(&n, xhat, j) <= 0.0f ? 0.0f : e[j];
            sum[j] += e[j];
            along[j] += e[j] * xhat;
        }
        if (a->out[2].data != NULL)
            ghl_put_some(a->out[2].data, i, width, e, half);
    }
    ghl_tile_sums(a, &t, channels, width, sum, along);
}
GHL_WIDE_KERNEL(norm_sums_kernel, norm_sums_slice, a.in[1].c)

/* Both sums as they are. */
GHL_KERNEL sums_finish(const __grid_constant__ ghl_cuda_args a)
{
    const int c = ghl_warp(), channels = a.out[0].c;
    if (c >= channels)
        return;
    const double first = ghl_slices_sum(&a, 0, c, channels), second = ghl_slices_sum(&a, 1, c, channels);
    if (threadIdx.x % 32 != 0)
        return;
    GHL_OUT(&a, 0)[c] = (float)first;
    if (GHL_OUT(&a, 1) != NULL)
        GHL_OUT(&a, 1)[c] = (float)second;
}

void ghl_cuda_batch_norm_sums(const ghl_call *call, ghl_cuda_plan *plan)
{
    const ghl_shape s = call->in[1].shape;
    ghl_cuda_plan_sums(plan, norm_sums_kernel, sums_finish, s.n * s.h * s.w, (int)s.c, ghl_cuda_width(s.c));
}

GHL_INLINE void norm_backward(const ghl_cuda_args *a, int width, int half)
{
    const lane l = lane_of(a, a->in[1].c, width);
    const norm_values n = norm_of(a, 1, 7, l.c, width);
    const int sums = a->in[5].data != NULL;
    const float share = 1.0f / (float)(a->in[1].count / a->in[1].c);
    float mean_e[8], mean_ex[8], e[8], x[8];
    for (int j = 0; j < width; j++) {
        mean_e[j] = sums ? GHL_IN(a, 5)[l.c + j] * share : 0.0f;
        mean_ex[j] = sums ? GHL_IN(a, 6)[l.c + j] * share : 0.0f;
    }
    for (int i = l.first; i < l.end; i += l.step) {
        ghl_get_some(a->in[0].data, i * width, width, half, e);
        ghl_get_some(a->in[1].data, i * width, width, half, x);
        for (int j = 0; j < width; j++) {
            const float xhat = normalised(a, &n, x[j], j);
            float d = a->attr.norm.relu && normed(&n, xhat, j) <= 0.0f ? 0.0f : e[j];
            if (sums)
                d -= mean_e[j] + xhat * mean_ex[j];
            e[j] = n.scale[j] * n.inverse[j] * d;
        }
        ghl_put_some(a->out[0].data, i * width, width, e, half);
    }
}
GHL_WIDE_KERNEL(norm_backward_kernel, norm_backward, a.in[1].c)

void ghl_cuda_batch_norm_backward(const ghl_call *call, ghl_cuda_plan *plan)
{
    ghl_cuda_spread(plan, norm_backward_kernel, ghl_cuda_elements(&call->in[1]), ghl_cuda_width(call->in[1].shape.c));
}

/* ---- Sums of e, or of e u ---- */

GHL_INLINE void positions_slice(const ghl_cuda_args *a, int width, int half)
{
    const int channels = a->in[0].c;
    const ghl_tile t = ghl_tile_of(a->in[0].count / channels, channels, width);
    float e[8], u[8] = {0}, sum[8] = {0};
    for (int m = t.first; m < t.end; m += t.step) {
        ghl_get_some(a->in[0].data, m * channels + t.c, width, half, e);
        if (a->in[1].data != NULL)
            ghl_get_some(a->in[1].data, m * channels + t.c, width, half, u);
        for (int j = 0; j < width; j++)
            sum[j] += a->in[1].data != NULL ? e[j] * u[j] : e[j];
    }
    ghl_tile_sums(a, &t, channels, width, sum, sum);
}
GHL_WIDE_KERNEL(positions_kernel, positions_slice, a.in[0].c)

void ghl_cuda_sum_positions(const ghl_call *call, ghl_cuda_plan *plan)
{
    const ghl_shape s = call->in[0].shape;
    ghl_cuda_plan_sums(plan, positions_kernel, sums_finish, s.n * s.h * s.w, (int)s.c, ghl_cuda_width(s.c));
}

/* factor_c = sqrt((variance_c + epsilon) / (mean of variance + epsilon)); one block. The output may lie on the input. */
GHL_KERNEL variance_keeping_kernel(const __grid_constant__ ghl_cuda_args a)
{
    const int channels = a.in[0].c;
    double sum = 0.0;
    for (int c = (int)threadIdx.x; c < channels; c += (int)blockDim.x)
        sum += (double)GHL_IN(&a, 0)[c];
    const double mean = ghl_block_sum(sum) / channels;
    for (int c = (int)threadIdx.x; c < channels; c += (int)blockDim.x)
        GHL_OUT(&a, 0)[c] = (float)sqrt(((double)GHL_IN(&a, 0)[c] + (double)a.attr.norm.epsilon) / (mean + (double)a.attr.norm.epsilon));
}

void ghl_cuda_variance_keeping(const ghl_call *call, ghl_cuda_plan *plan)
{
    (void)call;
    ghl_cuda_add_launch(plan, variance_keeping_kernel, 1, 1);
}
