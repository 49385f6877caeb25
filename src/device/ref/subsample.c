/* SPDX-License-Identifier: Apache-2.0
 *
 * subsample.c - every stride-th row and column with channels of 0 around (He et al. 2016, shortcut A), and its adjoint.
 */
#include "device/ref/ref.h"

ghl_status ghl_ref_subsample_pad(const ghl_call *call)
{
    const float *x = ghl_ref_in(call, 0);
    const int32_t *stride = call->attr.window.stride;
    ghl_shape xs = call->in[0].shape, ys = call->out[0].shape;
    float *y = ghl_ref_out(call, 0);
    for (int64_t i = 0; i < ghl_shape_elements(ys); i++) {
        int64_t c = i % ys.c - (ys.c - xs.c) / 2, q = i / ys.c % ys.w, p = i / ys.c / ys.w % ys.h, n = i / ys.c / ys.w / ys.h;
        y[i] = c >= 0 && c < xs.c ? x[ghl_ref_at(xs, n, p * stride[0], q * stride[1]) + c] : 0.0f;
    }
    return GHL_OK;
}

ghl_status ghl_ref_subsample_pad_backward(const ghl_call *call)
{
    const float *e = ghl_ref_in(call, 0);
    const int32_t *stride = call->attr.window.stride;
    ghl_shape es = call->in[0].shape, xs = call->out[0].shape;
    float *dx = ghl_ref_out(call, 0);
    for (int64_t i = 0; i < ghl_shape_elements(xs); i++) {
        int64_t c = i % xs.c, w = i / xs.c % xs.w, h = i / xs.c / xs.w % xs.h, n = i / xs.c / xs.w / xs.h;
        bool seen = h % stride[0] == 0 && w % stride[1] == 0;
        dx[i] = seen ? e[ghl_ref_at(es, n, h / stride[0], w / stride[1]) + (es.c - xs.c) / 2 + c] : 0.0f;
    }
    return GHL_OK;
}
