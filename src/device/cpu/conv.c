/* SPDX-License-Identifier: Apache-2.0
 *
 * conv.c - convolutions and linear layers, forward and backward: which kernel runs which shape.
 */
#include <stdlib.h>
#include <string.h>

#include "device/cpu/cpu.h"

/* The operands of a convolution, whatever its direction. */
static ghl_conv_problem problem_of(const ghl_call *call)
{
    ghl_conv_problem p;
    memset(&p, 0, sizeof p);
    p.window = call->attr.window;
    switch (call->op) {
    case GHL_OP_conv:
        p.direction = GHL_CONV_FORWARD;
        p.x = call->in[0].shape, p.w = call->in[1].shape, p.y = call->out[0].shape;
        p.bias = call->n_in > 2 && call->in[2].shape.c > 0;
        break;
    case GHL_OP_conv_backward_data:
        p.direction = GHL_CONV_BACKWARD_DATA;
        p.y = call->in[0].shape, p.w = call->in[1].shape, p.x = call->out[0].shape;
        break;
    default:
        p.direction = GHL_CONV_BACKWARD_WEIGHTS;
        p.x = call->in[0].shape, p.y = call->in[1].shape, p.w = call->out[0].shape;
    }
    return p;
}

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

ghl_status ghl_cpu_conv_prepare(ghl_cpu *cpu, const ghl_call *call, ghl_kernel *kernel)
{
    ghl_conv_problem problem = problem_of(call);
    ghl_dnnl_conv *conv = NULL;
    GHL_TRY(ghl_dnnl_prepare(cpu->dnnl, &problem, &conv));
    *kernel = (ghl_kernel){
        .run = call->op == GHL_OP_conv_backward_weights_pair ? run_onednn_pair : run_onednn,
        .state = conv,
        .note = ghl_dnnl_note(conv),
    };
    return GHL_OK;
}
