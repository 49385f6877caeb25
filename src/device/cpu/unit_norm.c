/* SPDX-License-Identifier: Apache-2.0
 *
 * unit_norm.c - a layer whose filters count by their direction alone, u = x w' / |w_k| + bias: the norms, which are a pass over w that
 * writes nothing, and the convolution on w itself, by whatever way is best for it; in bf16 that reads the copy of w that its last step
 * made. Where the way can multiply its sums before it rounds them, it does; else they are divided after it.
 */
#include <stdlib.h>

#include "device/cpu/cpu.h"

typedef struct unit_norm {
    ghl_kernel product;
    bool multiplies;
    const ghl_cpu_kernels *kernels;
    float *factor; /* [K]: 1 / |w_k| */
} unit_norm;

static ghl_status run(void *state, const ghl_call *call)
{
    const unit_norm *u = state;
    const ghl_operand bias = call->n_in > 2 ? call->in[2] : (ghl_operand){0};
    ghl_operand in[] = {call->in[0], call->in[1], bias, {.data = u->factor, .shape = call->in[1].shape}};
    const ghl_call product = {.op = GHL_OP_conv, .n_in = u->multiplies ? 4 : 2, .n_out = 1, .in = in, .out = call->out,
                              .attr.window = call->attr.window};
    u->kernels->filter_norms(call, u->factor);
    GHL_TRY(u->product.run(u->product.state, &product));
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
        status = ghl_cpu_prepare(cpu, &product, &u->product);
    if (status != GHL_OK) {
        release(u);
        return status;
    }
    u->multiplies = ghl_cpu_conv_multiplies(&u->product);
    *kernel = (ghl_kernel){.run = run, .state = u, .release = release, .note = u->product.note};
    return GHL_OK;
}
