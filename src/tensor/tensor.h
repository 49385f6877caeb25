/* SPDX-License-Identifier: Apache-2.0
 *
 * tensor.h - comparison of tensors, the two orders of a weight's elements, and a function of a matrix. Shapes and dtypes are in ghl_ext.h.
 */
#ifndef GHL_TENSOR_TENSOR_H
#define GHL_TENSOR_TENSOR_H

#include "base/memory.h"

const char *ghl_dtype_name(ghl_dtype dtype); /* "f32" */
/* "64x32x32x3" */
void ghl_shape_print(ghl_shape shape, char out[80]);

typedef struct ghl_comparison {
    double relative_l2;    /* |a - b| / |b|; NaN counts as infinite */
    double largest;        /* max |a - b| / max |b| */
    double flipped_mass;   /* sum of |b| where the signs of a and b differ, over sum of |b| */
    double sign_agreement; /* share of elements with equal sign */
    int64_t worst;         /* element of the largest difference */
} ghl_comparison;
void ghl_compare(const float *a, const float *b, int64_t elements, ghl_comparison *out);

/* Between the order in memory, [K,R,S,C], and PyTorch's, [K,C,R,S]; elements of `bytes` each. dst != src. */
void ghl_order_to_file(ghl_shape shape, size_t bytes, const void *memory, void *file);
void ghl_order_from_file(ghl_shape shape, size_t bytes, const void *file, void *memory);
/* Images [N,H,W,C] <-> [N,C,H,W] is the same with n = N: ghl_order_to_file on the image's shape. */

/* Fills a weight's values in memory order from counters: element i of PyTorch's order takes word i%4 of
 * ghl_random4(seed, GHL_RANDOM_INIT + w->index, i / 4, 0); normal: Box-Muller on words (0,1) and (2,3), in double. */
void ghl_init_fill(const ghl_weight *w, uint64_t seed, float *values);

/* out = (a + smoothing I)^-1/2, all [n,n]; a is symmetric (what is above the diagonal is not read), positive semi-definite up to less
 * than smoothing > 0, and is destroyed. To about 1e-7 of its largest eigenvalue. GHL_DATA where a is not so. */
ghl_status ghl_inverse_root(double *a, int64_t n, double smoothing, float *out);

#endif
