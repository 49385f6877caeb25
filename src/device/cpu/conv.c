/* SPDX-License-Identifier: Apache-2.0
 *
 * conv.c - convolutions and linear layers, forward and backward: the ways to do one, a row each. conv_choice.c says which is taken.
 */
#include "device/cpu/conv_way.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

ghl_conv_problem ghl_conv_problem_of(const ghl_call *call)
{
    ghl_conv_problem p;
    memset(&p, 0, sizeof p);
    p.window = call->attr.window;
    p.half = call->in[0].dtype == GHL_BF16;
    if (call->op == GHL_OP_conv) {
        p.direction = GHL_CONV_FORWARD;
        p.x = call->in[0].shape, p.w = call->in[1].shape, p.y = call->out[0].shape;
        p.bias = call->n_in > 2 && call->in[2].shape.c > 0;
    } else if (call->op == GHL_OP_conv_backward_data) {
        p.direction = GHL_CONV_BACKWARD_DATA;
        p.y = call->in[0].shape, p.w = call->in[1].shape, p.x = call->out[0].shape;
    } else {
        p.direction = GHL_CONV_BACKWARD_WEIGHTS;
        p.x = call->in[0].shape, p.y = call->in[1].shape, p.w = call->out[0].shape;
    }
    return p;
}

/* A linear layer as a 1x1 convolution of one position, the form in which oneDNN is quick at it. Memory is the same. */
static void flatten_linear(ghl_conv_problem *p)
{
    const ghl_window *window = &p->window;
    if (p->y.h != 1 || p->y.w != 1 || window->padding[0] != 0 || window->padding[1] != 0 || p->w.h != p->x.h || p->w.w != p->x.w)
        return;
    p->x = (ghl_shape){p->x.n, 1, 1, p->x.h * p->x.w * p->x.c};
    p->w = (ghl_shape){p->w.n, 1, 1, p->w.h * p->w.w * p->w.c};
    p->window = (ghl_window){.kernel = {1, 1}, .stride = {1, 1}};
}

/* ---- oneDNN ---- */

typedef struct onednn_conv {
    ghl_dnnl_conv *conv;
    ghl_derived *weights; /* NULL: the weights as they are */
} onednn_conv;

static ghl_status pack_onednn(const void *plan, const float *w, void *copy)
{
    return ghl_dnnl_pack(((const onednn_conv *)plan)->conv, w, copy);
}

static ghl_status run_onednn(void *state, const ghl_call *call)
{
    const onednn_conv *k = state;
    const float *bias = call->op == GHL_OP_conv && call->n_in > 2 ? call->in[2].data : NULL;
    const void *second = call->in[1].data;
    if (k->weights != NULL)
        GHL_TRY(ghl_derived_read(k->weights, second, &second));
    return ghl_dnnl_run(k->conv, call->in[0].data, second, bias, call->out[0].data);
}

static ghl_status run_onednn_pair(void *state, const ghl_call *call)
{
    const onednn_conv *k = state;
    GHL_TRY(ghl_dnnl_run(k->conv, call->in[0].data, call->in[1].data, NULL, call->out[0].data));
    return ghl_dnnl_run(k->conv, call->in[0].data, call->in[2].data, NULL, call->out[1].data);
}

static ghl_status prepare_onednn(ghl_cpu *cpu, const ghl_call *call, const ghl_conv_problem *problem, const ghl_conv_way *way,
                                 ghl_kernel *kernel)
{
    onednn_conv *k = NULL;
    ghl_conv_problem flat = *problem;
    (void)way;
    flatten_linear(&flat);
    GHL_TRY(GHL_NEW(k, 1));
    ghl_status status = ghl_dnnl_prepare(cpu->dnnl, &flat, &k->conv);
    size_t bytes = status == GHL_OK ? ghl_dnnl_weight_bytes(k->conv) : 0;
    if (bytes > 0)
        status = ghl_derived_want(cpu->derived, &call->in[1],
                                  &(ghl_derived_format){pack_onednn, k, sizeof *k, sizeof k->conv, bytes, false}, &k->weights);
    if (status != GHL_OK) {
        free(k);
        return status;
    }
    bool pair = call->op == GHL_OP_conv_backward_weights_pair;
    *kernel = (ghl_kernel){.run = pair ? run_onednn_pair : run_onednn, .state = k, .release = free, .note = ghl_dnnl_note(k->conv)};
    return GHL_OK;
}

/* ---- Own kernels ---- */

struct ghl_own_conv {
    ghl_winograd winograd; /* one of these is the plan */
    ghl_linear linear;
    ghl_columns columns;
    const void *plan;
    const ghl_conv_kernels *kernels;
    size_t scratch_bytes;
    ghl_scratch *scratch;
    char note[32];
};

static ghl_status run_own(void *state, const ghl_call *call)
{
    const ghl_own_conv *k = state;
    const ghl_conv_kernels *run = k->kernels;
    const float *a = call->in[0].data, *b = call->in[1].data;
    float *out = call->out[0].data, *scratch = ghl_scratch_data(k->scratch);
    if (call->n_out > 1)
        run->forward_squares(k->plan, a, b, out, call->out[1].data);
    else if (call->op == GHL_OP_conv)
        run->forward(k->plan, a, b, call->n_in > 2 ? call->in[2].data : NULL, out, scratch);
    else if (call->op == GHL_OP_conv_backward_data)
        run->backward_data(k->plan, a, b, out, scratch);
    else
        run->backward_weights(k->plan, a, b, out, scratch);
    return GHL_OK;
}

static ghl_status run_own_pair(void *state, const ghl_call *call)
{
    const ghl_own_conv *k = state;
    const ghl_conv_kernels *run = k->kernels;
    const float *x = call->in[0].data, *const e[2] = {call->in[1].data, call->in[2].data};
    float *const dw[2] = {call->out[0].data, call->out[1].data}, *scratch = ghl_scratch_data(k->scratch);
    if (run->backward_weights_pair != NULL)
        run->backward_weights_pair(k->plan, x, e, dw, scratch);
    for (int i = 0; i < 2 && run->backward_weights_pair == NULL; i++)
        run->backward_weights(k->plan, x, e[i], dw[i], scratch);
    return GHL_OK;
}

static bool plan_linear(const ghl_cpu *cpu, const ghl_conv_problem *problem, ghl_own_conv *k)
{
    bool takes = ghl_linear_plan(problem, cpu->threads, &k->linear);
    k->plan = &k->linear, k->kernels = cpu->kernels->linear, k->scratch_bytes = k->linear.scratch_bytes;
    return takes;
}

static bool plan_winograd2(const ghl_cpu *cpu, const ghl_conv_problem *problem, ghl_own_conv *k)
{
    bool takes = ghl_winograd_plan(problem, 2, &k->winograd);
    k->plan = &k->winograd, k->kernels = cpu->kernels->winograd2, k->scratch_bytes = k->winograd.scratch_bytes;
    return takes;
}

static bool plan_winograd4(const ghl_cpu *cpu, const ghl_conv_problem *problem, ghl_own_conv *k)
{
    bool takes = ghl_winograd_plan(problem, 4, &k->winograd);
    k->plan = &k->winograd, k->kernels = cpu->kernels->winograd4, k->scratch_bytes = k->winograd.scratch_bytes;
    return takes;
}

static bool plan_columns(const ghl_cpu *cpu, const ghl_conv_problem *problem, ghl_own_conv *k)
{
    bool takes = ghl_columns_plan(problem, cpu->threads, &k->columns);
    k->plan = &k->columns, k->kernels = cpu->kernels->columns, k->scratch_bytes = k->columns.scratch_bytes;
    return takes;
}

static ghl_status prepare_own(ghl_cpu *cpu, const ghl_call *call, const ghl_conv_problem *problem, const ghl_conv_way *way,
                              ghl_kernel *kernel)
{
    ghl_own_conv *k = NULL;
    GHL_TRY(GHL_NEW(k, 1));
    ghl_status status = way->plan(cpu, problem, k) ? ghl_scratch_reserve(cpu->scratch, k->scratch_bytes) : GHL_DEVICE;
    if (status != GHL_OK) {
        free(k);
        return status;
    }
    k->scratch = cpu->scratch;
    snprintf(k->note, sizeof k->note, "%s %s", cpu->kernels->name, way->name);
    bool pair = call->op == GHL_OP_conv_backward_weights_pair;
    *kernel = (ghl_kernel){.run = pair ? run_own_pair : run_own, .state = k, .release = free, .note = k->note};
    return GHL_OK;
}

/* ---- Own kernels on bf16 tiles ---- */

typedef struct tile_conv {
    ghl_conv16 plan; /* the first member: so are plans of copies by_rows seen elsewhere */
    const ghl_conv16_kernels *kernels;
    ghl_derived *weights; /* forward and backward data */
    ghl_scratch *scratch;
    char note[32];
} tile_conv;

static ghl_status pack_tiles(const void *plan, const float *w, void *copy)
{
    const tile_conv *k = plan;
    k->kernels->pack_weights(&k->plan, w, copy);
    return GHL_OK;
}

static ghl_status run_tiles(void *state, const ghl_call *call)
{
    const tile_conv *k = state;
    const ghl_conv16_kernels *run = k->kernels;
    const void *w = NULL;
    void *scratch = ghl_scratch_data(k->scratch), *out = call->out[0].data;
    if (k->weights == NULL) {
        const uint16_t *const e[2] = {call->in[1].data, call->n_in > 2 ? call->in[2].data : NULL};
        float *const dw[2] = {out, call->n_out > 1 ? call->out[1].data : NULL};
        run->backward_weights(&k->plan, call->in[0].data, call->n_in > 2 ? 2 : 1, e, dw, scratch);
        return GHL_OK;
    }
    GHL_TRY(ghl_derived_read(k->weights, call->in[1].data, &w));
    if (call->op == GHL_OP_conv)
        run->forward(&k->plan, call->in[0].data, w,
                     &(ghl_conv_tail){call->n_in > 2 ? call->in[2].data : NULL, call->n_in > 3 ? call->in[3].data : NULL}, out, scratch);
    else
        run->backward_data(&k->plan, call->in[0].data, w, out, scratch);
    return GHL_OK;
}

/* What decides the order of packed weights: equal where only the numbers of images and of threads differ. */
static ghl_conv16 packing_of(const ghl_conv16 *plan)
{
    const ghl_conv16_gather *g = &plan->gather;
    ghl_conv16 out;
    memset(&out, 0, sizeof out);
    out.gather.sources = g->sources, out.gather.outputs = g->outputs, out.gather.channels = g->channels;
    out.gather.filters = g->filters, out.gather.filter = g->filter, out.gather.by_rows = g->by_rows;
    out.gather.source_step = g->source_step, out.gather.output_step = g->output_step, out.gather.tap_step = g->tap_step;
    out.gather.phases = g->phases;
    for (int i = 0; i < g->phases; i++) {
        const ghl_conv16_phase *f = &g->phase[i];
        ghl_conv16_phase *to = &out.gather.phase[i];
        to->run = f->run, to->runs = f->runs, to->taps = f->taps, to->blocks = f->blocks, to->depth = f->depth;
        to->weights_at = f->weights_at;
        for (int r = f->run; r < f->run + f->runs; r++)
            out.gather.run[r].tap = g->run[r].tap, out.gather.run[r].step = g->run[r].step;
    }
    return out;
}

static ghl_status want_packed(ghl_cpu *cpu, const ghl_call *call, tile_conv *k)
{
    const tile_conv packing = {.plan = packing_of(&k->plan), .kernels = k->kernels};
    const ghl_derived_format format = {pack_tiles, &packing, sizeof packing, sizeof packing.plan, k->plan.weights_bytes,
                                       k->plan.gather.by_rows != 0};
    return ghl_derived_want(cpu->derived, &call->in[1], &format, &k->weights);
}

static ghl_status prepare_tiles(ghl_cpu *cpu, const ghl_call *call, const ghl_conv_problem *problem, const ghl_conv_way *way,
                                ghl_kernel *kernel)
{
    tile_conv *k = NULL;
    if (cpu->kernels->conv16 == NULL)
        return GHL_DEVICE;
    GHL_TRY(GHL_NEW(k, 1));
    k->kernels = cpu->kernels->conv16;
    k->scratch = cpu->scratch;
    snprintf(k->note, sizeof k->note, "%s %s", cpu->kernels->name, way->name);
    bool takes = ghl_conv16_plan_in(problem, way->form, cpu->threads, &k->plan);
    ghl_status status = takes ? ghl_scratch_reserve(cpu->scratch, k->plan.scratch_bytes) : GHL_DEVICE;
    if (status == GHL_OK && problem->direction != GHL_CONV_BACKWARD_WEIGHTS)
        status = want_packed(cpu, call, k);
    if (status != GHL_OK) {
        free(k);
        return status;
    }
    *kernel = (ghl_kernel){.run = run_tiles, .state = k, .release = free, .note = k->note};
    return GHL_OK;
}

/* ---- The table of ways ---- */

const ghl_conv_way ghl_conv_ways[] = {
    {"linear", .single = true, .prepare = prepare_own, .plan = plan_linear},
    {"F(2x2,3x3)", .single = true, .half = true, .prepare = prepare_own, .plan = plan_winograd2},
    {"F(4x4,3x3)", .single = true, .half = true, .prepare = prepare_own, .plan = plan_winograd4},
    {"columns", .single = true, .prepare = prepare_own, .plan = plan_columns},
    {"tiles padded", .half = true, .prepare = prepare_tiles, .form = GHL_CONV16_PADDED},
    {"tiles shifted", .half = true, .prepare = prepare_tiles, .form = GHL_CONV16_SHIFTED},
    {"tiles columns", .half = true, .prepare = prepare_tiles, .form = GHL_CONV16_COLUMNS},
    {"tiles direct", .half = true, .prepare = prepare_tiles, .form = GHL_CONV16_DIRECT},
    {"onednn", .single = true, .half = true, .prepare = prepare_onednn},
    {NULL},
};

bool ghl_cpu_conv_multiplies(const ghl_kernel *kernel)
{
    return kernel->run == run_tiles;
}

bool ghl_cpu_conv_squares(const ghl_kernel *kernel)
{
    return kernel->run == run_own && ((const ghl_own_conv *)kernel->state)->kernels->forward_squares != NULL;
}

ghl_status ghl_cpu_conv_ready(const ghl_kernel *kernel, const ghl_call *call)
{
    const void *copy;
    ghl_derived *weights = NULL;
    if (kernel->run == run_tiles)
        weights = ((const tile_conv *)kernel->state)->weights;
    else if (kernel->run == run_onednn)
        weights = ((const onednn_conv *)kernel->state)->weights;
    return weights == NULL ? GHL_OK : ghl_derived_read(weights, call->in[1].data, &copy);
}
