/* SPDX-License-Identifier: Apache-2.0
 *
 * conv.c - convolutions and linear layers, forward and backward: which kernel runs which shape.
 *
 * The choice is a table made by measurement (bench/ghl_bench_conv prints the figures), never a trial at start, so that the same recipe on
 * the same kind of processor always runs the same arithmetic.
 */
#include "device/cpu/conv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device/cpu/cpu.h"

/* The operands of a convolution, whatever its direction. */
static ghl_conv_problem problem_of(const ghl_call *call)
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

static ghl_status prepare_onednn(ghl_cpu *cpu, const ghl_call *call, const ghl_conv_problem *problem, ghl_kernel *kernel)
{
    onednn_conv *k = NULL;
    GHL_TRY(GHL_NEW(k, 1));
    ghl_status status = ghl_dnnl_prepare(cpu->dnnl, problem, &k->conv);
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

typedef struct own_conv {
    ghl_winograd winograd; /* one of these is the plan */
    ghl_linear linear;
    ghl_columns columns;
    const void *plan;
    const ghl_conv_kernels *kernels;
    ghl_scratch *scratch;
    char note[32];
} own_conv;

static ghl_status run_own(void *state, const ghl_call *call)
{
    const own_conv *k = state;
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
    const own_conv *k = state;
    const ghl_conv_kernels *run = k->kernels;
    const float *x = call->in[0].data, *const e[2] = {call->in[1].data, call->in[2].data};
    float *const dw[2] = {call->out[0].data, call->out[1].data}, *scratch = ghl_scratch_data(k->scratch);
    if (run->backward_weights_pair != NULL)
        run->backward_weights_pair(k->plan, x, e, dw, scratch);
    for (int i = 0; i < 2 && run->backward_weights_pair == NULL; i++)
        run->backward_weights(k->plan, x, e[i], dw[i], scratch);
    return GHL_OK;
}

/* ---- Own kernels on bf16 tiles ---- */

typedef struct tile_conv {
    ghl_amx plan; /* the first member: so are plans of copies by_rows seen elsewhere */
    const ghl_conv16_kernels *kernels;
    ghl_derived *weights; /* forward and backward data */
    ghl_scratch *scratch;
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
static ghl_amx packing_of(const ghl_amx *plan)
{
    const ghl_amx_gather *g = &plan->gather;
    ghl_amx out;
    memset(&out, 0, sizeof out);
    out.gather.sources = g->sources, out.gather.outputs = g->outputs, out.gather.channels = g->channels;
    out.gather.filters = g->filters, out.gather.filter = g->filter, out.gather.by_rows = g->by_rows;
    out.gather.source_step = g->source_step, out.gather.output_step = g->output_step, out.gather.tap_step = g->tap_step;
    out.gather.phases = g->phases;
    for (int i = 0; i < g->phases; i++) {
        const ghl_amx_phase *f = &g->phase[i];
        ghl_amx_phase *to = &out.gather.phase[i];
        to->run = f->run, to->runs = f->runs, to->taps = f->taps, to->blocks = f->blocks, to->depth = f->depth;
        to->weights_at = f->weights_at;
        for (int r = f->run; r < f->run + f->runs; r++)
            out.gather.run[r].tap = g->run[r].tap, out.gather.run[r].step = g->run[r].step;
    }
    return out;
}

static ghl_status prepare_tiles(ghl_cpu *cpu, const ghl_call *call, tile_conv *k, ghl_kernel *kernel)
{
    k->kernels = cpu->kernels->amx;
    k->scratch = cpu->scratch;
    GHL_TRY(ghl_scratch_reserve(cpu->scratch, k->plan.scratch_bytes));
    if (call->op == GHL_OP_conv || call->op == GHL_OP_conv_backward_data) {
        const tile_conv packing = {.plan = packing_of(&k->plan), .kernels = k->kernels};
        GHL_TRY(ghl_derived_want(cpu->derived, &call->in[1],
                                 &(ghl_derived_format){pack_tiles, &packing, sizeof packing, sizeof packing.plan, k->plan.weights_bytes,
                                                       k->plan.gather.by_rows != 0},
                                 &k->weights));
    }
    *kernel = (ghl_kernel){.run = run_tiles, .state = k, .release = free, .note = "amx tiles"};
    return GHL_OK;
}

/* ---- The choice ---- */

/* F(MxM, 3x3) is used from so many channels on both sides and from so large a saving of multiplications on. Of two tiles the larger
 * must save so much more, because it loses a bit or two and its transforms cost more. */
static const struct {
    int64_t channels;
    double saving, larger;
} winograd_from = {32, 1.2, 1.3};

/* Columns are written out for inputs of at most so many channels and outputs of at least so many. */
static const struct {
    int64_t inputs, outputs;
} columns_for = {4, 48};

/* Multiplications of the convolution over those of F(tile x tile, 3x3), whose tiles may stand out over the map's edge. Backward data
 * may cut either map. */
static double saving(const ghl_conv_problem *p, int64_t tile)
{
    int64_t of_x = ghl_winograd_tiles(p->x, tile), of_y = ghl_winograd_tiles(p->y, tile);
    int64_t tiles = p->direction == GHL_CONV_BACKWARD_DATA && of_x < of_y ? of_x : of_y;
    return 9.0 * (double)(p->y.n * p->y.h * p->y.w) / (double)((tile + 2) * (tile + 2) * tiles);
}

/* The tile to use, 2 or 4, or 0. */
static int64_t winograd_tile(const ghl_conv_problem *p)
{
    int64_t channels = p->x.c < p->y.c ? p->x.c : p->y.c, tile = saving(p, 4) > saving(p, 2) * winograd_from.larger ? 4 : 2;
    return channels >= winograd_from.channels && saving(p, tile) >= winograd_from.saving ? tile : 0;
}

static bool columns_pay(const ghl_conv_problem *p)
{
    return p->x.c <= columns_for.inputs && p->y.c >= columns_for.outputs;
}

/* Fills the plan of the first way that takes the problem, its name and the scratch it needs; false: none does. */
static bool choose_own(const ghl_cpu *cpu, const ghl_conv_problem *problem, own_conv *k, const char **name, size_t *bytes)
{
    int64_t tile = winograd_tile(problem);
    if (ghl_linear_plan(problem, cpu->threads, &k->linear)) {
        *name = "linear", *bytes = k->linear.scratch_bytes;
        k->plan = &k->linear, k->kernels = cpu->kernels->linear;
    } else if (tile > 0 && ghl_winograd_plan(problem, tile, &k->winograd)) {
        *name = tile == 2 ? "F(2x2,3x3)" : "F(4x4,3x3)", *bytes = k->winograd.scratch_bytes;
        k->plan = &k->winograd, k->kernels = tile == 2 ? cpu->kernels->winograd2 : cpu->kernels->winograd4;
    } else if (columns_pay(problem) && ghl_columns_plan(problem, cpu->threads, &k->columns)) {
        *name = "columns", *bytes = k->columns.scratch_bytes;
        k->plan = &k->columns, k->kernels = cpu->kernels->columns;
    } else
        return false;
    return true;
}

static ghl_status prepare_half(ghl_cpu *cpu, const ghl_call *call, ghl_conv_problem *problem, ghl_kernel *kernel)
{
    tile_conv *k = NULL;
    if (cpu->kernels->amx != NULL) {
        GHL_TRY(GHL_NEW(k, 1));
        if (ghl_amx_plan(problem, cpu->threads, &k->plan) && prepare_tiles(cpu, call, k, kernel) == GHL_OK)
            return GHL_OK;
        free(k);
    }
    flatten_linear(problem);
    return prepare_onednn(cpu, call, problem, kernel);
}

static ghl_status prepare_single(ghl_cpu *cpu, const ghl_call *call, const ghl_conv_problem *problem, ghl_kernel *kernel)
{
    own_conv *k = NULL;
    const char *name = NULL;
    size_t bytes = 0;
    GHL_TRY(GHL_NEW(k, 1));
    if (!choose_own(cpu, problem, k, &name, &bytes)) {
        free(k);
        return prepare_onednn(cpu, call, problem, kernel);
    }
    ghl_status status = ghl_scratch_reserve(cpu->scratch, bytes);
    if (status != GHL_OK) {
        free(k);
        return status;
    }
    k->scratch = cpu->scratch;
    snprintf(k->note, sizeof k->note, "%s %s", cpu->kernels->name, name);
    bool pair = call->op == GHL_OP_conv_backward_weights_pair;
    *kernel = (ghl_kernel){.run = pair ? run_own_pair : run_own, .state = k, .release = free, .note = k->note};
    return GHL_OK;
}

bool ghl_cpu_conv_multiplies(const ghl_kernel *kernel)
{
    return kernel->run == run_tiles;
}

bool ghl_cpu_conv_squares(const ghl_kernel *kernel)
{
    return kernel->run == run_own && ((const own_conv *)kernel->state)->kernels->forward_squares != NULL;
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

ghl_status ghl_cpu_conv_prepare(ghl_cpu *cpu, const ghl_call *call, ghl_kernel *kernel)
{
    ghl_conv_problem problem = problem_of(call);
    return problem.half ? prepare_half(cpu, call, &problem, kernel) : prepare_single(cpu, call, &problem, kernel);
}
