/* SPDX-License-Identifier: Apache-2.0
 *
 * product.c - convolutions, and what is made of them, as steps of three sorts: a convolution of cuDNN's, a matrix product of cuBLASLt's,
 * which is what a convolution is where each image has one position, and a kernel of our own before or after them. A step names its
 * operands by places: the call's, or parts of scratch.
 *
 *     conv                     [round w, bias]  u = conv(x, w) + bias
 *     conv_unit_norm           [round w]  u = conv(x, w),  u = u / |w| + bias
 *     conv_backward_data       [round w]  dx
 *     conv_backward_weights    [widen x, e]  g          and of a pair: [widen r]  p
 *     sanger_decay             G = y^T y,  G below its diagonal,  s = G w,  d = factor (p - s)
 *
 * In brackets: for bf16. cuDNN takes weights of the images' type alone, and puts out gradients of it; but gradients are f32 here. So their
 * operands are widened, and engines may take them for tf32, which holds every bf16 number: the products are exact, the sums f32. cuBLASLt
 * puts out f32 of bf16: nothing is widened for it.
 */
#include <stdlib.h>
#include <string.h>

#include "device/cuda/blas.h"
#include "device/cuda/product.h"

enum { STEPS = 6, PARTS = 4, PART_ALIGNMENT = 256 };

/* An operand: input or output i of the call, or part i of scratch. */
typedef enum where { NOWHERE, IN, OUT, PART } where;
typedef struct place {
    where where;
    int i;
} place;

typedef struct step {
    ghl_cudnn_plan convolution; /* without descriptors of either: a kernel of our own */
    ghl_blas_plan product;
    ghl_cuda_plan plan;
    ghl_cuda_args args;
    place in[3], out[3];        /* of a convolution in: x, w, y; of a product in: a, b, d; and out[0]: bias */
} step;

typedef struct product {
    ghl_cuda_prepared base;
    step steps[STEPS];
    int n;
    size_t parts[PARTS], end, workspace; /* of scratch: where parts begin; where they end, and so cuDNN's begins; its size */
    int n_parts;
    char note[48];
} product;

/* ---- Building ---- */

static place part(product *p, size_t bytes)
{
    p->parts[p->n_parts] = p->end;
    p->end += (bytes + PART_ALIGNMENT - 1) / PART_ALIGNMENT * PART_ALIGNMENT;
    return (place){PART, p->n_parts++};
}

static place in_call(int i)
{
    return (place){IN, i};
}

static place out_call(int i)
{
    return (place){OUT, i};
}

/* A step by a kernel of our own: `call` describes its operands, and where they are say `in` and `out`. */
static ghl_status add_own(product *p, ghl_cuda_planner *planner, const ghl_call *call, const place *in, const place *out)
{
    step *s = &p->steps[p->n++];
    for (int i = 0; i < call->n_in; i++) {
        GHL_TRY(ghl_cuda_describe(call->op, &call->in[i], &s->args.in[i]));
        s->in[i] = in[i];
        s->args.half |= call->in[i].dtype == GHL_BF16;
    }
    for (int i = 0; i < call->n_out; i++) {
        GHL_TRY(ghl_cuda_describe(call->op, &call->out[i], &s->args.out[i]));
        s->out[i] = out[i];
        s->args.half |= call->out[i].dtype == GHL_BF16;
    }
    s->args.attr = call->attr;
    planner(call, &s->plan);
    s->args.parts = s->plan.parts;
    return GHL_OK;
}

/* A copy of the call's input in the other type, made by a step of its own where that is needed. */
static ghl_status converted(product *p, const ghl_operand *o, place from, int narrow, place *out)
{
    ghl_operand in = *o, copy = *o;
    *out = from;
    if ((o->dtype == GHL_BF16) == (narrow != 0))
        return GHL_OK;
    copy.dtype = narrow ? GHL_BF16 : GHL_F32;
    *out = part(p, (size_t)(o->shape.n * o->shape.h * o->shape.w * o->shape.c) * (narrow ? 2 : 4));
    const ghl_call call = {.op = GHL_OP_copy, .n_in = 1, .n_out = 1, .in = &in, .out = &copy};
    return add_own(p, narrow ? ghl_cuda_round : ghl_cuda_widen, &call, &from, out);
}

/* Whether each image has one position, which is all of it: as of linear layers. */
static int is_product(const ghl_cudnn_problem *p)
{
    return p->y.h == 1 && p->y.w == 1 && p->x.h == p->w.h && p->x.w == p->w.w && p->window.padding[0] == 0 && p->window.padding[1] == 0;
}

/* y [N,K] = x [N,F] w^T + bias, dx [N,F] = y w, g [K,F] = y^T x, which is f32. */
static ghl_status add_product(product *p, const ghl_cudnn_problem *problem, place x, place w, place y, place bias)
{
    const int64_t n = problem->x.n, k = problem->w.n, f = problem->w.h * problem->w.w * problem->w.c;
    ghl_blas_problem wanted = {.half = problem->half, .half_out = problem->half, .bias = problem->bias};
    step *s = &p->steps[p->n++];
    s->out[0] = bias;
    if (problem->kind == GHL_CUDNN_FORWARD) {
        wanted.rows = n, wanted.inner = f, wanted.columns = k, wanted.transposed_b = 1;
        s->in[0] = x, s->in[1] = w, s->in[2] = y;
    } else if (problem->kind == GHL_CUDNN_DATA) {
        wanted.rows = n, wanted.inner = k, wanted.columns = f;
        s->in[0] = y, s->in[1] = w, s->in[2] = x;
    } else {
        wanted.rows = k, wanted.inner = n, wanted.columns = f, wanted.transposed_a = 1, wanted.half_out = 0;
        s->in[0] = y, s->in[1] = x, s->in[2] = w;
    }
    if (p->base.cuda->blas == NULL)
        GHL_TRY(ghl_blas_open(&p->base.cuda->libraries.blas, 1, &p->base.cuda->blas));
    GHL_TRY(ghl_blas_prepare(p->base.cuda->blas, &wanted, &s->product));
    if (s->product.workspace_bytes > p->workspace)
        p->workspace = s->product.workspace_bytes;
    memcpy(p->note, s->product.note, sizeof p->note);
    return GHL_OK;
}

static ghl_status add_convolution(product *p, const ghl_cudnn_problem *problem, place x, place w, place y, place bias)
{
    if (is_product(problem))
        return add_product(p, problem, x, w, y, bias);
    step *s = &p->steps[p->n++];
    s->in[0] = x;
    s->in[1] = w;
    s->in[2] = y;
    s->out[0] = bias;
    GHL_TRY(ghl_cudnn_prepare(p->base.cuda->cudnn, problem, &s->convolution));
    if (s->convolution.workspace_bytes > p->workspace)
        p->workspace = s->convolution.workspace_bytes;
    memcpy(p->note, s->convolution.note, sizeof p->note);
    return GHL_OK;
}

static ghl_status build_conv(product *p, const ghl_call *call)
{
    const int half = call->in[0].dtype == GHL_BF16, norm = call->op == GHL_OP_conv_unit_norm;
    const int bias = ghl_cuda_has(call->in, call->n_in, 2) && !norm;
    const ghl_cudnn_problem problem = {.kind = GHL_CUDNN_FORWARD, .x = call->in[0].shape, .w = call->in[1].shape, .y = call->out[0].shape,
                                       .window = call->attr.window, .half = half, .bias = bias};
    place w, b = {NOWHERE, 0};
    GHL_TRY(converted(p, &call->in[1], in_call(1), half, &w));
    if (bias)
        GHL_TRY(converted(p, &call->in[2], in_call(2), half, &b));
    GHL_TRY(add_convolution(p, &problem, in_call(0), w, out_call(0), b));
    if (!norm)
        return GHL_OK;
    const place in[3] = {in_call(0), in_call(1), in_call(2)}, out[3] = {out_call(0), out_call(1), out_call(2)};
    return add_own(p, ghl_cuda_unit_norm, call, in, out);
}

static ghl_status build_data(product *p, const ghl_call *call)
{
    const int half = call->in[0].dtype == GHL_BF16;
    const ghl_cudnn_problem problem = {.kind = GHL_CUDNN_DATA, .x = call->out[0].shape, .w = call->in[1].shape, .y = call->in[0].shape,
                                       .window = call->attr.window, .half = half};
    place w;
    GHL_TRY(converted(p, &call->in[1], in_call(1), half, &w));
    return add_convolution(p, &problem, out_call(0), w, in_call(0), (place){NOWHERE, 0});
}

static ghl_status build_weights(product *p, const ghl_call *call)
{
    const int half = call->in[0].dtype == GHL_BF16;
    ghl_cudnn_problem problem = {.kind = GHL_CUDNN_WEIGHTS, .x = call->in[0].shape, .w = call->out[0].shape, .y = call->in[1].shape,
                                 .window = call->attr.window, .exact = half};
    place x, e;
    problem.half = half && is_product(&problem);
    GHL_TRY(converted(p, &call->in[0], in_call(0), problem.half, &x));
    for (int i = 0; i < call->n_out; i++) {
        GHL_TRY(converted(p, &call->in[1 + i], in_call(1 + i), problem.half, &e));
        GHL_TRY(add_convolution(p, &problem, x, out_call(i), e, (place){NOWHERE, 0}));
    }
    return GHL_OK;
}

static ghl_status build_sanger(product *p, const ghl_call *call)
{
    const ghl_shape ys = call->in[0].shape, ws = call->in[1].shape;
    const int64_t k = ws.n, f = ws.h * ws.w * ws.c;
    const ghl_window one = {{1, 1}, {1, 1}, {0, 0}};
    const ghl_shape square = {k, 1, 1, k}, rows = {k, 1, 1, f}, columns = {ys.n * ys.h * ys.w, 1, 1, k};
    const ghl_cudnn_problem gram = {.kind = GHL_CUDNN_WEIGHTS, .x = columns, .w = square, .y = columns, .window = one,
                                    .half = call->in[0].dtype == GHL_BF16};
    const ghl_cudnn_problem sum = {.kind = GHL_CUDNN_DATA, .x = rows, .w = rows, .y = square, .window = one};
    const place y = in_call(0), g = part(p, (size_t)(k * k) * sizeof(float)), s = part(p, (size_t)(k * f) * sizeof(float));
    GHL_TRY(add_convolution(p, &gram, y, g, y, (place){NOWHERE, 0}));
    ghl_operand triangle = {.shape = square}, in[2] = {call->in[1], call->in[1]}, d = call->out[0];
    const ghl_call lower = {.op = call->op, .n_out = 1, .out = &triangle};
    GHL_TRY(add_own(p, ghl_cuda_lower, &lower, NULL, &g));
    GHL_TRY(add_convolution(p, &sum, s, in_call(2), g, (place){NOWHERE, 0}));
    const ghl_call rest = {.op = call->op, .n_in = 2, .n_out = 1, .in = in, .out = &d, .attr = call->attr};
    const place from[2] = {s, in_call(1)}, to = out_call(0);
    return add_own(p, ghl_cuda_sanger, &rest, from, &to);
}

static ghl_status (*const builders[GHL_OP_COUNT])(product *p, const ghl_call *call) = {
    [GHL_OP_conv] = build_conv,
    [GHL_OP_conv_unit_norm] = build_conv,
    [GHL_OP_conv_backward_data] = build_data,
    [GHL_OP_conv_backward_weights] = build_weights,
    [GHL_OP_conv_backward_weights_pair] = build_weights,
    [GHL_OP_sanger_decay] = build_sanger,
};

/* ---- Running ---- */

static void *address(const product *p, const ghl_call *call, place at)
{
    switch (at.where) {
    case IN: return at.i < call->n_in ? call->in[at.i].data : NULL;
    case OUT: return at.i < call->n_out ? call->out[at.i].data : NULL;
    case PART: return (char *)p->base.cuda->scratch + p->parts[at.i];
    default: return NULL;
    }
}

static ghl_status run_convolution(const product *p, const step *s, const ghl_call *call)
{
    void *const data[GHL_CUDNN_TENSORS] = {[GHL_CUDNN_X] = address(p, call, s->in[0]), [GHL_CUDNN_W] = address(p, call, s->in[1]),
                                           [GHL_CUDNN_Y] = address(p, call, s->in[2]), [GHL_CUDNN_BIAS] = address(p, call, s->out[0])};
    return ghl_cudnn_run(p->base.cuda->cudnn, &s->convolution, p->base.cuda->stream, data, (char *)p->base.cuda->scratch + p->end);
}

static ghl_status run_product(const product *p, const step *s, const ghl_call *call)
{
    void *const data[4] = {address(p, call, s->in[0]), address(p, call, s->in[1]), address(p, call, s->in[2]), address(p, call, s->out[0])};
    return ghl_blas_run(p->base.cuda->blas, &s->product, p->base.cuda->stream, data, (char *)p->base.cuda->scratch + p->end);
}

static ghl_status run(void *state, const ghl_call *call)
{
    product *p = state;
    for (int k = 0; k < p->n; k++) {
        step *s = &p->steps[k];
        if (s->product.product != NULL) {
            GHL_TRY(run_product(p, s, call));
            continue;
        }
        if (s->convolution.descriptor != NULL) {
            GHL_TRY(run_convolution(p, s, call));
            continue;
        }
        for (int i = 0; i < 3; i++) {
            s->args.in[i].data = s->args.in[i].count > 0 ? address(p, call, s->in[i]) : NULL;
            s->args.out[i].data = s->args.out[i].count > 0 ? address(p, call, s->out[i]) : NULL;
        }
        s->args.scratch = (char *)p->base.cuda->scratch + p->end;
        GHL_TRY(ghl_cuda_launch_plan(p->base.cuda, &s->plan, &s->args));
    }
    return GHL_OK;
}

static void release(void *state)
{
    product *p = state;
    ghl_cuda_program_free(p->base.program);
    for (int i = 0; i < p->n; i++) {
        ghl_cudnn_release(p->base.cuda->cudnn, &p->steps[i].convolution);
        ghl_blas_release(p->base.cuda->blas, &p->steps[i].product);
    }
    free(p);
}

static ghl_status build(product *p, const ghl_call *call)
{
    ghl_cuda *cuda = p->base.cuda;
    if (cuda->cudnn == NULL)
        GHL_TRY(ghl_cudnn_open(&cuda->libraries.cudnn, NULL, &cuda->cudnn));
    GHL_TRY(builders[call->op](p, call));
    for (int i = 0; i < p->n; i++)
        if (p->steps[i].plan.scratch_bytes > p->workspace)
            p->workspace = p->steps[i].plan.scratch_bytes;
    return ghl_cuda_reserve_scratch(cuda, p->end + p->workspace);
}

ghl_status ghl_cuda_product_prepare(ghl_cuda *cuda, const ghl_call *call, ghl_kernel *kernel)
{
    if (builders[call->op] == NULL)
        return GHL_CUDA_FAIL(GHL_DEVICE, "take train.device=cpu", "device cuda has no kernel for op %s",
                             ghl_cuda_services->describe(call->op)->name);
    product *p = calloc(1, sizeof *p);
    if (p == NULL)
        return GHL_CUDA_FAIL(GHL_MEMORY, NULL, "device cuda: no memory");
    p->base.cuda = cuda;
    const ghl_status status = build(p, call);
    if (status != GHL_OK) {
        release(p);
        return status;
    }
    *kernel = (ghl_kernel){.run = run, .state = p, .release = release, .note = p->note};
    return GHL_OK;
}

void ghl_cuda_product_close(ghl_cuda *cuda)
{
    ghl_cudnn_close(cuda->cudnn);
    ghl_blas_close(cuda->blas);
    cuda->cudnn = NULL;
    cuda->blas = NULL;
}
