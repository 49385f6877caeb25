/* SPDX-License-Identifier: Apache-2.0
 *
 * gradient.c - gradients of weights, [K,F] of x [M,F] and e [M,K], in several ways, of which the quickest on the card is taken.
 *
 * A convolution of cuDNN's has one type for all operands; but gradients are f32. So bf16 operands are widened, and engines may take them
 * for tf32, which holds every bf16 number: the products are exact, the sums f32. Or, where cuDNN has an engine for a second operation that
 * writes the sums as f32, operands stay as they are. Such engines are compiled when they are planned.
 *
 * Both gradients of a pair read x. cuDNN 9.19 has no engine for a graph of two gradients, on any card; but where the errors lie side by
 * side, [M,2K], one convolution makes both. That costs a copy of the errors, which comes free where they are widened anyway, and saves the
 * second look at x.
 */
#include <stdio.h>
#include <string.h>

#include "device/cuda/steps.h"

typedef struct way {
    const char *name;
    int beside, narrow; /* both errors in one convolution; bf16 operands as they are */
} way;

static const way ways[] = {{"apart", 0, 0}, {"beside", 1, 0}, {"apart, bf16", 0, 1}, {"beside, bf16", 1, 1}};
enum { WAYS = sizeof ways / sizeof *ways, APART = 0, APART_NARROW = 2, KEY = 160 };

static int is_half(const ghl_call *call)
{
    return call->in[0].dtype == GHL_BF16;
}

static int takes(const way *way, const ghl_call *call)
{
    return (!way->beside || call->n_out == 2) && (!way->narrow || is_half(call));
}

/* ---- Building ---- */

/* x [M,F], e and r [M,K] -> [M,2K] -> [2K,F] -> g and p [K,F] */
static ghl_status add_beside(ghl_product *p, const ghl_call *call, ghl_cudnn_problem problem, ghl_place x, int narrow)
{
    ghl_operand both = {.dtype = narrow ? GHL_BF16 : GHL_F32, .shape = problem.y}, sums = {.shape = problem.w};
    both.shape.c = problem.y.c *= 2;
    sums.shape.n = problem.w.n *= 2;
    const ghl_place errors = ghl_product_part(p, (size_t)ghl_elements(both.shape) * (narrow ? 2 : 4));
    const ghl_place gradients = ghl_product_part(p, (size_t)ghl_elements(sums.shape) * 4);
    const ghl_place in[2] = {ghl_in(1), ghl_in(2)}, out[2] = {ghl_out(0), ghl_out(1)};
    const ghl_call copy = {.op = GHL_OP_copy, .n_in = 2, .n_out = 1, .in = call->in + 1, .out = &both};
    const ghl_call split = {.op = GHL_OP_copy, .n_in = 1, .n_out = 2, .in = &sums, .out = call->out};
    GHL_TRY(ghl_product_own(p, ghl_cuda_beside, &copy, in, &errors));
    p->steps[p->n - 1].args.half = is_half(call);
    p->steps[p->n - 1].args.bytes = narrow ? 2 : 4;
    GHL_TRY(ghl_product_convolve(p, &problem, x, gradients, errors, ghl_nowhere()));
    return ghl_product_own(p, ghl_cuda_halves, &split, &gradients, out);
}

static ghl_status build_way(ghl_product *p, const ghl_call *call, const way *way)
{
    const ghl_cudnn_problem problem = {.kind = GHL_CUDNN_WEIGHTS, .x = call->in[0].shape, .w = call->out[0].shape, .y = call->in[1].shape,
                                       .window = call->attr.window, .half = way->narrow, .wide = way->narrow,
                                       .rounds = is_half(call) && !way->narrow};
    ghl_place x, e;
    GHL_TRY(ghl_product_convert(p, &call->in[0], ghl_in(0), way->narrow, &x));
    if (way->beside)
        return add_beside(p, call, problem, x, way->narrow);
    for (int i = 0; i < call->n_out; i++) {
        GHL_TRY(ghl_product_convert(p, &call->in[1 + i], ghl_in(1 + i), way->narrow, &e));
        GHL_TRY(ghl_product_convolve(p, &problem, x, ghl_out(i), e, ghl_nowhere()));
    }
    return GHL_OK;
}

/* ---- Choosing ---- */

typedef struct trial {
    ghl_product *product;
    ghl_call call;
    ghl_operand in[3], out[2];
} trial;

static ghl_status run_trial(void *user)
{
    trial *t = user;
    return ghl_product_run(t->product, &t->call);
}

/* On operands and scratch of its own. */
static ghl_status time_way(ghl_product *p, const ghl_call *call, float *milliseconds)
{
    enum { MOST = 6 };
    ghl_cuda *cuda = p->base.cuda;
    trial t = {.product = p, .call = *call};
    size_t bytes[MOST];
    void *places[MOST], *memory = NULL, *const scratch = cuda->scratch;
    ghl_operand *operands[MOST];
    int n = 0;
    for (int i = 0; i < call->n_in; i++)
        t.in[i] = call->in[i], operands[n++] = &t.in[i];
    for (int i = 0; i < call->n_out; i++)
        t.out[i] = call->out[i], operands[n++] = &t.out[i];
    for (int i = 0; i < n; i++)
        bytes[i] = (size_t)ghl_elements(operands[i]->shape) * (operands[i]->dtype == GHL_BF16 ? 2 : 4);
    bytes[n] = ghl_product_scratch(p);
    GHL_TRY(ghl_cuda_room(cuda, n + 1, bytes, places, &memory));
    for (int i = 0; i < n; i++)
        operands[i]->data = places[i];
    t.call.in = t.in;
    t.call.out = t.out;
    cuda->scratch = places[n];
    const ghl_status status = ghl_cuda_time(cuda, run_trial, &t, 0.0f, milliseconds);
    cuda->scratch = scratch;
    ghl_cuda_free(cuda, memory);
    return status;
}

/* What is chosen on the way goes to *choices, which are the caller's, and not into the run's record. */
static ghl_status build_trial(ghl_product *p, const ghl_call *call, const way *way, struct ghl_choices **choices)
{
    GHL_TRY(ghl_cuda_services->choices_create(NULL, choices));
    p->base.cuda->tried = *choices;
    const ghl_status status = build_way(p, call, way);
    p->base.cuda->tried = NULL;
    return status;
}

/* The ways behind the first, which takes `least`; what was built and chosen for the quickest is left in *p and *choices. */
static void try_others(ghl_product *p, const ghl_call *call, float least, const way **best, struct ghl_choices **choices)
{
    float milliseconds;
    for (int i = APART + 1; i < WAYS; i++) {
        ghl_product other = {.base = p->base};
        struct ghl_choices *others = NULL;
        if (takes(&ways[i], call) && build_trial(&other, call, &ways[i], &others) == GHL_OK &&
            time_way(&other, call, &milliseconds) == GHL_OK && milliseconds >= 0.0f && milliseconds < 0.98f * least) {
            ghl_product_clear(p);
            ghl_cuda_services->choices_free(*choices);
            *p = other;
            *choices = others;
            *best = &ways[i];
            least = milliseconds;
        } else {
            ghl_product_clear(&other);
            ghl_cuda_services->choices_free(others);
        }
    }
}

/* Tries all ways that take the call. One that fails is none, but the first must be possible. Without memory to try any, it is the first. */
static ghl_status try_ways(ghl_product *p, const ghl_call *call, const way **best, int *measured)
{
    struct ghl_choices *choices = NULL;
    float least = 0.0f;
    ghl_status status = build_trial(p, call, &ways[APART], &choices);
    *best = &ways[APART];
    if (status == GHL_OK) {
        *measured = time_way(p, call, &least) == GHL_OK && least >= 0.0f;
        if (*measured)
            try_others(p, call, least, best, &choices);
        else
            status = ghl_cuda_check(cudaGetLastError(), "trying a convolution");
    }
    if (status == GHL_OK)
        status = ghl_cuda_choices_keep(p->base.cuda, choices);
    ghl_cuda_services->choices_free(choices);
    return status;
}

/* The way of that name, if it takes the call and cuDNN still can. */
static const way *build_named(ghl_product *p, const ghl_call *call, const char *name)
{
    for (int i = 0; i < WAYS; i++)
        if (strcmp(name, ways[i].name) == 0 && takes(&ways[i], call)) {
            if (build_way(p, call, &ways[i]) == GHL_OK)
                return &ways[i];
            ghl_product_clear(p);
        }
    return NULL;
}

static void key_of(const ghl_cuda *cuda, const ghl_call *call, char key[KEY])
{
    const ghl_shape x = call->in[0].shape;
    const ghl_window *v = &call->attr.window;
    snprintf(key, KEY, "%s %s n%lld %lldx%lldx%lld->%lld %dx%d/%dx%d+%dx%d%s", call->n_out == 2 ? "pair" : "gradient",
             is_half(call) ? "bf16" : cuda->rounds ? "tf32" : "f32", (long long)x.n, (long long)x.h, (long long)x.w, (long long)x.c,
             (long long)call->in[1].shape.c, (int)v->kernel[0], (int)v->kernel[1], (int)v->stride[0], (int)v->stride[1],
             (int)v->padding[0], (int)v->padding[1], cuda->loose ? " loose" : "");
}

ghl_status ghl_gradient_build(ghl_product *p, const ghl_call *call)
{
    const ghl_cudnn_problem shapes = {.x = call->in[0].shape, .w = call->out[0].shape, .y = call->in[1].shape, .window = call->attr.window};
    char key[KEY], found[2][GHL_CUDA_WORDS];
    const way *built = NULL;
    int measured = 0;
    if (ghl_product_is_matrix(&shapes)) /* cuBLASLt puts out f32 of bf16 */
        return build_way(p, call, &ways[is_half(call) ? APART_NARROW : APART]);
    if (!is_half(call) && call->n_out == 1)
        return build_way(p, call, &ways[APART]);
    key_of(p->base.cuda, call, key);
    GHL_TRY(ghl_cuda_choice_find(p->base.cuda, key, found));
    for (int i = 0; i < 2 && built == NULL; i++)
        built = build_named(p, call, found[i]);
    if (built == NULL)
        GHL_TRY(try_ways(p, call, &built, &measured));
    return ghl_cuda_choice_record(p->base.cuda, key, built->name, measured);
}
