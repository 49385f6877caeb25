/* SPDX-License-Identifier: Apache-2.0
 *
 * window.cu - ops that look at places around a place: pools, reflection, shortcuts, norms of columns, inhibition, and the images as they
 * come in. A thread does some channels, eight where there are such packs, of one place of the output, and gathers: also backward, where a
 * place of the image looks up the windows that cover it. So nothing is added up by two threads.
 */
#include "device/cuda/sums.h"
#include "device/inhibition.h"

/* A place of a map, and its first channel. */
typedef struct spot {
    int n, h, w, c;
} spot;

GHL_INLINE spot spot_of(const ghl_cuda_operand *map, int i)
{
    spot s;
    const int column = i / map->c, row = column / map->w;
    s.c = i - column * map->c;
    s.w = column - row * map->w;
    s.n = row / map->h;
    s.h = row - s.n * map->h;
    return s;
}

/* Element of `map` at (n, h, w), channel c; -1 where h or w is. */
GHL_INLINE int at(const ghl_cuda_operand *map, const spot *s, int64_t h, int64_t w)
{
    return h < 0 || w < 0 ? -1 : ((s->n * map->h + (int)h) * map->w + (int)w) * map->c + s->c;
}

/* Element of the input under tap (r, s) of the window at `out`. */
GHL_INLINE int under(const ghl_cuda_args *a, const ghl_cuda_operand *x, const spot *out, int r, int s)
{
    return at(x, out, ghl_place_under(&a->attr.window, 0, out->h, r, x->h), ghl_place_under(&a->attr.window, 1, out->w, s, x->w));
}

/* Element of the windows' map whose tap (r, s) lies at `in`. */
GHL_INLINE int over(const ghl_cuda_args *a, const ghl_cuda_operand *y, const spot *in, int r, int s)
{
    return at(y, in, ghl_place_over(&a->attr.window, 0, in->h, r, y->h), ghl_place_over(&a->attr.window, 1, in->w, s, y->w));
}

#define GHL_EACH_PLACE(i, map, width) for (int i = ghl_thread() * width; i < (map).count; i += ghl_threads() * width)

/* An op whose kernel goes through output 0. */
#define GHL_PLACES(op)                                                                                     \
    GHL_WIDE_KERNEL(op##_kernel, op##_places, a.out[0].c)                                                        \
    void ghl_cuda_##op(const ghl_call *call, ghl_cuda_plan *plan)                                                \
    {                                                                                                            \
        ghl_cuda_spread(plan, op##_kernel, ghl_cuda_elements(&call->out[0]), ghl_cuda_width(call->out[0].shape.c)); \
    }

/* ---- Pools ---- */

enum { NOTHING = 255 }; /* index of a maximum that passes no error */

GHL_INLINE void max_pool_places(const ghl_cuda_args *a, int width, int half)
{
    const int rows = a->attr.window.kernel[0], columns = a->attr.window.kernel[1];
    uint8_t *index = (uint8_t *)a->out[1].data;
    GHL_EACH_PLACE(i, a->out[0], width) {
        const spot out = spot_of(&a->out[0], i);
        float best[8], v[8];
        int winner[8];
        for (int j = 0; j < width; j++) {
            best[j] = -INFINITY;
            winner[j] = -1;
        }
        for (int tap = 0; tap < rows * columns; tap++) {
            const int from = under(a, &a->in[0], &out, tap / columns, tap % columns);
            if (from < 0)
                continue;
            ghl_get_some(a->in[0].data, from, width, half, v);
            for (int j = 0; j < width; j++)
                if (winner[j] < 0 || v[j] > best[j] || (v[j] != v[j] && best[j] == best[j])) {
                    best[j] = v[j];
                    winner[j] = tap;
                }
        }
        for (int j = 0; j < width; j++) {
            const int cut = a->attr.pool.relu && best[j] <= 0.0f;
            best[j] = cut ? 0.0f : best[j];
            winner[j] = cut ? NOTHING : winner[j];
            index[i + j] = (uint8_t)winner[j];
        }
        ghl_put_some(a->out[0].data, i, width, best, half);
    }
}
GHL_PLACES(max_pool)

/* Sum over the taps of what lies under a window, or `backward` of the windows that lie over a place; of maxima (`index`) where the tap is
 * theirs. */
GHL_INLINE void sum_taps(const ghl_cuda_args *a, const spot *here, const uint8_t *index, int backward, int width, int half, float sum[8])
{
    const int columns = a->attr.window.kernel[1], taps = a->attr.window.kernel[0] * columns, relu = !backward && a->attr.pool.relu;
    float v[8];
    for (int j = 0; j < width; j++)
        sum[j] = 0.0f;
    for (int tap = 0; tap < taps; tap++) {
        const int r = tap / columns, s = tap % columns;
        const int from = backward ? over(a, &a->in[0], here, r, s) : under(a, &a->in[0], here, r, s);
        if (from < 0)
            continue;
        ghl_get_some(a->in[0].data, from, width, half, v);
        for (int j = 0; j < width; j++) {
            const int left_out = (index != NULL && index[from + j] != tap) || (relu && v[j] <= 0.0f);
            sum[j] += left_out ? 0.0f : v[j];
        }
    }
}

GHL_INLINE void max_pool_backward_places(const ghl_cuda_args *a, int width, int half)
{
    GHL_EACH_PLACE(i, a->out[0], width) {
        const spot in = spot_of(&a->out[0], i);
        float sum[8];
        sum_taps(a, &in, (const uint8_t *)a->in[1].data, 1, width, half, sum);
        ghl_put_some(a->out[0].data, i, width, sum, half);
    }
}
GHL_PLACES(max_pool_backward)

GHL_INLINE void average_pool_places(const ghl_cuda_args *a, int width, int half)
{
    const float taps = (float)(a->attr.window.kernel[0] * a->attr.window.kernel[1]);
    GHL_EACH_PLACE(i, a->out[0], width) {
        const spot out = spot_of(&a->out[0], i);
        float sum[8];
        sum_taps(a, &out, NULL, 0, width, half, sum);
        for (int j = 0; j < width; j++)
            sum[j] /= taps;
        ghl_put_some(a->out[0].data, i, width, sum, half);
    }
}
GHL_PLACES(average_pool)

GHL_INLINE void average_pool_backward_places(const ghl_cuda_args *a, int width, int half)
{
    const float taps = (float)(a->attr.window.kernel[0] * a->attr.window.kernel[1]);
    GHL_EACH_PLACE(i, a->out[0], width) {
        const spot in = spot_of(&a->out[0], i);
        float sum[8], z[8] = {0};
        sum_taps(a, &in, NULL, 1, width, half, sum);
        if (a->in[1].data != NULL)
            ghl_get_some(a->in[1].data, i, width, half, z);
        for (int j = 0; j < width; j++)
            sum[j] = a->in[1].data != NULL && z[j] <= 0.0f ? 0.0f : sum[j] / taps;
        ghl_put_some(a->out[0].data, i, width, sum, half);
    }
}
GHL_PLACES(average_pool_backward)

/* ---- Reflection ---- */

GHL_INLINE void pad_reflect_places(const ghl_cuda_args *a, int width, int half)
{
    const int32_t *padding = a->attr.window.padding;
    GHL_EACH_PLACE(i, a->out[0], width) {
        const spot out = spot_of(&a->out[0], i);
        float v[8];
        const int64_t h = ghl_place_reflected(out.h, padding[0], a->in[0].h), w = ghl_place_reflected(out.w, padding[1], a->in[0].w);
        ghl_get_some(a->in[0].data, at(&a->in[0], &out, h, w), width, half, v);
        ghl_put_some(a->out[0].data, i, width, v, half);
    }
}
GHL_PLACES(pad_reflect)

/* Of the three places of the padded axis that may show `in`, number k; -1 where there is none: itself, and its image in either edge. */
GHL_INLINE int shown_at(int in, int padding, int size, int k)
{
    if (k == 0)
        return in + padding;
    if (k == 1)
        return in > 0 && in <= padding ? padding - in : -1;
    return in < size - 1 && size - 1 - in <= padding ? padding + 2 * (size - 1) - in : -1;
}

GHL_INLINE void pad_reflect_backward_places(const ghl_cuda_args *a, int width, int half)
{
    const int32_t *padding = a->attr.window.padding;
    GHL_EACH_PLACE(i, a->out[0], width) {
        const spot in = spot_of(&a->out[0], i);
        float sum[8] = {0}, e[8];
        for (int k = 0; k < 9; k++) {
            const int h = shown_at(in.h, padding[0], a->out[0].h, k / 3), w = shown_at(in.w, padding[1], a->out[0].w, k % 3);
            const int from = at(&a->in[0], &in, h, w);
            if (from < 0)
                continue;
            ghl_get_some(a->in[0].data, from, width, half, e);
            for (int j = 0; j < width; j++)
                sum[j] += e[j];
        }
        ghl_put_some(a->out[0].data, i, width, sum, half);
    }
}
GHL_PLACES(pad_reflect_backward)

/* ---- Shortcuts: element by element, since the channels are shifted ---- */

GHL_INLINE void subsample_pad_places(const ghl_cuda_args *a, int half)
{
    const int32_t *stride = a->attr.window.stride;
    const int shift = (a->out[0].c - a->in[0].c) / 2;
    GHL_EACH(i, a->out[0].count) {
        spot out = spot_of(&a->out[0], i);
        out.c -= shift;
        const int there = out.c >= 0 && out.c < a->in[0].c;
        const int from = at(&a->in[0], &out, out.h * stride[0], out.w * stride[1]);
        ghl_put(a->out[0].data, i, there ? ghl_get(a->in[0].data, from, half) : 0.0f, half);
    }
}
GHL_HALF_KERNEL(subsample_pad_kernel, subsample_pad_places)

GHL_INLINE void subsample_pad_backward_places(const ghl_cuda_args *a, int half)
{
    const int32_t *stride = a->attr.window.stride;
    const int shift = (a->in[0].c - a->out[0].c) / 2;
    GHL_EACH(i, a->out[0].count) {
        spot in = spot_of(&a->out[0], i);
        const int seen = in.h % stride[0] == 0 && in.w % stride[1] == 0;
        in.c += shift;
        const int from = at(&a->in[0], &in, in.h / stride[0], in.w / stride[1]);
        ghl_put(a->out[0].data, i, seen ? ghl_get(a->in[0].data, from, half) : 0.0f, half);
    }
}
GHL_HALF_KERNEL(subsample_pad_backward_kernel, subsample_pad_backward_places)

void ghl_cuda_subsample_pad(const ghl_call *call, ghl_cuda_plan *plan)
{
    ghl_cuda_spread(plan, subsample_pad_kernel, ghl_cuda_elements(&call->out[0]), 1);
}

void ghl_cuda_subsample_pad_backward(const ghl_call *call, ghl_cuda_plan *plan)
{
    ghl_cuda_spread(plan, subsample_pad_backward_kernel, ghl_cuda_elements(&call->out[0]), 1);
}

/* ---- Norms of columns: a warp a column ---- */

GHL_INLINE void column_norms_columns(const ghl_cuda_args *a, int half)
{
    const int rows = a->attr.window.kernel[0], columns = a->attr.window.kernel[1];
    for (int m = ghl_warp(); m < a->out[0].count; m += ghl_threads() / 32) {
        spot out = spot_of(&a->out[0], m);
        double sum = 0.0;
        for (int tap = 0; tap < rows * columns; tap++) {
            out.c = 0;
            const int from = under(a, &a->in[0], &out, tap / columns, tap % columns);
            float squares = 0.0f;
            for (int c = (int)threadIdx.x % 32; c < a->in[0].c && from >= 0; c += 32) {
                const float v = ghl_get(a->in[0].data, from + c, half);
                squares += v * v;
            }
            sum += (double)squares;
        }
        sum = ghl_lanes_sum_double(sum, 32);
        if (threadIdx.x % 32 == 0)
            GHL_OUT(a, 0)[m] = (float)sqrt(sum);
    }
}
GHL_HALF_KERNEL(column_norms_kernel, column_norms_columns)

void ghl_cuda_column_norms(const ghl_call *call, ghl_cuda_plan *plan)
{
    ghl_cuda_spread(plan, column_norms_kernel, 32 * (int64_t)ghl_cuda_elements(&call->out[0]), 1);
}

GHL_INLINE void column_norms_backward_places(const ghl_cuda_args *a, int width, int half)
{
    const int rows = a->attr.window.kernel[0], columns = a->attr.window.kernel[1];
    GHL_EACH_PLACE(i, a->out[0], width) {
        spot in = spot_of(&a->out[0], i);
        float sum = 0.0f, x[8];
        in.c = 0;
        for (int tap = 0; tap < rows * columns; tap++) {
            const int from = over(a, &a->in[1], &in, tap / columns, tap % columns);
            sum += from >= 0 ? GHL_IN(a, 1)[from] : 0.0f;
        }
        ghl_get_some(a->in[0].data, i, width, half, x);
        for (int j = 0; j < width; j++)
            x[j] *= sum;
        ghl_put_some(a->out[0].data, i, width, x, half);
    }
}
GHL_PLACES(column_norms_backward)

/* ---- Inhibition ---- */

GHL_INLINE float inhibition_of(int i, int j)
{
    const float weights[3][3] = {{(float)GHL_INHIBITION_00, (float)GHL_INHIBITION_01, (float)GHL_INHIBITION_02},
                                 {(float)GHL_INHIBITION_01, (float)GHL_INHIBITION_11, (float)GHL_INHIBITION_12},
                                 {(float)GHL_INHIBITION_02, (float)GHL_INHIBITION_12, (float)GHL_INHIBITION_22}};
    return weights[i < 0 ? -i : i][j < 0 ? -j : j];
}

GHL_INLINE void inhibit_places(const ghl_cuda_args *a, int width, int half)
{
    GHL_EACH_PLACE(i, a->out[0], width) {
        const spot out = spot_of(&a->out[0], i);
        float sum[8], y[8];
        for (int j = 0; j < width; j++)
            sum[j] = GHL_IN(a, 1) != NULL ? GHL_IN(a, 1)[out.c + j] : 0.0f;
        for (int down = -GHL_INHIBITION_REACH; down <= GHL_INHIBITION_REACH; down++)
            for (int across = -GHL_INHIBITION_REACH; across <= GHL_INHIBITION_REACH; across++) {
                const int h = out.h + down, w = out.w + across;
                if (h < 0 || w < 0 || h >= a->in[0].h || w >= a->in[0].w)
                    continue;
                ghl_get_some(a->in[0].data, at(&a->in[0], &out, h, w), width, half, y);
                for (int j = 0; j < width; j++)
                    sum[j] += inhibition_of(down, across) * y[j];
            }
        ghl_put_some(a->out[0].data, i, width, sum, half);
    }
}
GHL_PLACES(inhibit)

/* ---- The product of hard winners: a block a channel, which goes through the columns in order and takes those that the channel wins ----
 * */

GHL_INLINE void winner_elements(const ghl_cuda_args *a, int first, int half)
{
    __shared__ int won[GHL_CUDA_THREADS], count;
    const int k = (int)blockIdx.x, fan_in = a->out[0].count / a->out[0].n, columns = a->in[1].count;
    const int32_t *winners = (const int32_t *)a->in[2].data;
    const int i = first + (int)threadIdx.x, c = i % a->out[0].c, tap = i / a->out[0].c;
    float sum = 0.0f;
    for (int begin = 0; begin < columns; begin += GHL_CUDA_THREADS) {
        __syncthreads();
        if (threadIdx.x == 0) {
            count = 0;
            for (int m = begin; m < begin + GHL_CUDA_THREADS && m < columns; m++)
                if (winners[m] == k)
                    won[count++] = m;
        }
        __syncthreads();
        for (int j = 0; j < count && i < fan_in; j++) {
            spot out = spot_of(&a->in[1], won[j]);
            out.c = c;
            const int from = under(a, &a->in[0], &out, tap / a->out[0].w, tap % a->out[0].w);
            if (from >= 0)
                sum += GHL_IN(a, 1)[won[j]] * ghl_get(a->in[0].data, from, half);
        }
    }
    if (i < fan_in)
        GHL_OUT(a, 0)[k * fan_in + i] = sum;
}

GHL_INLINE void winner_product_channel(const ghl_cuda_args *a, int half)
{
    winner_elements(a, (int)blockIdx.y * GHL_CUDA_THREADS, half);
}
GHL_HALF_KERNEL(winner_product_kernel, winner_product_channel)

void ghl_cuda_winner_product(const ghl_call *call, ghl_cuda_plan *plan)
{
    const int64_t filters = call->out[0].shape.n;
    const int fan_in = ghl_cuda_elements(&call->out[0]) / (int)filters;
    ghl_cuda_add_launch(plan, winner_product_kernel, (int)filters, ghl_cuda_cut(fan_in, GHL_CUDA_THREADS));
}

/* ---- Images: eight elements a thread; a draw for each image that they lie in ---- */

GHL_INLINE void input_pack(const ghl_cuda_args *a, int i, int half)
{
    const ghl_cuda_operand *x = &a->out[0];
    const int64_t *rows = a->n_in > 4 ? (const int64_t *)a->in[4].data : NULL;
    const uint8_t *pixels = NULL; /* of an image; a set may have more bytes than 32 bits count */
    const float *affine = GHL_IN(a, 3);
    ghl_augmentation shown = {0, 0, 0};
    float v[8];
    int image = -1;
    for (int j = 0; j < 8; j++) {
        if (i + j >= x->count)
            break;
        const spot s = spot_of(x, i + j);
        if (s.n != image) {
            image = s.n;
            pixels = (const uint8_t *)a->in[0].data + (rows != NULL ? rows[image] : image) * ((int64_t)x->h * x->w * x->c);
            shown = ghl_augmentation_of(&a->attr, ((const int64_t *)a->in[1].data)[image], (const int64_t *)a->in[2].data);
        }
        const int row = s.h + shown.dy, column = (shown.flip ? x->w - 1 - s.w : s.w) + shown.dx;
        const int inside = row >= 0 && row < x->h && column >= 0 && column < x->w;
        v[j] = affine[s.c] * (inside ? (float)pixels[(row * x->w + column) * x->c + s.c] : 0.0f) + affine[x->c + s.c];
    }
    ghl_store(x->data, i, x->count, v, half);
}
GHL_PACK_KERNEL(input_kernel, input_pack, a.out[0].count)

void ghl_cuda_input(const ghl_call *call, ghl_cuda_plan *plan)
{
    ghl_cuda_spread(plan, input_kernel, ghl_cuda_elements(&call->out[0]), 8);
}
