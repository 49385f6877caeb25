/* SPDX-License-Identifier: Apache-2.0
 *
 * sigmoid.c - y = 1 / (1 + exp(-x)). Its slope is known from y, which is kept for the backward pass in the place of x.
 */
#include "layer/pointwise.h"

static ghl_tensor forward(ghl_emitter *em, const ghl_node *node, const ghl_tensor *in)
{
    return ghl_squash_forward(em, node, GHL_OP_sigmoid, in[0]);
}

static void backward(ghl_emitter *em, const ghl_node *node, const ghl_tensor *in, ghl_tensor e, ghl_tensor *e_in)
{
    (void)in;
    e_in[0] = ghl_squash_backward(em, node, GHL_OP_sigmoid_backward, e);
}

const ghl_layer ghl_layer_sigmoid = {
    .name = "sigmoid",
    .summary = "logistic function",
    .source = "y = 1 / (1 + exp(-x)), dy/dx = y (1 - y)",
    .min_inputs = 1,
    .max_inputs = 1,
    .shape = ghl_layer_keeps_shape,
    .forward = forward,
    .backward = backward,
};
