/* SPDX-License-Identifier: Apache-2.0
 *
 * weight.cu - ops on weights [K,R,S,C] and what the rules make of them: decays, scales, directions. Sums over a filter are a block's, which
 * adds in f32 what a thread sees and in f64 the threads; a maximum over a layer is that of parts, one a block.
 *
 *     d_k = p_k - <w_k,p_k> w_k,   h = |d| / (s + 1e-30),   v = h^power sign(g),   instar: d_k = f (p_k - a_k w_k) / b_k
 */
#include "device/cuda/sums.h"

/* Elements of filter k that a thread sees: width at a time, from `first` on, `step` apart, up to `end`. */
typedef struct filter {
    int first, step, end;
} filter;

GHL_INLINE filter filter_of(int group, int each, int width)
{
    filter f;
    f.first = group * each + (int)threadIdx.x * width;
    f.step = (int)blockDim.x * width;
    f.end = (group + 1) * each;
    return f;
}

/* Of a whole block: <x, y> over its filter. */
GHL_INLINE double filter_dot(const float *x, const float *y, const filter *f, int width)
{
    float a[8], b[8], sum = 0.0f;
    for (int i = f->first; i < f->end; i += f->step) {
        ghl_get_some(x, i, width, 0, a);
        ghl_get_some(y, i, width, 0, b);
        for (int j = 0; j < width; j++)
            sum += a[j] * b[j];
    }
    return ghl_block_sum((double)sum);
}

/* Both kernels `name` of a body that goes through filter `block`: void body(const ghl_cuda_args *a, int k, int width). */
#define GHL_FILTER_KERNEL(name, body)                 \
    GHL_GROUP_KERNEL(name)                            \
    {                                                 \
        if (a->in[0].count / a->in[0].n % 8 == 0)     \
            body(a, block, 8);                        \
        else                                          \
            body(a, block, 1);                        \
    }

static void plan_filters(ghl_cuda_plan *plan, ghl_cuda_kernel *kernel, const ghl_call *call)
{
    ghl_cuda_add_launch(plan, kernel, (int)call->in[0].shape.n, 1);
}

/* ---- Oja ---- */

GHL_INLINE void oja_decay_filter(const ghl_cuda_args *a, int k, int width)
{
    const filter f = filter_of(k, a->in[0].count / a->in[0].n, width);
    const float product = (float)filter_dot(GHL_IN(a, 0), GHL_IN(a, 1), &f, width);
    float p[8], w[8];
    for (int i = f.first; i < f.end; i += f.step) {
        ghl_get_some(a->in[0].data, i, width, 0, p);
        ghl_get_some(a->in[1].data, i, width, 0, w);
        for (int j = 0; j < width; j++)
            p[j] -= product * w[j];
        ghl_put_some(a->out[0].data, i, width, p, 0);
    }
}
GHL_FILTER_KERNEL(oja_decay_kernel, oja_decay_filter)

void ghl_cuda_oja_decay(const ghl_call *call, ghl_cuda_plan *plan)
{
    plan_filters(plan, oja_decay_kernel, call);
    ghl_cuda_add_grouped(plan, oja_decay_kernel_group);
}

GHL_INLINE float rate_of(float norm, float power)
{
    return powf(fabsf(norm - 1.0f) + 1e-10f, power);
}

GHL_INLINE void oja_scale_filter(const ghl_cuda_args *a, int k, int width)
{
    const filter f = filter_of(k, a->in[0].count / a->in[0].n, width);
    const float decay = (float)filter_dot(GHL_IN(a, 0), GHL_IN(a, 1), &f, width);
    float p[8], w[8], most = 0.0f;
    for (int i = f.first; i < f.end; i += f.step) {
        ghl_get_some(a->in[0].data, i, width, 0, p);
        ghl_get_some(a->in[1].data, i, width, 0, w);
        for (int j = 0; j < width; j++)
            most = ghl_most(most, fabsf(p[j] - decay * w[j]));
    }
    most = ghl_block_most(most);
    double squares = 0.0;
    if (a->out[2].data != NULL)
        squares = filter_dot(GHL_IN(a, 1), GHL_IN(a, 1), &f, width);
    if (threadIdx.x != 0)
        return;
    GHL_OUT(a, 0)[k] = decay;
    ((float *)a->scratch)[k] = most;
    if (a->out[2].data != NULL)
        GHL_OUT(a, 2)[k] = (float)pow(fabs((double)(float)sqrt(squares) - 1.0) + 1e-10, (double)a->attr.ascent.power);
}
GHL_FILTER_KERNEL(oja_scale_kernel, oja_scale_filter)

/* The largest of scratch [parts], by one block. */
GHL_INLINE float parts_most(const ghl_cuda_args *a)
{
    float most = 0.0f;
    for (int i = (int)threadIdx.x; i < a->parts; i += (int)blockDim.x)
        most = ghl_most(most, ((const float *)a->scratch)[i]);
    return ghl_block_most(most);
}

GHL_GROUP_KERNEL(oja_scale_finish)
{
    const float most = parts_most(a);
    if (threadIdx.x == 0)
        GHL_OUT(a, 1)[0] = most;
}

void ghl_cuda_oja_scale(const ghl_call *call, ghl_cuda_plan *plan)
{
    plan_filters(plan, oja_scale_kernel, call);
    ghl_cuda_add_grouped(plan, oja_scale_kernel_group);
    plan->parts = (int)call->in[0].shape.n;
    plan->scratch_bytes = (size_t)plan->parts * sizeof(float);
    ghl_cuda_add_launch(plan, oja_scale_finish, 1, 1);
    ghl_cuda_add_grouped(plan, oja_scale_finish_group);
}

/* ---- Eight elements a thread, each with the numbers of its filter ---- */

GHL_INLINE void instar_decay_pack(const ghl_cuda_args *a, int i)
{
    const int count = a->out[0].count, fan_in = count / a->out[0].n;
    float p[8], w[8];
    ghl_load(a->in[0].data, i, count, 0, p);
    ghl_load(a->in[1].data, i, count, 0, w);
    for (int j = 0; j < 8 && i + j < count; j++) {
        const int k = (i + j) / fan_in;
        const float by = GHL_IN(a, 3) != NULL && GHL_IN(a, 3)[k] != 0.0f ? GHL_IN(a, 3)[k] : 1.0f;
        p[j] = a->attr.decay.factor * (p[j] - GHL_IN(a, 2)[k] * w[j]) / by;
    }
    ghl_store(a->out[0].data, i, count, p, 0);
}
GHL_GROUP_PACKS(instar_decay)

GHL_INLINE void ascent_pack(const ghl_cuda_args *a, int i)
{
    const int count = a->out[0].count, fan_in = count / a->out[0].n;
    const float by = GHL_IN(a, 1) != NULL ? *GHL_IN(a, 1) + 1e-30f : 1.0f;
    float d[8];
    ghl_load(a->in[0].data, i, count, 0, d);
    for (int j = 0; j < 8 && i + j < count; j++)
        d[j] = -(GHL_IN(a, 2) != NULL ? rate_of(GHL_IN(a, 2)[(i + j) / fan_in], a->attr.ascent.power) : 1.0f) * d[j] / by;
    ghl_store(a->out[0].data, i, count, d, 0);
}
GHL_GROUP_PACKS(ascent)

/* (|d| / s)^power; powers of NaN are NaN here. */
GHL_INLINE float magnitude(const ghl_cuda_args *a, float d, float s)
{
    const float clip = a->attr.direction.clip, power = a->attr.direction.power;
    float h = fabsf(d) / (s + 1e-30f);
    if (clip > 0.0f && h > clip)
        h = clip;
    return h != h || power == 1.0f ? h : powf(h, power);
}

GHL_INLINE void direction_pack(const ghl_cuda_args *a, int i)
{
    const int count = a->out[0].count, each = a->in[2].data != NULL ? count / a->in[2].count : count;
    float g[8], d[8] = {0};
    ghl_load(a->in[0].data, i, count, 0, g);
    if (a->in[1].data != NULL)
        ghl_load(a->in[1].data, i, count, 0, d);
    for (int j = 0; j < 8 && i + j < count; j++) {
        const float sign = g[j] != g[j] ? g[j] : (float)((g[j] > 0.0f) - (g[j] < 0.0f));
        g[j] = a->in[1].data != NULL ? magnitude(a, d[j], GHL_IN(a, 2)[(i + j) / each]) * sign : sign;
    }
    ghl_store(a->out[0].data, i, count, g, 0);
}
GHL_GROUP_PACKS(direction)

/* ---- Scales: a block a neuron; or parts of the layer, and one block more ---- */

/* Of elements begin .. end - 1, by the block: the largest size, or the sum of squares. Packs are aligned where `begin` is. */
GHL_INLINE double block_statistic(const ghl_cuda_args *a, int begin, int end)
{
    const int pack = begin % 8 == 0 ? 8 : 1;
    float most = 0.0f, squares = 0.0f, d[8] = {0};
    for (int i = begin + pack * (int)threadIdx.x; i < end; i += pack * (int)blockDim.x) {
        if (pack == 8)
            ghl_load(a->in[0].data, i, end, 0, d);
        else
            d[0] = GHL_IN(a, 0)[i];
        for (int j = 0; j < pack; j++) {
            most = ghl_most(most, fabsf(d[j]));
            squares += d[j] * d[j];
        }
    }
    return a->attr.scale.statistic == GHL_SCALE_MAX ? (double)ghl_block_most(most) : ghl_block_sum((double)squares);
}

GHL_INLINE float scale_of(const ghl_cuda_args *a, double statistic, int elements)
{
    if (a->attr.scale.statistic == GHL_SCALE_MAX)
        return (float)statistic;
    return (float)sqrt(a->attr.scale.statistic == GHL_SCALE_RMS ? statistic / elements : statistic);
}

GHL_GROUP_KERNEL(scale_neuron_kernel)
{
    const int each = a->in[0].count / a->out[0].count;
    const double statistic = block_statistic(a, block * each, (block + 1) * each);
    if (threadIdx.x == 0)
        GHL_OUT(a, 0)[block] = scale_of(a, statistic, each);
}

/* Where a part begins: at a pack. */
GHL_INLINE int scale_part(const ghl_cuda_args *a, int part)
{
    const int64_t packs = (a->in[0].count + 7) / 8;
    return (int)(packs * part / a->parts) * 8;
}

GHL_GROUP_KERNEL(scale_parts_kernel)
{
    const int count = a->in[0].count, end = scale_part(a, block + 1);
    const double statistic = block_statistic(a, scale_part(a, block), end < count ? end : count);
    if (threadIdx.x == 0)
        ((double *)a->scratch)[block] = statistic;
}

GHL_GROUP_KERNEL(scale_finish)
{
    float most = 0.0f;
    double sum = 0.0;
    for (int i = (int)threadIdx.x; i < a->parts; i += (int)blockDim.x) {
        most = ghl_most(most, (float)((const double *)a->scratch)[i]);
        sum += ((const double *)a->scratch)[i];
    }
    const double statistic = a->attr.scale.statistic == GHL_SCALE_MAX ? (double)ghl_block_most(most) : ghl_block_sum(sum);
    if (threadIdx.x == 0)
        GHL_OUT(a, 0)[0] = scale_of(a, statistic, a->in[0].count);
}

void ghl_cuda_scale(const ghl_call *call, ghl_cuda_plan *plan)
{
    if (call->attr.scale.scope == GHL_SCOPE_NEURON) {
        ghl_cuda_add_launch(plan, scale_neuron_kernel, ghl_cuda_elements(&call->out[0]), 1);
        ghl_cuda_add_grouped(plan, scale_neuron_kernel_group);
        return;
    }
    plan->parts = ghl_cuda_cut(ghl_cuda_elements(&call->in[0]), 16 * GHL_CUDA_THREADS);
    plan->parts = plan->parts < GHL_CUDA_BLOCKS ? plan->parts : GHL_CUDA_BLOCKS;
    plan->scratch_bytes = (size_t)plan->parts * sizeof(double);
    ghl_cuda_add_launch(plan, scale_parts_kernel, plan->parts, 1);
    ghl_cuda_add_grouped(plan, scale_parts_kernel_group);
    ghl_cuda_add_launch(plan, scale_finish, 1, 1);
    ghl_cuda_add_grouped(plan, scale_finish_group);
}

/* ---- Weights that count by their direction: a block a filter, or a warp a tap ---- */

GHL_INLINE double lanes_dot(const float *x, const float *y, int begin, int each)
{
    float sum = 0.0f;
    for (int i = (int)threadIdx.x % 32; i < each; i += 32)
        sum += x[begin + i] * y[begin + i];
    return ghl_lanes_sum_double((double)sum, 32);
}

GHL_INLINE float counted_norm(double squares)
{
    const double norm = sqrt(squares);
    return norm <= 1e-12 ? 1.0f : (float)norm;
}

GHL_INLINE void normalise_elements(const ghl_cuda_args *a, int first, int step, int end, double squares)
{
    const float norm = counted_norm(squares);
    for (int i = first; i < end; i += step)
        GHL_OUT(a, 0)[i] = GHL_IN(a, 0)[i] / norm;
}

GHL_KERNEL normalise_taps(const __grid_constant__ ghl_cuda_args a)
{
    const int each = a.in[0].c, groups = a.in[0].count / each;
    for (int tap = ghl_warp(); tap < groups; tap += ghl_threads() / 32)
        normalise_elements(&a, tap * each + (int)threadIdx.x % 32, 32, (tap + 1) * each,
                           lanes_dot(GHL_IN(&a, 0), GHL_IN(&a, 0), tap * each, each));
}

GHL_KERNEL normalise_filters(const __grid_constant__ ghl_cuda_args a)
{
    const filter f = filter_of((int)blockIdx.x, a.in[0].count / a.in[0].n, 1);
    const double squares = filter_dot(GHL_IN(&a, 0), GHL_IN(&a, 0), &f, 1);
    normalise_elements(&a, f.first, f.step, f.end, squares);
}

GHL_INLINE void normalise_backward_elements(const ghl_cuda_args *a, int first, int step, int end, double squares, double dot)
{
    const float norm = counted_norm(squares);
    const float along = sqrt(squares) <= 1e-12 ? 0.0f : (float)(dot / norm / norm);
    for (int i = first; i < end; i += step)
        GHL_OUT(a, 0)[i] = (GHL_IN(a, 0)[i] - along * GHL_IN(a, 1)[i]) / norm;
}

GHL_KERNEL normalise_backward_taps(const __grid_constant__ ghl_cuda_args a)
{
    const int each = a.in[0].c, groups = a.in[0].count / each;
    for (int tap = ghl_warp(); tap < groups; tap += ghl_threads() / 32) {
        const double squares = lanes_dot(GHL_IN(&a, 1), GHL_IN(&a, 1), tap * each, each);
        const double dot = lanes_dot(GHL_IN(&a, 0), GHL_IN(&a, 1), tap * each, each);
        normalise_backward_elements(&a, tap * each + (int)threadIdx.x % 32, 32, (tap + 1) * each, squares, dot);
    }
}

GHL_KERNEL normalise_backward_filters(const __grid_constant__ ghl_cuda_args a)
{
    const filter f = filter_of((int)blockIdx.x, a.in[0].count / a.in[0].n, 1);
    const double squares = filter_dot(GHL_IN(&a, 1), GHL_IN(&a, 1), &f, 1);
    const double dot = filter_dot(GHL_IN(&a, 0), GHL_IN(&a, 1), &f, 1);
    normalise_backward_elements(&a, f.first, f.step, f.end, squares, dot);
}

static void plan_normalise(const ghl_call *call, ghl_cuda_plan *plan, ghl_cuda_kernel *taps, ghl_cuda_kernel *filters)
{
    const ghl_shape s = call->in[0].shape;
    if (call->attr.normalise.tap)
        ghl_cuda_spread(plan, taps, 32 * s.n * s.h * s.w, 1);
    else
        plan_filters(plan, filters, call);
}

void ghl_cuda_normalise_weight(const ghl_call *call, ghl_cuda_plan *plan)
{
    plan_normalise(call, plan, normalise_taps, normalise_filters);
}

void ghl_cuda_normalise_weight_backward(const ghl_call *call, ghl_cuda_plan *plan)
{
    plan_normalise(call, plan, normalise_backward_taps, normalise_backward_filters);
}

/* ---- The sliding threshold ---- */

GHL_KERNEL bcm_threshold_kernel(const __grid_constant__ ghl_cuda_args a)
{
    GHL_EACH(k, a.out[0].count)
        GHL_OUT(&a, 0)[k] = a.attr.bcm.keep * GHL_IN(&a, 0)[k] + a.attr.bcm.add * GHL_IN(&a, 1)[k];
}

GHL_KERNEL bcm_response_kernel(const __grid_constant__ ghl_cuda_args a)
{
    GHL_EACH(m, a.out[0].count) {
        const float v = GHL_IN(&a, 0)[m];
        GHL_OUT(&a, 0)[m] = v * (v - GHL_IN(&a, 2)[((const int32_t *)a.in[1].data)[m]]);
    }
}

void ghl_cuda_bcm_threshold(const ghl_call *call, ghl_cuda_plan *plan)
{
    ghl_cuda_spread(plan, bcm_threshold_kernel, ghl_cuda_elements(&call->out[0]), 1);
}

void ghl_cuda_bcm_response(const ghl_call *call, ghl_cuda_plan *plan)
{
    ghl_cuda_spread(plan, bcm_response_kernel, ghl_cuda_elements(&call->out[0]), 1);
}

/* ---- conv_unit_norm: norms of the filters, whose inverse stands in scratch [K]; then the product over them ---- */

GHL_KERNEL filter_norms_kernel(const __grid_constant__ ghl_cuda_args a)
{
    const int k = (int)blockIdx.x;
    const filter f = filter_of(k, a.in[1].count / a.in[1].n, 1);
    const double squares = filter_dot(GHL_IN(&a, 1), GHL_IN(&a, 1), &f, 1);
    if (threadIdx.x != 0)
        return;
    const float norm = counted_norm(squares);
    ((float *)a.scratch)[k] = 1.0f / norm;
    if (a.out[1].data != NULL)
        GHL_OUT(&a, 1)[k] = (float)sqrt(squares);
    if (a.out[2].data != NULL)
        GHL_OUT(&a, 2)[k] = (float)(sqrt(squares) / (double)norm);
}

GHL_INLINE void unit_norm_pack(const ghl_cuda_args *a, int i, int half)
{
    const int channels = a->out[0].c;
    float v[8];
    ghl_load(a->out[0].data, i, a->out[0].count, half, v);
    for (int j = 0; j < 8 && i + j < a->out[0].count; j++) {
        const int k = (i + j) % channels;
        v[j] = v[j] * ((const float *)a->scratch)[k] + (GHL_IN(a, 2) != NULL ? GHL_IN(a, 2)[k] : 0.0f);
    }
    ghl_store(a->out[0].data, i, a->out[0].count, v, half);
}
GHL_PACK_KERNEL(unit_norm_kernel, unit_norm_pack, a.out[0].count)

void ghl_cuda_unit_norm(const ghl_call *call, ghl_cuda_plan *plan)
{
    plan->scratch_bytes = (size_t)call->in[1].shape.n * sizeof(float);
    ghl_cuda_add_launch(plan, filter_norms_kernel, (int)call->in[1].shape.n, 1);
    ghl_cuda_spread(plan, unit_norm_kernel, ghl_cuda_elements(&call->out[0]), 8);
}

/* ---- Sanger: the lower triangle of y^T y, and what is left of p ---- */

GHL_KERNEL lower_kernel(const __grid_constant__ ghl_cuda_args a)
{
    GHL_EACH(i, a.out[0].count)
        if (i % a.out[0].c > i / a.out[0].c)
            GHL_OUT(&a, 0)[i] = 0.0f;
}

GHL_INLINE void sanger_pack(const ghl_cuda_args *a, int i, int half)
{
    float s[8], p[8];
    ghl_load(a->in[0].data, i, a->out[0].count, 0, s);
    ghl_load(a->in[1].data, i, a->out[0].count, 0, p);
    for (int j = 0; j < 8; j++)
        p[j] = a->attr.decay.factor * (p[j] - s[j]);
    ghl_store(a->out[0].data, i, a->out[0].count, p, half);
}

GHL_KERNEL sanger_kernel(const __grid_constant__ ghl_cuda_args a)
{
    GHL_EACH_PACK(i, a.out[0].count) sanger_pack(&a, i, 0);
}

void ghl_cuda_lower(const ghl_call *call, ghl_cuda_plan *plan)
{
    ghl_cuda_spread(plan, lower_kernel, ghl_cuda_elements(&call->out[0]), 1);
}

void ghl_cuda_sanger(const ghl_call *call, ghl_cuda_plan *plan)
{
    ghl_cuda_spread(plan, sanger_kernel, ghl_cuda_elements(&call->out[0]), 8);
}
