/* SPDX-License-Identifier: Apache-2.0
 *
 * isa_pad.c - padding by reflection that does not repeat the edge, and its adjoint: an item is a row of the output.
 *
 * Row `at` of an image of `size` rows is seen at up to three rows of the padded image: its own, and those beyond either edge that
 * mirror it.
 */
#include <string.h>

#include "device/cpu/isa.h"

/* Row or column of the image that is seen at `padded`. */
static inline int64_t reflect(int64_t padded, int64_t padding, int64_t size)
{
    int64_t in = padded < padding ? padding - padded : padded - padding;
    return in < size ? in : 2 * (size - 1) - in;
}

static GHL_CPU_BODY void pad_reflect_range(const ghl_call *call, void *scratch, int64_t begin, int64_t end, int half)
{
    const int32_t *padding = call->attr.window.padding;
    const ghl_shape xs = call->in[0].shape, ys = call->out[0].shape;
    const size_t place = (size_t)xs.c * (half ? 2 : 4);
    (void)scratch;
    for (int64_t row = begin; row < end; row++) {
        const char *from = ghl_at(call->in[0].data, (row / ys.h * xs.h + reflect(row % ys.h, padding[0], xs.h)) * xs.w * xs.c, half);
        char *to = ghl_at(call->out[0].data, row * ys.w * ys.c, half);
        memcpy(to + (size_t)padding[1] * place, from, (size_t)xs.w * place);
        for (int64_t q = 0; q < padding[1]; q++) {
            memcpy(to + (size_t)q * place, from + (size_t)(padding[1] - q) * place, place);
            memcpy(to + (size_t)(padding[1] + xs.w + q) * place, from + (size_t)(xs.w - 2 - q) * place, place);
        }
    }
}
GHL_CPU_RANGES(pad_reflect, call->in[0], call->out[0].shape.n * call->out[0].shape.h, call->out[0].shape.w * call->out[0].shape.c)

/* The rows or columns of the padded image that show `at`; how many. */
static inline int seen_at(int64_t at, int64_t padding, int64_t size, int64_t out[3])
{
    int n = 0;
    out[n++] = at + padding;
    if (at > 0 && at <= padding)
        out[n++] = padding - at;
    if (at < size - 1 && size - 1 - at <= padding)
        out[n++] = padding + 2 * (size - 1) - at;
    return n;
}

static GHL_CPU_BODY void pad_reflect_backward_range(const ghl_call *call, void *scratch, int64_t begin, int64_t end, int half)
{
    const int32_t *padding = call->attr.window.padding;
    const ghl_shape es = call->in[0].shape, xs = call->out[0].shape;
    (void)scratch;
    for (int64_t row = begin; row < end; row++) {
        int64_t rows[3], columns[3];
        const int n_rows = seen_at(row % xs.h, padding[0], xs.h, rows);
        for (int64_t q = 0; q < xs.w; q++) {
            const void *from[9];
            void *to = ghl_at(call->out[0].data, (row * xs.w + q) * xs.c, half);
            const int n_columns = seen_at(q, padding[1], xs.w, columns), n = n_rows * n_columns;
            for (int i = 0; i < n; i++)
                from[i] = ghl_at(call->in[0].data,
                                 ((row / xs.h * es.h + rows[i / n_columns]) * es.w + columns[i % n_columns]) * xs.c, half);
            if (n == 1) {
                memcpy(to, from[0], (size_t)xs.c * (half ? 2 : 4));
                continue;
            }
            for (int64_t c = 0; c < xs.c; c++) {
                float sum = ghl_get(from[0], c, half);
                for (int i = 1; i < n; i++)
                    sum += ghl_get(from[i], c, half);
                ghl_put(to, c, sum, half);
            }
        }
    }
}
GHL_CPU_RANGES(pad_reflect_backward, call->in[0], call->out[0].shape.n * call->out[0].shape.h,
               call->out[0].shape.w * call->out[0].shape.c)
