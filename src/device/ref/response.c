/* SPDX-License-Identifier: Apache-2.0
 *
 * response.c - how units answer a column, beside the softmax: by its label, or by how like they are to it (Lagani et al. 2022, 2024):
 *
 *     c_mk = <w_k,x_m> / (|w_k| |x_m|),   s = ((c + 1) / 2)^2,   z_m = softmax(t s_m),   r = z^2 with the sums of both over positions
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "device/places.h"
#include "device/ref/ref.h"

ghl_status ghl_ref_one_hot(const ghl_call *call)
{
    const int32_t *labels = call->in[0].data;
    const int64_t *clock = call->in[1].data, rows = call->out[0].shape.n, classes = call->out[0].shape.c;
    float *r = ghl_ref_out(call, 0);
    memset(r, 0, (size_t)(rows * classes) * sizeof *r);
    for (int64_t n = 0; n < rows && n < clock[GHL_CLOCK_COUNT]; n++) {
        if (labels[n] < 0 || labels[n] >= classes)
            return ghl_fail(GHL_DATA, "a layer that learns from labels has a unit a class", "row %lld has label %d, the layer %lld units",
                            (long long)n, labels[n], (long long)classes);
        r[n * classes + labels[n]] = 1.0f;
    }
    return GHL_OK;
}

ghl_status ghl_ref_column_norms(const ghl_call *call)
{
    const float *x = ghl_ref_in(call, 0);
    const ghl_window *win = &call->attr.window;
    const ghl_shape xs = call->in[0].shape, ns = call->out[0].shape;
    for (int64_t m = 0; m < ns.n * ns.h * ns.w; m++) {
        double sum = 0.0;
        for (int64_t r = 0; r < win->kernel[0]; r++)
            for (int64_t s = 0; s < win->kernel[1]; s++) {
                const int64_t h = ghl_place_under(win, 0, m / ns.w % ns.h, r, xs.h);
                const int64_t v = ghl_place_under(win, 1, m % ns.w, s, xs.w);
                for (int64_t c = 0; c < xs.c && h >= 0 && v >= 0; c++) {
                    const double value = x[ghl_ref_at(xs, m / ns.w / ns.h, h, v) + c];
                    sum += value * value;
                }
            }
        ghl_ref_out(call, 0)[m] = (float)sqrt(sum);
    }
    return GHL_OK;
}

static double or_one(double value)
{
    return value == 0.0 ? 1.0 : value;
}

/* z of one column, in the place of s. */
static void compete(double *s, double *z, int64_t channels, const ghl_attributes *attr)
{
    const double t = (double)attr->similarity.strength;
    for (int64_t k = 0; k < channels; k++) {
        double sum = 0.0, above = 0.0;
        for (int64_t j = 0; j < channels; j++) {
            const bool power = attr->similarity.variant == GHL_SIMILARITY_POWER;
            sum += power ? pow((s[j] < 1e-30 ? 1e-30 : s[j]) / (s[k] < 1e-30 ? 1e-30 : s[k]), t) : exp(t * (s[j] - s[k]));
            above += isnan(s[j]) ? s[j] : (double)(s[j] > s[k]);
        }
        z[k] = 1.0 / sum;
        if (attr->similarity.variant == GHL_SIMILARITY_HARD)
            z[k] = isnan(above) ? above : (double)(above < attr->similarity.winners);
    }
}

ghl_status ghl_ref_similarity_response(const ghl_call *call)
{
    const float *u = ghl_ref_in(call, 0), *x_norm = ghl_ref_in(call, 1), *w_norm = ghl_ref_in(call, 2);
    const float *bias = ghl_ref_in(call, 3);
    const int64_t channels = call->in[0].shape.c, columns = ghl_shape_elements(call->in[0].shape) / channels;
    double *s = NULL; /* s, z, and the two sums */
    GHL_TRY(GHL_NEW(s, 4 * channels));
    double *z = s + channels, *sums = z + channels;
    for (int64_t m = 0; m < columns; m++) {
        for (int64_t k = 0; k < channels; k++)
            s[k] = pow(((u[m * channels + k] - (bias ? (double)bias[k] : 0.0)) / or_one(x_norm[m]) / or_one(w_norm[k]) + 1.0) / 2.0, 2.0);
        compete(s, z, channels, &call->attr);
        for (int64_t k = 0; k < channels; k++) {
            sums[k] += z[k];
            sums[channels + k] += z[k] * z[k];
            ghl_ref_out(call, 2)[m * channels + k] = (float)(z[k] * z[k]);
        }
    }
    for (int64_t i = 0; i < 2 * channels; i++)
        ghl_ref_out(call, (int)(i / channels))[i % channels] = (float)sums[i];
    free(s);
    return GHL_OK;
}
