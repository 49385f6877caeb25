/* SPDX-License-Identifier: Apache-2.0
 *
 * column.cu - ops that look at all channels of one position. Some lanes of a warp, a power of two, share a column; the columns of a warp
 * are gone through together, so that all lanes meet in every sum.
 *
 *     softmax:   r = exp(t u - max) / sum,    similarity: c = (u - bias) / (|w| |x|),  s = ((c + 1) / 2)^2,  r = z(s)^2
 */
#include "device/cuda/sums.h"

/* Lanes of a column of so many channels. */
GHL_SHARED_FUNCTION int lanes_of(int channels, int width)
{
    return ghl_sums_lanes((channels + width - 1) / width);
}

/* Columns m, m + step, ... until `rounds` are done; a column past the last is looked at as the last, and not written. */
typedef struct group {
    int lanes, lane, m, step, rounds;
} group;

GHL_INLINE group group_of(int columns, int channels, int width)
{
    group g;
    g.lanes = lanes_of(channels, width);
    g.lane = (int)threadIdx.x % g.lanes;
    g.m = ghl_thread() / g.lanes;
    g.step = ghl_threads() / g.lanes;
    g.rounds = (columns + g.step - 1) / g.step;
    return g;
}

static void plan_columns(ghl_cuda_plan *plan, ghl_cuda_kernel *kernel, const ghl_operand *u, int width)
{
    const int64_t columns = ghl_cuda_elements(u) / u->shape.c;
    ghl_cuda_spread(plan, kernel, columns * lanes_of((int)u->shape.c, width), 1);
}

/* The larger value, the lower channel among equals; NaN before all. */
GHL_INLINE int beats(float value, int at, float best, int best_at)
{
    if (value != value || best != best)
        return value != value && (best == best || at < best_at);
    return value > best || (value == best && at < best_at);
}

GHL_INLINE void lanes_winner(float *best, int *at, int lanes)
{
    for (int o = lanes / 2; o > 0; o /= 2) {
        const float other = __shfl_xor_sync(GHL_ALL_LANES, *best, o);
        const int other_at = __shfl_xor_sync(GHL_ALL_LANES, *at, o);
        if (beats(other, other_at, *best, *at)) {
            *best = other;
            *at = other_at;
        }
    }
}

/* Of column m: the largest, by one lane's channels and then by all lanes'. */
GHL_INLINE void column_winner(const void *u, int m, int channels, const group *g, int width, int half, float *best, int *at)
{
    float v[8];
    *best = -INFINITY;
    *at = channels;
    for (int k = g->lane * width; k < channels; k += g->lanes * width) {
        ghl_get_some(u, m * channels + k, width, half, v);
        for (int j = 0; j < width; j++)
            if (beats(v[j], k + j, *best, *at)) {
                *best = v[j];
                *at = k + j;
            }
    }
    lanes_winner(best, at, g->lanes);
}

/* ---- Softmax ---- */

GHL_INLINE float softmax_value(float q, int winner, int losers)
{
    if (losers == GHL_LOSERS_SOFT)
        return q;
    if (losers == GHL_LOSERS_NEGATIVE)
        return winner ? q : -q;
    return q != q ? q : winner ? 1.0f : 0.0f;
}

GHL_INLINE void softmax_columns(const ghl_cuda_args *a, int width, int half)
{
    const int channels = a->in[0].c, columns = a->in[0].count / channels;
    const float t = a->attr.softmax.inverse_temperature;
    group g = group_of(columns, channels, width);
    for (int round = 0; round < g.rounds; round++, g.m += g.step) {
        const int m = g.m < columns ? g.m : columns - 1;
        float v[8], best, sum = 0.0f;
        int winner;
        column_winner(a->in[0].data, m, channels, &g, width, half, &best, &winner);
        const float highest = t * best;
        for (int k = g.lane * width; k < channels; k += g.lanes * width) {
            ghl_get_some(a->in[0].data, m * channels + k, width, half, v);
            for (int j = 0; j < width; j++)
                sum += expf(t * v[j] - highest);
        }
        const float share = 1.0f / ghl_lanes_sum(sum, g.lanes);
        for (int k = g.lane * width; k < channels && g.m < columns; k += g.lanes * width) {
            ghl_get_some(a->in[0].data, m * channels + k, width, half, v);
            for (int j = 0; j < width; j++)
                v[j] = softmax_value(expf(t * v[j] - highest) * share, k + j == winner, a->attr.softmax.losers);
            ghl_put_some(a->out[0].data, m * channels + k, width, v, half);
        }
    }
}
GHL_WIDE_KERNEL(softmax_kernel, softmax_columns, a.in[0].c)

void ghl_cuda_softmax_channels(const ghl_call *call, ghl_cuda_plan *plan)
{
    plan_columns(plan, softmax_kernel, &call->in[0], ghl_cuda_width(call->in[0].shape.c));
}

/* ---- Hard competition: the winner of each column, and sums by channel of what it won ---- */

GHL_INLINE void compete_columns(const ghl_cuda_args *a, int width, int half)
{
    const int channels = a->in[0].c, columns = a->in[0].count / channels;
    group g = group_of(columns, channels, width);
    for (int round = 0; round < g.rounds; round++, g.m += g.step) {
        float best;
        int winner;
        column_winner(a->in[0].data, g.m < columns ? g.m : columns - 1, channels, &g, width, half, &best, &winner);
        if (g.lane == 0 && g.m < columns) {
            GHL_OUT(a, 2)[g.m] = best;
            ((int32_t *)a->out[3].data)[g.m] = winner;
        }
    }
}
GHL_WIDE_KERNEL(compete_kernel, compete_columns, a.in[0].c)

GHL_KERNEL compete_slice(const __grid_constant__ ghl_cuda_args a)
{
    const int channels = a.in[0].c;
    const ghl_tile t = ghl_tile_of(a.in[0].count / channels, channels, 1);
    const int32_t *winners = (const int32_t *)a.out[3].data;
    float sum[1] = {0.0f}, squares[1] = {0.0f};
    for (int m = t.first; m < t.end; m += t.step) {
        const float v = winners[m] == t.c ? GHL_OUT(&a, 2)[m] : 0.0f;
        sum[0] += v;
        squares[0] += v * v;
    }
    ghl_tile_sums(&a, &t, channels, 1, sum, squares);
}

GHL_KERNEL channel_sums_finish(const __grid_constant__ ghl_cuda_args a)
{
    const int c = ghl_warp(), channels = a.in[0].c;
    if (c >= channels)
        return;
    const double first = ghl_slices_sum(&a, 0, c, channels), second = ghl_slices_sum(&a, 1, c, channels);
    if (threadIdx.x % 32 == 0) {
        GHL_OUT(&a, 0)[c] = (float)first;
        GHL_OUT(&a, 1)[c] = (float)second;
    }
}

void ghl_cuda_compete(const ghl_call *call, ghl_cuda_plan *plan)
{
    const ghl_shape s = call->in[0].shape;
    plan_columns(plan, compete_kernel, &call->in[0], ghl_cuda_width(s.c));
    ghl_cuda_plan_sums(plan, compete_slice, channel_sums_finish, s.n * s.h * s.w, (int)s.c, 1);
}

/* ---- Similarity. Of every column, in scratch after the sums: its largest s, or the last that wins, and the sum ---- */

GHL_INLINE float or_one(float v)
{
    return v == 0.0f ? 1.0f : v;
}

GHL_INLINE float similarity(const ghl_cuda_args *a, int m, int k, int half)
{
    const int channels = a->in[0].c;
    const float bias = GHL_IN(a, 3) != NULL ? GHL_IN(a, 3)[k] : 0.0f;
    const float cosine = (ghl_get(a->in[0].data, m * channels + k, half) - bias) / or_one(GHL_IN(a, 1)[m]) / or_one(GHL_IN(a, 2)[k]);
    const float root = (cosine + 1.0f) / 2.0f, s = root * root;
    return a->attr.similarity.variant == GHL_SIMILARITY_POWER && s < 1e-30f ? 1e-30f : s;
}

/* How far s is from the column's largest, as softmax or power counts it. */
GHL_INLINE float similar_share(const ghl_cuda_args *a, float s, float most)
{
    const float t = a->attr.similarity.strength;
    return a->attr.similarity.variant == GHL_SIMILARITY_POWER ? powf(s / most, t) : expf(t * (s - most));
}

/* The largest s of column m below `limit`, or of all where that is NaN, and how many equal it. */
GHL_INLINE float next_below(const ghl_cuda_args *a, int m, float limit, int lane, int half, int *equal)
{
    const int channels = a->in[0].c;
    float most = -1.0f;
    int count = 0;
    for (int k = lane; k < channels; k += 32) {
        const float s = similarity(a, m, k, half);
        if (!(s >= limit))
            most = ghl_most(most, s);
    }
    most = ghl_lanes_most(most, 32);
    for (int k = lane; k < channels; k += 32)
        count += similarity(a, m, k, half) == most;
    *equal = (int)ghl_lanes_sum((float)count, 32);
    return most;
}

GHL_INLINE float *similarity_columns_place(const ghl_cuda_args *a)
{
    return (float *)((double *)a->scratch + (int64_t)a->parts * 2 * a->in[0].c);
}

GHL_INLINE void similarity_columns(const ghl_cuda_args *a, int half)
{
    const int channels = a->in[0].c, columns = a->in[0].count / channels, lane = (int)threadIdx.x % 32;
    float *place = similarity_columns_place(a);
    for (int m = ghl_warp(); m < columns; m += ghl_threads() / 32) {
        int equal, found;
        float most = next_below(a, m, NAN, lane, half, &equal), sum = 0.0f;
        if (a->attr.similarity.variant == GHL_SIMILARITY_HARD) {
            for (found = equal; found < a->attr.similarity.winners && most == most; found += equal)
                most = next_below(a, m, most, lane, half, &equal);
        } else {
            for (int k = lane; k < channels; k += 32)
                sum += similar_share(a, similarity(a, m, k, half), most);
            sum = ghl_lanes_sum(sum, 32);
        }
        if (lane == 0) {
            place[2 * m] = most;
            place[2 * m + 1] = sum;
        }
    }
}
GHL_HALF_KERNEL(similarity_columns_kernel, similarity_columns)

GHL_INLINE void similarity_slice(const ghl_cuda_args *a, int half)
{
    const int channels = a->in[0].c;
    const ghl_tile t = ghl_tile_of(a->in[0].count / channels, channels, 1);
    const float *place = similarity_columns_place(a);
    float z_sum[1] = {0.0f}, r_sum[1] = {0.0f};
    for (int m = t.first; m < t.end; m += t.step) {
        const float s = similarity(a, m, t.c, half), most = place[2 * m];
        float z;
        if (a->attr.similarity.variant == GHL_SIMILARITY_HARD)
            z = most != most ? most : s >= most ? 1.0f : 0.0f;
        else
            z = similar_share(a, s, most) / place[2 * m + 1];
        z_sum[0] += z;
        r_sum[0] += z * z;
        ghl_put(a->out[2].data, m * channels + t.c, z * z, half);
    }
    ghl_tile_sums(a, &t, channels, 1, z_sum, r_sum);
}
GHL_HALF_KERNEL(similarity_slice_kernel, similarity_slice)

void ghl_cuda_similarity_response(const ghl_call *call, ghl_cuda_plan *plan)
{
    const ghl_shape s = call->in[0].shape;
    const int64_t columns = s.n * s.h * s.w;
    ghl_cuda_spread(plan, similarity_columns_kernel, 32 * columns, 1);
    ghl_cuda_plan_sums(plan, similarity_slice_kernel, channel_sums_finish, columns, (int)s.c, 1);
    plan->scratch_bytes += 2 * (size_t)columns * sizeof(float);
}

/* ---- Columns over their norms ---- */

GHL_INLINE float norm_of_column(const float *norms, int m)
{
    return sqrtf(norms[m] * norms[m] + 1e-8f);
}

GHL_INLINE void divide_pack(const ghl_cuda_args *a, int i, int half)
{
    const int channels = a->in[0].c;
    float v[8];
    ghl_load(a->in[0].data, i, a->out[0].count, half, v);
    for (int j = 0; j < 8 && i + j < a->out[0].count; j++) {
        const int m = (i + j) / channels, k = (i + j) - m * channels;
        v[j] = v[j] / norm_of_column(GHL_IN(a, 1), m) + (GHL_IN(a, 2) != NULL ? GHL_IN(a, 2)[k] : 0.0f);
    }
    ghl_store(a->out[0].data, i, a->out[0].count, v, half);
}
GHL_PACK_KERNEL(divide_kernel, divide_pack, a.out[0].count)

void ghl_cuda_divide_columns(const ghl_call *call, ghl_cuda_plan *plan)
{
    ghl_cuda_spread(plan, divide_kernel, ghl_cuda_elements(&call->out[0]), 8);
}

GHL_INLINE void divide_backward_columns(const ghl_cuda_args *a, int width, int half)
{
    const int channels = a->in[0].c, columns = a->in[0].count / channels;
    group g = group_of(columns, channels, width);
    for (int round = 0; round < g.rounds; round++, g.m += g.step) {
        const int m = g.m < columns ? g.m : columns - 1;
        float e[8], v[8], sum = 0.0f;
        for (int k = g.lane * width; k < channels; k += g.lanes * width) {
            ghl_get_some(a->in[0].data, m * channels + k, width, half, e);
            ghl_get_some(a->in[1].data, m * channels + k, width, half, v);
            for (int j = 0; j < width; j++)
                sum += e[j] * v[j];
        }
        sum = ghl_lanes_sum(sum, g.lanes);
        if (g.lane == 0 && g.m < columns) {
            const float norm = norm_of_column(GHL_IN(a, 2), m);
            GHL_OUT(a, 0)[m] = -sum / (norm * norm * norm);
        }
    }
}
GHL_WIDE_KERNEL(divide_backward_kernel, divide_backward_columns, a.in[0].c)

void ghl_cuda_divide_columns_backward(const ghl_call *call, ghl_cuda_plan *plan)
{
    plan_columns(plan, divide_backward_kernel, &call->in[0], ghl_cuda_width(call->in[0].shape.c));
}
