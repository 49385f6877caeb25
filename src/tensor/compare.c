/* SPDX-License-Identifier: Apache-2.0
 *
 * How far two tensors are apart. For GHL the sign of a gradient is what counts, so the share of the gradient's absolute mass whose
 * sign differs stands beside the usual relative error.
 */
#include <math.h>

#include "tensor/tensor.h"

static int sign_of(float v)
{
    return (v > 0) - (v < 0);
}

void ghl_compare(const float *a, const float *b, int64_t elements, ghl_comparison *out)
{
    double difference2 = 0, norm2 = 0, largest = 0, largest_b = 0, mass = 0, flipped = 0;
    int64_t equal_signs = 0, worst = 0;
    for (int64_t i = 0; i < elements; i++) {
        double d = fabs((double)a[i] - (double)b[i]), size = fabs((double)b[i]);
        if (a[i] == b[i])
            d = 0; /* equal infinities too */
        if (isnan(d))
            d = INFINITY;
        if (isfinite(size)) {
            norm2 += size * size;
            mass += size;
            largest_b = size > largest_b ? size : largest_b;
        }
        const bool same_sign = !isnan(a[i]) && !isnan(b[i]) && sign_of(a[i]) == sign_of(b[i]);
        equal_signs += same_sign;
        if (!same_sign && isfinite(size))
            flipped += size;
        difference2 += d * d;
        if (d > largest) {
            largest = d;
            worst = i;
        }
    }
    /* Against a tensor of zeros any difference is infinite, and none is none. */
    out->relative_l2 = difference2 > 0 ? sqrt(difference2) / sqrt(norm2) : 0;
    out->largest = largest > 0 ? largest / largest_b : 0;
    out->flipped_mass = mass > 0 ? flipped / mass : 0;
    out->sign_agreement = elements > 0 ? (double)equal_signs / (double)elements : 1;
    out->worst = worst;
}
