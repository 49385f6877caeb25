/* SPDX-License-Identifier: Apache-2.0
 *
 * flatten.c - from a map to features. A view: memory stays [N,H,W,C]; from here on the features are counted in PyTorch's order
 * (C,H,W), which matters only where weights are initialised, saved, loaded or traced.
 */
#include "ghl_ext.h"

static ghl_status shape(ghl_node *node, const ghl_node *const *inputs)
{
    node->shape = inputs[0]->shape;
    node->flat = true;
    return GHL_OK;
}

static ghl_tensor forward(ghl_emitter *em, const ghl_node *node, const ghl_tensor *in)
{
    (void)node;
    return ghl_emit_view(em, in[0], ghl_emit_shape(em, in[0]));
}

static void backward(ghl_emitter *em, const ghl_node *node, const ghl_tensor *in, ghl_tensor e, ghl_tensor *e_in)
{
    (void)em, (void)node, (void)in;
    e_in[0] = e;
}

const ghl_layer ghl_layer_flatten = {
    .name = "flatten",
    .summary = "from a map to features",
    .source = "features in the order (channel, row, column)",
    .min_inputs = 1,
    .max_inputs = 1,
    .shape = shape,
    .forward = forward,
    .backward = backward,
};
