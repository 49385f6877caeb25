/* SPDX-License-Identifier: Apache-2.0
 *
 * isa.h - kernels that are compiled once per instruction set (base, v3, v4, avx512_bf16, amx) from the files isa_*.c.
 *
 * Parallel loops run on the calling thread's OpenMP team. A sum over many elements is cut into chunks that depend on shapes alone, and
 * the chunks are added up in order: results do not depend on the number of threads. Every kernel lets NaN through.
 */
#ifndef GHL_DEVICE_CPU_ISA_H
#define GHL_DEVICE_CPU_ISA_H

#include "device/cpu/conv16.h"
#include "device/cpu/derived.h"
#include "device/cpu/linear.h"
#include "device/cpu/winograd.h"
#include "tensor/bf16.h"

#ifdef GHL_ISA
#include <omp.h>
#endif

/* Runs a whole call. `scratch` holds ghl_cpu_op_scratch(call) bytes. */
typedef ghl_status ghl_cpu_op(const ghl_call *call, void *scratch);

/* An op that may be done a few images at a time: opened, each range of images once, by any thread, closed. The call is the whole one, and
 * `scratch` the same for all. A range begins at a multiple of images(call), and ends at one or with the last image. */
typedef struct ghl_by_images {
    int64_t (*images)(const ghl_call *call);
    void (*open)(const ghl_call *call, void *scratch);
    void (*range)(const ghl_call *call, void *scratch, int64_t begin, int64_t end);
    void (*close)(const ghl_call *call, void *scratch);
} ghl_by_images;

/* The ops that have a kernel of our own here; convolutions are in conv.c. */
#define GHL_CPU_OPS(X)                                                                                                      \
    X(input) X(sum_positions) X(batch_norm_statistics) X(batch_norm) X(batch_norm_sums) X(batch_norm_backward) X(relu)      \
    X(relu_backward) X(repu) X(repu_backward) X(tanh) X(tanh_backward) X(sigmoid) X(sigmoid_backward) X(max_pool)           \
    X(max_pool_backward) X(average_pool) X(average_pool_backward) X(dropout) X(add) X(subsample_pad)                        \
    X(subsample_pad_backward) X(softmax_cross_entropy) X(softmax_channels) X(oja_decay) X(scale) X(direction)               \
    X(oja_scale) X(moving_average) X(finite) X(copy) X(finite_product) X(finite_step) X(commit) X(sgd) X(adam)              \
    X(running_average)                                                                                                      \
    X(one_hot) X(column_norms) X(similarity_response) X(instar_decay) X(sanger_decay) X(ascent)                             \
    X(pad_reflect) X(pad_reflect_backward)                                                                                  \
    X(normalise_weight) X(normalise_weight_backward) X(divide_columns) X(divide_columns_backward)                           \
    X(column_norms_backward) X(inhibit) X(compete) X(winner_product)

/* Those among them that add up over images, or have tables to make. */
#define GHL_CPU_BY_IMAGES(X) X(sum_positions) X(batch_norm_statistics) X(batch_norm) X(batch_norm_sums) X(batch_norm_backward)

/* A convolution in one way; `plan` is the sizes that the way was prepared with. A plan for bf16 activations (ghl_winograd) has them behind
 * the pointers to x, y, e and dx. */
typedef struct ghl_conv_kernels {
    void (*forward)(const void *plan, const float *x, const float *w, const float *bias /* or NULL */, float *y, float *scratch);
    /* And squares [K] = |w_k|^2, without another pass over w; linear layers, else NULL. */
    void (*forward_squares)(const void *plan, const float *x, const float *w, float *y, double *squares);
    void (*backward_data)(const void *plan, const float *e, const float *w, float *dx, float *scratch);
    void (*backward_weights)(const void *plan, const float *x, const float *e, float *dw, float *scratch);
    /* Two errors, x read once; NULL: do the one above twice. Equal bits either way. */
    void (*backward_weights_pair)(const void *plan, const float *x, const float *const e[2], float *const dw[2], float *scratch);
    void (*sgd_product)(const void *plan, const ghl_call *call, float *scratch); /* linear layers; x and e f32 or bf16 */
} ghl_conv_kernels;

/* What becomes of sums before they are rounded, by outputs: sum * factor + bias; NULL: 1, 0. */
typedef struct ghl_conv_tail {
    const float *bias, *factor;
} ghl_conv_tail;

/* The same on bf16 activations: x [N,H,W,C], e and y [N,P,Q,K] dense bf16; gradients f32 [K,R,S,C]; sums in f32, outputs rounded once
 * to the nearest even. `w_packed` (64-aligned) is what pack_weights made of the master f32 [K,R,S,C] with the same plan. */
typedef struct ghl_conv16_kernels {
    void (*forward)(const void *plan, const uint16_t *x, const void *w_packed, const ghl_conv_tail *tail, uint16_t *y, void *scratch);
    void (*backward_data)(const void *plan, const uint16_t *e, const void *w_packed, uint16_t *dx, void *scratch);
    /* n, 1 or 2, errors and gradients; x is packed once. Equal bits for any n. */
    void (*backward_weights)(const void *plan, const uint16_t *x, int n, const uint16_t *const *e, float *const *dw, void *scratch);
    /* Where the gradient's plan says by_rows. n copies of w, which have plans of this table, are packed on the way. */
    void (*sgd_product)(const void *plan, const ghl_call *call, int n, const ghl_derived_writing *copies, void *scratch);
    /* sgd's step of w [K,..], some rows at a time; its copies, of such plans, are packed while these are in the cache. */
    void (*sgd)(const ghl_call *call, int n, const ghl_derived_writing *copies);
    void (*pack_weights)(const void *plan, const float *w, void *w_packed); /* forward or backward data, as the plan says */
    ghl_conv16_cost cost; /* of its products: what decides a plan's form */
} ghl_conv16_kernels;

typedef struct ghl_cpu_kernels {
    const char *name; /* "v4" */
    /* Of conv_unit_norm: factor [K] = 1 / |w_k|, and the norms that are outputs, from |w_k|^2 or, without, from w; u = u factor + bias. */
    void (*filter_norms)(const ghl_call *call, const double *squares, float *factor);
    void (*multiply_filters)(const ghl_call *call, const float *factor);
    ghl_cpu_op *op[GHL_OP_COUNT];
    const ghl_by_images *by_images[GHL_OP_COUNT];
    const ghl_conv_kernels *winograd2, *winograd4; /* F(2x2,3x3), F(4x4,3x3); plan: ghl_winograd */
    const ghl_conv_kernels *linear;                /* plan: ghl_linear */
    const ghl_conv_kernels *columns;               /* plan: ghl_columns */
    const ghl_conv16_kernels *conv16;              /* plan: ghl_conv16; NULL where the instruction set has no products of bf16 */
} ghl_cpu_kernels;

extern const ghl_cpu_kernels ghl_cpu_kernels_base;
#ifdef GHL_ISA_X86
extern const ghl_cpu_kernels ghl_cpu_kernels_v3, ghl_cpu_kernels_v4;
#endif
#ifdef GHL_ISA_AVX512_BF16
extern const ghl_cpu_kernels ghl_cpu_kernels_avx512_bf16;
#endif
#ifdef GHL_ISA_AMX
extern const ghl_cpu_kernels ghl_cpu_kernels_amx;
#endif

/* Bounds that all kernels keep to: parts of a weight; elements of a piece of activations whose sums are taken alone, at least. */
enum { GHL_CPU_CHUNKS = 64, GHL_CPU_PIECE = 1 << 14 };
size_t ghl_cpu_op_scratch(const ghl_call *call, int threads);

/* Pools keep `kernel` rows of windows: so many channels at once that they stay in the second cache, but no narrow strips of memory. */
static inline int64_t ghl_pool_strip(int64_t kernel, int64_t windows, int64_t channels)
{
    const int64_t fit = 16384 / (kernel * windows) / 64 * 64, strip = fit > 128 ? fit : 128;
    return channels < strip ? (channels + 31) / 32 * 32 : strip;
}

/* Bytes that a thread of a pool needs: a row of the image, two numbers for each window in `kernel` rows, a span a column. */
static inline size_t ghl_pool_scratch(int64_t kernel, int64_t columns, int64_t windows, int64_t channels)
{
    const int64_t floats = ghl_pool_strip(kernel, windows, channels) * (columns + 2 * kernel * windows) + 4 * (columns + windows);
    return (size_t)(floats * (int64_t)sizeof(float) + 63) / 64 * 64;
}

/* Bytes that a thread of column_norms needs: a padded row of squares, and of each row of the image the sums along it. */
static inline size_t ghl_norms_scratch(int64_t padding, int64_t columns, int64_t rows, int64_t windows)
{
    return (size_t)(columns + 2 * padding + rows * windows + 8) * sizeof(double);
}

#ifdef GHL_ISA
#define GHL_ISA_PASTE(name, isa) name##_##isa
#define GHL_ISA_EXPAND(name, isa) GHL_ISA_PASTE(name, isa)
#define GHL_ISA_NAME(name) GHL_ISA_EXPAND(name, GHL_ISA)
#define GHL_CPU_OP(op) GHL_ISA_NAME(ghl_cpu_##op)
#define GHL_CPU_DECLARE(op) ghl_cpu_op GHL_CPU_OP(op);
GHL_CPU_OPS(GHL_CPU_DECLARE)
#undef GHL_CPU_DECLARE
#define GHL_CPU_DECLARE(op) extern const ghl_by_images GHL_ISA_NAME(ghl_cpu_##op##_by_images);
GHL_CPU_BY_IMAGES(GHL_CPU_DECLARE)
#undef GHL_CPU_DECLARE
void GHL_ISA_NAME(ghl_cpu_filter_norms)(const ghl_call *call, const double *squares, float *factor);
void GHL_ISA_NAME(ghl_cpu_multiply_filters)(const ghl_call *call, const float *factor);
extern const ghl_conv_kernels GHL_ISA_NAME(ghl_cpu_winograd2);
extern const ghl_conv_kernels GHL_ISA_NAME(ghl_cpu_winograd4);
extern const ghl_conv_kernels GHL_ISA_NAME(ghl_cpu_linear);
extern const ghl_conv_kernels GHL_ISA_NAME(ghl_cpu_columns);
#if defined(__AVX512BF16__)
extern const ghl_conv16_kernels GHL_ISA_NAME(ghl_cpu_conv16);
#endif

/* SGD's step on a part of a weight: elements [begin, begin + n) with the direction d [n]; with a decay whole filters, and d is the product
 * from which instar_decay makes it, or with a scale oja_decay and then direction or ascent. */
typedef struct ghl_sgd {
    float *w, *buffer; /* buffer: NULL without momentum */
    float rate, coupled, decoupled, momentum;
    bool nesterov;
    const float *decay, *divisor;         /* [K] or NULL */
    const float *scale, *rates, *guide;   /* [1], [K], [K,fan_in] or NULL: a direction or ascent of what decays */
    int64_t fan_in;
} ghl_sgd;
ghl_sgd GHL_ISA_NAME(ghl_sgd_of)(const ghl_call *call); /* sgd, sgd_product */
void GHL_ISA_NAME(ghl_sgd_step)(const ghl_sgd *s, const float *d, int64_t begin, int64_t n);

/* Activations are f32 or bf16. GHL_CPU_RANGES(op, operand, items, each) makes an op of static GHL_CPU_BODY void op_range(call, scratch,
 * begin, end, half), which does items [begin, end): one range a thread. It is inlined once for each dtype, so that `half` is a constant
 * in its loops; a parallel loop inside it would be cut out before. each: how much work an item is, in elements of plain copying. */
#define GHL_CPU_BODY inline __attribute__((always_inline))
#define GHL_CPU_RANGES(op, operand, items, each)                                                      \
    static void op##_single(const ghl_call *call, void *scratch, int64_t begin, int64_t end)          \
    {                                                                                                 \
        op##_range(call, scratch, begin, end, 0);                                                     \
    }                                                                                                 \
    static void op##_half(const ghl_call *call, void *scratch, int64_t begin, int64_t end)            \
    {                                                                                                 \
        op##_range(call, scratch, begin, end, 1);                                                     \
    }                                                                                                 \
    ghl_status GHL_CPU_OP(op)(const ghl_call *call, void *scratch)                                    \
    {                                                                                                 \
        ghl_cpu_cut(call, scratch, (operand).dtype == GHL_BF16 ? op##_half : op##_single, items, each); \
        return GHL_OK;                                                                                \
    }

/* Element i of an array of activations, and its writing. */
static inline __attribute__((always_inline)) float ghl_get(const void *from, int64_t i, int half)
{
    return half ? ghl_bf16_widen(((const ghl_bf16 *)from)[i]) : ((const float *)from)[i];
}

static inline __attribute__((always_inline)) void ghl_put(void *to, int64_t i, float v, int half)
{
    if (half)
        ((ghl_bf16 *)to)[i] = ghl_bf16_round(v);
    else
        ((float *)to)[i] = v;
}

/* The address of element i. */
static inline __attribute__((always_inline)) void *ghl_at(const void *from, int64_t i, int half)
{
    return (char *)(uintptr_t)from + i * (half ? 2 : 4);
}

enum { GHL_CPU_SMALL = 1 << 14 }; /* elements below which a team costs more than it brings */

static inline int64_t ghl_cpu_min(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* The begin of part `i` of `parts` of `count` things. */
static inline int64_t ghl_cpu_part(int64_t count, int64_t parts, int64_t i)
{
    return count * i / parts;
}

typedef void ghl_cpu_range(const ghl_call *call, void *scratch, int64_t begin, int64_t end);

static inline __attribute__((unused)) void ghl_cpu_cut(const ghl_call *call, void *scratch, ghl_cpu_range *range, int64_t items,
                                                       int64_t each)
{
#pragma omp parallel if (items * each > GHL_CPU_SMALL)
    {
        int64_t threads = omp_get_num_threads(), thread = omp_get_thread_num();
        range(call, scratch, ghl_cpu_part(items, threads, thread), ghl_cpu_part(items, threads, thread + 1));
    }
}
#endif

#endif
