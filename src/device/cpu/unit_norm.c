/* SPDX-License-Identifier: Apache-2.0
 *
 * unit_norm.c - a layer whose filters count by their direction alone, u = x w' / |w_k| + bias: the convolution on w itself, by whatever way
 * is best for it, in bf16 on the copy of w that its last step made; and the norms. Some ways add up squares while they have w at hand;
 * else the norms are a pass before, and where the way can multiply its sums before it rounds them, it does; else they are divided after.
 */
#include <stdlib.h>

#include "device/cpu/cpu.h"

typedef struct unit_norm {
    ghl_kernel product;
    bool multiplies, adds; /* the product by itself: its sums are multiplied; squares are added up beside it */
    const ghl_cpu_kernels *kernels;
    float *factor;         /* [K]: 1 / |w_k| */
    double *squares;       /* [K] */
} unit_norm;

static ghl_status run(void *state, const ghl_call *call)
{
    const unit_norm *u = state;
    const ghl_operand bias = call->n_in > 2 ? call->in[2] : (ghl_operand){0};
    ghl_operand in[] = {call->in[0], call->in[1], bias, {.data = u->factor}}, out[] = {call->out[0], {.data = u->squares}};
    const ghl_call product = {.op = GHL_OP_conv, .n_in = u->multiplies ? 4 : 2, .n_out = u->adds ? 2 : 1, .in = in, .out = out,
                              .attr.window = call->attr.window};
    if (!u->adds)
        u->kernels->filter_norms(call, NULL, u->factor);
    GHL_TRY(u->product.run(u->product.state, &product));
    if (u->adds)
        u->kernels->filter_norms(call, u->squares, u->factor);
    if (!u->multiplies)
        u->kernels->multiply_filters(call, u->factor);
    return GHL_OK;
}

static void release(void *state)
{
    unit_norm *u = state;
    if (u->product.release != NULL)
        u->product.release(u->product.state);
    free(u->factor);
    free(u->squares);
    free(u);
}

ghl_status ghl_cpu_unit_norm_prepare(ghl_cpu *cpu, const ghl_call *call, ghl_kernel *kernel)
{
    const ghl_call product = {.op = GHL_OP_conv, .n_in = 2, .n_out = 1, .in = call->in, .out = call->out, .attr.window = call->attr.window};
    unit_norm *u = NULL;
    GHL_TRY(GHL_NEW(u, 1));
    u->kernels = cpu->kernels;
    ghl_status status = GHL_NEW(u->factor, call->in[1].shape.n);
    if (status == GHL_OK)
        status = GHL_NEW(u->squares, call->in[1].shape.n);
    if (status == GHL_OK)
        status = ghl_cpu_prepare(cpu, &product, &u->product);
    if (status != GHL_OK) {
        release(u);
        return status;
    }
    u->multiplies = ghl_cpu_conv_multiplies(&u->product);
    u->adds = ghl_cpu_conv_squares(&u->product);
    *kernel = (ghl_kernel){.run = run, .state = u, .release = release, .note = u->product.note};
    return GHL_OK;
}
