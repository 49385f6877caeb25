/* SPDX-License-Identifier: Apache-2.0
 *
 * launch.h - how a call becomes launches: the argument that every kernel takes, and the plan that an op's file makes of a call when it is
 * prepared. A plan is data, so that a run, a capture into a graph and a launch of several calls together need know no op.
 */
#ifndef GHL_DEVICE_CUDA_LAUNCH_H
#define GHL_DEVICE_CUDA_LAUNCH_H

#include <stdint.h>

#include "ghl_ext.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { GHL_CUDA_IN = 8, GHL_CUDA_OUT = 4, GHL_CUDA_LAUNCHES = 3, GHL_CUDA_THREADS = 256, GHL_CUDA_ELEMENTS = 1 << 30 };

typedef struct ghl_cuda_operand {
    void *data; /* NULL: absent */
    int32_t n, h, w, c, count; /* count: elements, 0 where it is absent */
} ghl_cuda_operand;

/* What a kernel found that it may not compute with: the first of a job is reported when it is waited for. Zero: nothing. */
typedef struct ghl_cuda_fault {
    int32_t row, label, classes, seen;
} ghl_cuda_fault;

typedef struct ghl_cuda_args {
    ghl_cuda_operand in[GHL_CUDA_IN], out[GHL_CUDA_OUT];
    ghl_attributes attr;
    void *scratch; /* the plan's scratch_bytes, 256-aligned */
    const void *list; /* vote: addresses of its flags; a launch of a group: its blocks' places */
    ghl_cuda_fault *fault;
    int32_t half; /* activations are bf16 */
    int32_t bytes; /* of an element of the last input */
    int32_t parts, n_in; /* parts: of a sum, each in its own place of scratch */
} ghl_cuda_args;

typedef void ghl_cuda_kernel(ghl_cuda_args a);

/* Of a block in a launch for a group of calls: which call of the group it works for, and as which block of how many. */
typedef struct ghl_cuda_place {
    int32_t call, block, blocks;
} ghl_cuda_place;

typedef struct ghl_cuda_launch {
    ghl_cuda_kernel *kernel, *grouped; /* grouped: the same for a group, its arguments in scratch; NULL: none */
    int blocks[2], threads; /* blocks: x, y */
} ghl_cuda_launch;

typedef struct ghl_cuda_plan {
    ghl_cuda_launch launches[GHL_CUDA_LAUNCHES];
    int count;
    size_t scratch_bytes;
    int32_t parts;
} ghl_cuda_plan;

/* The ops with kernels of our own; each is a function that plans it. */
#define GHL_CUDA_OPS(X)                                                                                                          \
    X(relu) X(relu_backward) X(repu) X(repu_backward) X(tanh) X(tanh_backward) X(sigmoid) X(sigmoid_backward) X(add) X(dropout)  \
    X(moving_average) X(copy) X(commit)                                                                                          \
    X(sum_positions) X(batch_norm_statistics) X(batch_norm) X(batch_norm_sums) X(batch_norm_backward) X(variance_keeping)        \
    X(softmax_channels) X(similarity_response) X(compete) X(divide_columns) X(divide_columns_backward)                           \
    X(input) X(pad_reflect) X(pad_reflect_backward) X(max_pool) X(max_pool_backward) X(average_pool) X(average_pool_backward)    \
    X(subsample_pad) X(subsample_pad_backward) X(column_norms) X(column_norms_backward) X(inhibit) X(winner_product)             \
    X(oja_decay) X(oja_scale) X(instar_decay) X(scale) X(direction) X(ascent) X(normalise_weight) X(normalise_weight_backward)   \
    X(bcm_threshold) X(bcm_response) X(finite) X(finite_product) X(finite_step) X(vote)                                          \
    X(count) X(running_average) X(sgd) X(sgd_product) X(adam) X(report) X(softmax_cross_entropy) X(one_hot)

typedef void ghl_cuda_planner(const ghl_call *call, ghl_cuda_plan *plan);
#define GHL_CUDA_DECLARE(op) ghl_cuda_planner ghl_cuda_##op;
GHL_CUDA_OPS(GHL_CUDA_DECLARE)
#undef GHL_CUDA_DECLARE

/* Parts of the ops of product.c. Conversions of in[0] to out[0]; conv_unit_norm once out[0] is the product of in[0] with in[1]; G, [K,K] in
 * out[0], without what is above its diagonal; and out[0] = factor (in[1] - in[0]), of sanger_decay. */
ghl_cuda_planner ghl_cuda_round, ghl_cuda_widen, ghl_cuda_unit_norm, ghl_cuda_lower, ghl_cuda_sanger;

/* ---- For planners ---- */

enum { GHL_CUDA_BLOCKS = 1056 }; /* at most, of a kernel whose threads go on to further elements: eight blocks on each of 132 processors */

static inline int ghl_cuda_elements(const ghl_operand *operand)
{
    return (int)(operand->shape.n * operand->shape.h * operand->shape.w * operand->shape.c);
}

static inline int ghl_cuda_has(const ghl_operand *operands, int n, int i)
{
    return i < n && ghl_cuda_elements(&operands[i]) > 0;
}

static inline int ghl_cuda_cut(int64_t things, int64_t by)
{
    return (int)((things + by - 1) / by);
}

static inline void ghl_cuda_add_launch(ghl_cuda_plan *plan, ghl_cuda_kernel *kernel, int blocks, int slices)
{
    ghl_cuda_launch *l = &plan->launches[plan->count++];
    l->kernel = kernel;
    l->blocks[0] = blocks;
    l->blocks[1] = slices;
    l->threads = GHL_CUDA_THREADS;
}

/* Threads for so many things, `each` at a time. */
static inline void ghl_cuda_spread(ghl_cuda_plan *plan, ghl_cuda_kernel *kernel, int64_t things, int each)
{
    const int blocks = ghl_cuda_cut(things, (int64_t)each * GHL_CUDA_THREADS);
    ghl_cuda_add_launch(plan, kernel, blocks < GHL_CUDA_BLOCKS ? blocks : GHL_CUDA_BLOCKS, 1);
}

/* The last launch has a kernel for groups too. */
static inline void ghl_cuda_add_grouped(ghl_cuda_plan *plan, ghl_cuda_kernel *grouped)
{
    plan->launches[plan->count - 1].grouped = grouped;
}

#ifdef __cplusplus
}
#endif

#endif
