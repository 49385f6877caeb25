/* SPDX-License-Identifier: Apache-2.0
 *
 * steps.h - a call as steps of three sorts: a convolution of cuDNN's, a matrix product of cuBLASLt's, which is what a convolution is where
 * each image has one position, and a kernel of our own before or after them. A step names its operands by places: the call's, or parts of
 * scratch.
 */
#ifndef GHL_DEVICE_CUDA_STEPS_H
#define GHL_DEVICE_CUDA_STEPS_H

#include "device/cuda/blas.h"
#include "device/cuda/choose.h"

enum { GHL_STEPS = 6, GHL_PARTS = 4 };

/* An operand: input or output i of the call, or part i of scratch. */
typedef struct ghl_place {
    enum { AT_NOWHERE, AT_IN, AT_OUT, AT_PART } where;
    int i;
} ghl_place;

typedef struct ghl_step {
    ghl_cudnn_plan convolution; /* without descriptors of either: a kernel of our own */
    ghl_blas_plan product;
    ghl_cuda_plan plan;
    ghl_cuda_args args;
    ghl_place in[3], out[3];    /* of a convolution in: x, w, y; of a product in: a, b, d; and out[0]: bias */
} ghl_step;

typedef struct ghl_product {
    ghl_cuda_prepared base;
    ghl_step steps[GHL_STEPS];
    int n;
    size_t parts[GHL_PARTS], end, workspace; /* of scratch: where parts begin; where they end, and so cuDNN's begins; its size */
    int n_parts;
    char note[48];
} ghl_product;

static inline ghl_place ghl_nowhere(void)
{
    return (ghl_place){AT_NOWHERE, 0};
}

static inline ghl_place ghl_in(int i)
{
    return (ghl_place){AT_IN, i};
}

static inline ghl_place ghl_out(int i)
{
    return (ghl_place){AT_OUT, i};
}

static inline int64_t ghl_elements(ghl_shape s)
{
    return s.n * s.h * s.w * s.c;
}

ghl_place ghl_product_part(ghl_product *p, size_t bytes);
/* A step by a kernel of our own: `call` describes its operands, and where they are say `in` and `out`. */
ghl_status ghl_product_own(ghl_product *p, ghl_cuda_planner *planner, const ghl_call *call, const ghl_place *in, const ghl_place *out);
/* A copy of the call's operand in the other type, made by a step of its own where that is needed. */
ghl_status ghl_product_convert(ghl_product *p, const ghl_operand *o, ghl_place from, int narrow, ghl_place *out);
/* Whether each image has one position, which is all of it: as of linear layers. */
int ghl_product_is_matrix(const ghl_cudnn_problem *problem);
ghl_status ghl_product_convolve(ghl_product *p, const ghl_cudnn_problem *problem, ghl_place x, ghl_place w, ghl_place y, ghl_place bias);
/* Bytes of scratch that its steps need. */
size_t ghl_product_scratch(const ghl_product *p);
ghl_status ghl_product_run(void *product, const ghl_call *call);
void ghl_product_clear(ghl_product *p); /* as it was before the first step */

/* gradient.c: conv_backward_weights and its pair */
ghl_status ghl_gradient_build(ghl_product *p, const ghl_call *call);

#endif
