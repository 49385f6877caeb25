/* SPDX-License-Identifier: Apache-2.0
 *
 * product.c - convolutions, and what is made of them, as steps of two sorts: a convolution of cuDNN's, and a kernel of our own before or
 * after it. A step names its operands by places: the call's, or parts of scratch.
 *
 *     conv                     [round w, bias]  u = conv(x, w) + bias
 *     conv_unit_norm           [round w]  u = conv(x, w),  u = u / |w| + bias
 *     conv_backward_data       [round w]  dx
 *     conv_backward_weights    [widen x, e]  g          and of a pair: [widen r]  p; in other ways too, see below
 *     sanger_decay             [widen y]  G = y^T y,  G below its diagonal,  s = G w,  d = factor (p - s)
 *
 * In brackets: for bf16. A convolution of cuDNN's has one type for all operands; but gradients are f32 here. So their operands are widened,
 * and engines may take them for tf32, which holds every bf16 number: the products are exact, the sums f32. Or, where cuDNN has an engine for
 * a second operation that writes the sums as f32, nothing need be widened.
 *
 * Both gradients of a pair read x. cuDNN 9.19 has no engine for a graph of two gradients, on any card; but where the errors lie side by side,
 * [M,2K], one convolution makes both. That costs a copy of the errors, which comes free where they are widened anyway, and saves the second
 * look at x. Which way is quicker is tried out.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device/cuda/choose.h"

enum { STEPS = 6, PARTS = 4, PART_ALIGNMENT = 256 };

/* An operand: input or output i of the call, or part i of scratch. */
typedef enum where { NOWHERE, IN, OUT, PART } where;
typedef struct place {
    where where;
    int i;
} place;

typedef struct step {
    ghl_cudnn_plan convolution; /* no descriptor: a kernel of our own */
    ghl_cuda_plan plan;
    ghl_cuda_args args;
    place in[3], out[3];        /* of a convolution in: x, w, y, and out[0]: bias */
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

static int64_t elements(ghl_shape s)
{
    return s.n * s.h * s.w * s.c;
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
    *out = part(p, (size_t)elements(o->shape) * (narrow ? 2 : 4));
    const ghl_call call = {.op = GHL_OP_copy, .n_in = 1, .n_out = 1, .in = &in, .out = &copy};
    return add_own(p, narrow ? ghl_cuda_round : ghl_cuda_widen, &call, &from, out);
}

static ghl_status add_convolution(product *p, const ghl_cudnn_problem *problem, place x, place w, place y, place bias)
{
    step *s = &p->steps[p->n++];
    s->in[0] = x;
    s->in[1] = w;
    s->in[2] = y;
    s->out[0] = bias;
    ghl_cudnn_problem allowed = *problem;
    allowed.rounds |= p->base.cuda->rounds && !problem->half;
    allowed.loose = p->base.cuda->loose;
    GHL_TRY(ghl_cuda_choose(p->base.cuda, &allowed, &s->convolution));
    if (s->convolution.workspace_bytes > p->workspace)
        p->workspace = s->convolution.workspace_bytes;
    memcpy(p->note, s->convolution.note, sizeof p->note);
    return GHL_OK;
}

/* ---- Builders ---- */

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

/* Ways to gradients of weights. */
typedef struct way {
    const char *name;
    int beside, narrow; /* both errors in one convolution; bf16 operands as they are */
} way;

static const way ways[] = {{"apart", 0, 0}, {"beside", 1, 0}, {"apart, bf16", 0, 1}, {"beside, bf16", 1, 1}};
enum { WAYS = sizeof ways / sizeof *ways };

/* x [M,C], e and r [M,K] -> [M,2K] -> [2K,F] -> g and p [K,F] */
static ghl_status add_beside(product *p, const ghl_call *call, ghl_cudnn_problem problem, place x, int half)
{
    ghl_operand both = {.dtype = half ? GHL_BF16 : GHL_F32, .shape = problem.y}, sums = {.shape = problem.w};
    both.shape.c = problem.y.c *= 2;
    sums.shape.n = problem.w.n *= 2;
    const place errors = part(p, (size_t)elements(both.shape) * (half ? 2 : 4)), gradients = part(p, (size_t)elements(sums.shape) * 4);
    const place in[2] = {in_call(1), in_call(2)}, out[2] = {out_call(0), out_call(1)};
    const ghl_call copy = {.op = GHL_OP_copy, .n_in = 2, .n_out = 1, .in = call->in + 1, .out = &both};
    const ghl_call split = {.op = GHL_OP_copy, .n_in = 1, .n_out = 2, .in = &sums, .out = call->out};
    GHL_TRY(add_own(p, ghl_cuda_beside, &copy, in, &errors));
    p->steps[p->n - 1].args.half = call->in[1].dtype == GHL_BF16;
    p->steps[p->n - 1].args.bytes = half ? 2 : 4;
    GHL_TRY(add_convolution(p, &problem, x, gradients, errors, (place){NOWHERE, 0}));
    return add_own(p, ghl_cuda_halves, &split, &gradients, out);
}

static ghl_status build_way(product *p, const ghl_call *call, const way *way)
{
    const int half = call->in[0].dtype == GHL_BF16;
    const ghl_cudnn_problem problem = {.kind = GHL_CUDNN_WEIGHTS, .x = call->in[0].shape, .w = call->out[0].shape, .y = call->in[1].shape,
                                       .window = call->attr.window, .rounds = half && !way->narrow, .half = way->narrow,
                                       .wide = way->narrow};
    place x = in_call(0), e;
    if (!way->narrow)
        GHL_TRY(converted(p, &call->in[0], in_call(0), 0, &x));
    if (way->beside)
        return add_beside(p, call, problem, x, way->narrow);
    for (int i = 0; i < call->n_out; i++) {
        e = in_call(1 + i);
        if (!way->narrow)
            GHL_TRY(converted(p, &call->in[1 + i], e, 0, &e));
        GHL_TRY(add_convolution(p, &problem, x, out_call(i), e, (place){NOWHERE, 0}));
    }
    return GHL_OK;
}

static void release_steps(product *p)
{
    for (int i = 0; i < p->n; i++)
        ghl_cudnn_release(p->base.cuda->cudnn, &p->steps[i].convolution);
    p->n = 0;
}

typedef struct trial {
    product *product;
    const ghl_call *call;
} trial;

static ghl_status run(void *state, const ghl_call *call);

static ghl_status run_trial(void *user)
{
    const trial *t = user;
    return run(t->product, t->call);
}

/* On operands and scratch of its own. */
static ghl_status time_way(product *p, const ghl_call *call, float *milliseconds)
{
    enum { MOST = 6 };
    ghl_cuda *cuda = p->base.cuda;
    ghl_operand in[3], out[2];
    size_t bytes[MOST];
    void *places[MOST], *memory = NULL, *scratch = cuda->scratch;
    ghl_call same = *call;
    int n = 0;
    for (int i = 0; i < call->n_in; i++)
        bytes[n++] = (size_t)elements(call->in[i].shape) * (call->in[i].dtype == GHL_BF16 ? 2 : 4);
    for (int i = 0; i < call->n_out; i++)
        bytes[n++] = (size_t)elements(call->out[i].shape) * 4;
    bytes[n++] = p->end + p->workspace;
    GHL_TRY(ghl_cuda_room(cuda, n, bytes, places, &memory));
    memcpy(in, call->in, (size_t)call->n_in * sizeof *in);
    memcpy(out, call->out, (size_t)call->n_out * sizeof *out);
    for (int i = 0; i < call->n_in + call->n_out; i++)
        (i < call->n_in ? &in[i] : &out[i - call->n_in])->data = places[i];
    same.in = in;
    same.out = out;
    cuda->scratch = places[n - 1];
    const ghl_status status = ghl_cuda_time(cuda, run_trial, &(trial){p, &same}, 0.0f, milliseconds);
    cuda->scratch = scratch;
    cudaFree(memory);
    return status;
}

/* Tries the ways that take the call; the quickest is built. Where there is no memory to try them, it is the first. */
static ghl_status quickest_way(product *p, const ghl_call *call, const char **name)
{
    const int half = call->in[0].dtype == GHL_BF16, pair = call->n_out == 2;
    float best = 0.0f;
    for (int i = 0; i < WAYS; i++) {
        product other = {.base = p->base};
        float milliseconds = 0.0f;
        if ((ways[i].beside && !pair) || (ways[i].narrow && !half))
            continue;
        ghl_status status = build_way(&other, call, &ways[i]);
        if (status == GHL_OK)
            status = time_way(&other, call, &milliseconds);
        if (status == GHL_OK && milliseconds < 0.0f)
            status = GHL_DEVICE;
        if ((status == GHL_OK && (p->n == 0 || milliseconds < 0.98f * best)) || (status == GHL_MEMORY && p->n == 0 && i == 0)) {
            release_steps(p);
            *p = other;
            best = milliseconds;
            *name = ways[i].name;
            if (status == GHL_MEMORY)
                return GHL_OK;
            continue;
        }
        release_steps(&other);
        if (status != GHL_OK && p->n == 0)
            return status;
    }
    return GHL_OK;
}

static ghl_status build_weights(product *p, const ghl_call *call)
{
    const ghl_shape x = call->in[0].shape, y = call->in[1].shape;
    const ghl_window *v = &call->attr.window;
    const int half = call->in[0].dtype == GHL_BF16, pair = call->n_out == 2;
    ghl_cuda *cuda = p->base.cuda;
    const char *name = NULL;
    char key[160], found[2][GHL_CUDA_WORDS];
    if (!half && !pair)
        return build_way(p, call, &ways[0]);
    snprintf(key, sizeof key, "%s %s%s n%lld %lldx%lldx%lld->%lld %dx%d/%dx%d+%dx%d", pair ? "pair" : "gradient",
             half ? "bf16" : cuda->rounds ? "tf32" : "f32", cuda->loose ? " loose" : "", (long long)x.n, (long long)x.h, (long long)x.w,
             (long long)x.c, (long long)y.c, (int)v->kernel[0], (int)v->kernel[1], (int)v->stride[0], (int)v->stride[1],
             (int)v->padding[0], (int)v->padding[1]);
    GHL_TRY(ghl_cuda_choice_find(cuda, key, found));
    for (int k = 0; k < 2 && name == NULL; k++)
        for (int i = 0; i < WAYS && name == NULL; i++) {
            if (strcmp(found[k], ways[i].name) != 0 || (ways[i].beside && !pair) || (ways[i].narrow && !half))
                continue;
            if (build_way(p, call, &ways[i]) == GHL_OK)
                name = ways[i].name;
            else
                release_steps(p);
        }
    const int measured = name == NULL;
    if (measured)
        GHL_TRY(quickest_way(p, call, &name));
    return ghl_cuda_choice_record(cuda, key, name, measured);
}

static ghl_status build_sanger(product *p, const ghl_call *call)
{
    const ghl_shape ys = call->in[0].shape, ws = call->in[1].shape;
    const int64_t k = ws.n, f = ws.h * ws.w * ws.c;
    const ghl_window one = {{1, 1}, {1, 1}, {0, 0}};
    const ghl_shape square = {k, 1, 1, k}, rows = {k, 1, 1, f}, columns = {ys.n * ys.h * ys.w, 1, 1, k};
    const ghl_cudnn_problem gram = {.kind = GHL_CUDNN_WEIGHTS, .x = columns, .w = square, .y = columns, .window = one};
    const ghl_cudnn_problem sum = {.kind = GHL_CUDNN_DATA, .x = rows, .w = rows, .y = square, .window = one};
    place y;
    GHL_TRY(converted(p, &call->in[0], in_call(0), 0, &y));
    const place g = part(p, (size_t)(k * k) * sizeof(float)), s = part(p, (size_t)(k * f) * sizeof(float));
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

static ghl_status run(void *state, const ghl_call *call)
{
    product *p = state;
    for (int k = 0; k < p->n; k++) {
        step *s = &p->steps[k];
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
    release_steps(p);
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
    cuda->cudnn = NULL;
}
