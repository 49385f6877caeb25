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

/* ---- oneDNN ---- */

static ghl_status run_onednn(void *state, const ghl_call *call)
{
    const float *bias = call->op == GHL_OP_conv && call->n_in > 2 ? call->in[2].data : NULL;
    return ghl_dnnl_run(state, call->in[0].data, call->in[1].data, bias, call->out[0].data);
}

static ghl_status run_onednn_pair(void *state, const ghl_call *call)
{
    GHL_TRY(ghl_dnnl_run(state, call->in[0].data, call->in[1].data, NULL, call->out[0].data));
    return ghl_dnnl_run(state, call->in[0].data, call->in[2].data, NULL, call->out[1].data);
}

static ghl_status prepare_onednn(ghl_cpu *cpu, const ghl_call *call, const ghl_conv_problem *problem, ghl_kernel *kernel)
{
    ghl_dnnl_conv *conv = NULL;
    GHL_TRY(ghl_dnnl_prepare(cpu->dnnl, problem, &conv));
    *kernel = (ghl_kernel){
        .run = call->op == GHL_OP_conv_backward_weights_pair ? run_onednn_pair : run_onednn,
        .state = conv,
        .note = ghl_dnnl_note(conv),
    };
    return GHL_OK;
}

/* ---- Winograd ---- */

typedef struct winograd_kernel {
    ghl_winograd g;
    const ghl_winograd_kernels *kernels;
    ghl_scratch *scratch;
    char note[32];
} winograd_kernel;

static ghl_status run_winograd(void *state, const ghl_call *call)
{
    const winograd_kernel *k = state;
    const float *a = call->in[0].data, *b = call->in[1].data;
    float *out = call->out[0].data, *scratch = ghl_scratch_data(k->scratch);
    if (call->op == GHL_OP_conv)
        k->kernels->forward(&k->g, a, b, call->n_in > 2 ? call->in[2].data : NULL, out, scratch);
    else if (call->op == GHL_OP_conv_backward_data)
        k->kernels->backward_data(&k->g, a, b, out, scratch);
    else
        k->kernels->backward_weights(&k->g, a, b, out, scratch);
    if (call->op == GHL_OP_conv_backward_weights_pair)
        k->kernels->backward_weights(&k->g, a, call->in[2].data, call->out[1].data, scratch);
    return GHL_OK;
}

static ghl_status prepare_winograd(ghl_cpu *cpu, const ghl_winograd *g, ghl_kernel *kernel)
{
    winograd_kernel *k = NULL;
    GHL_TRY(ghl_scratch_reserve(cpu->scratch, g->scratch_bytes));
    GHL_TRY(GHL_NEW(k, 1));
    *k = (winograd_kernel){.g = *g, .kernels = cpu->kernels->winograd, .scratch = cpu->scratch};
    snprintf(k->note, sizeof k->note, "%s F(2x2,3x3)", cpu->kernels->name);
    *kernel = (ghl_kernel){.run = run_winograd, .state = k, .release = free, .note = k->note};
    return GHL_OK;
}

/* ---- The choice ---- */

/* F(2x2, 3x3) is used from this many channels on both sides and from this saving of multiplications on; a direction has one row. */
static const struct {
    int64_t channels;
    double saving;
} winograd_from[] = {
    [GHL_CONV_FORWARD] = {32, 1.2},
    [GHL_CONV_BACKWARD_DATA] = {32, 1.2},
    [GHL_CONV_BACKWARD_WEIGHTS] = {32, 1.2},
};

/* Multiplications of the convolution over those of its tiles: 2.25 where tiles fill the map. */
static double saving(const ghl_conv_problem *p)
{
    ghl_shape to = p->direction == GHL_CONV_BACKWARD_DATA ? p->x : p->y;
    double tiles = (double)((to.h + 1) / 2) * (double)((to.w + 1) / 2);
    return 9.0 * (double)(p->y.h * p->y.w) / (16.0 * tiles);
}

ghl_status ghl_cpu_conv_prepare(ghl_cpu *cpu, const ghl_call *call, ghl_kernel *kernel)
{
    ghl_conv_problem problem = problem_of(call);
    ghl_winograd g;
    int64_t channels = problem.x.c < problem.y.c ? problem.x.c : problem.y.c;
    if (channels >= winograd_from[problem.direction].channels && saving(&problem) >= winograd_from[problem.direction].saving &&
        ghl_winograd_plan(&problem, &g))
        return prepare_winograd(cpu, &g, kernel);
    return prepare_onednn(cpu, call, &problem, kernel);
}
