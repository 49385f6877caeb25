/* SPDX-License-Identifier: Apache-2.0
 *
 * tanh.c - y = tanh(x). Its slope is known from y, which is kept for the backward pass in the place of x.
 */
#include "layer/pointwise.h"

static ghl_tensor forward(ghl_emitter *em, const ghl_node *node, const ghl_tensor *in)
{
    return ghl_squash_forward(em, node, GHL_OP_tanh, in[0]);
}

static void backward(ghl_emitter *em, const ghl_node *node, const ghl_tensor *in, ghl_tensor e, ghl_tensor *e_in)
{
    (void)in;
    e_in[0] = ghl_squash_backward(em, node, GHL_OP_tanh_backward, e);
}

const ghl_layer ghl_layer_tanh = {
    .name = "tanh",
    .summary = "hyperbolic tangent",
    .source = "y = tanh(x), dy/dx = 1 - y^2",
    .min_inputs = 1,
    .max_inputs = 1,
    .shape = ghl_layer_keeps_shape,
    .forward = forward,
    .backward = backward,
};
