/* SPDX-License-Identifier: Apache-2.0
 *
 * relu.c - y = max(x, 0). Its backward pass reads x, which local rules keep anyway.
 */
#include "layer/pointwise.h"

static ghl_tensor forward(ghl_emitter *em, const ghl_node *node, const ghl_tensor *in)
{
    (void)node;
    return ghl_emit_like(em, GHL_OP_relu, NULL, 1, in, 0);
}

static void backward(ghl_emitter *em, const ghl_node *node, const ghl_tensor *in, ghl_tensor e, ghl_tensor *e_in)
{
    (void)node;
    e_in[0] = ghl_emit_like(em, GHL_OP_relu_backward, NULL, 2, (ghl_tensor[]){e, in[0]}, 0);
}

const ghl_layer ghl_layer_relu = {
    .name = "relu",
    .summary = "rectified linear unit",
    .source = "y = max(x, 0); the slope at 0 is 0",
    .min_inputs = 1,
    .max_inputs = 1,
    .shape = ghl_layer_keeps_shape,
    .forward = forward,
    .backward = backward,
};
