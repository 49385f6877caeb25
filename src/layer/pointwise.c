/* SPDX-License-Identifier: Apache-2.0
 *
 * pointwise.c - what layers share whose output has the shape of their input.
 */
#include "layer/pointwise.h"

enum { KEPT_OUTPUT };

ghl_status ghl_layer_keeps_shape(ghl_node *node, const ghl_node *const *inputs)
{
    node->shape = inputs[0]->shape;
    node->flat = inputs[0]->flat;
    return GHL_OK;
}

const ghl_option ghl_power_rows[] = {
    {.name = "power", .type = GHL_OPTION_REAL, .offset = offsetof(ghl_power_options, power), .fallback = "1", .min = 0.01, .max = 16,
     .help = "exponent of what is above 0"},
    {0},
};

static ghl_attributes attributes(const ghl_node *node, bool centred)
{
    const ghl_power_options *o = node->options;
    return (ghl_attributes){.repu = {.power = (float)o->power, .centred = centred}};
}

ghl_tensor ghl_power_forward(ghl_emitter *em, const ghl_node *node, ghl_tensor x, bool centred)
{
    const ghl_attributes attr = attributes(node, centred);
    return ghl_emit_like(em, GHL_OP_repu, &attr, 1, &x, 0);
}

ghl_tensor ghl_power_backward(ghl_emitter *em, const ghl_node *node, ghl_tensor x, ghl_tensor e, bool centred)
{
    const ghl_attributes attr = attributes(node, centred);
    return ghl_emit_like(em, GHL_OP_repu_backward, &attr, 2, (ghl_tensor[]){e, x}, 0);
}

ghl_tensor ghl_squash_forward(ghl_emitter *em, const ghl_node *node, ghl_op op, ghl_tensor x)
{
    ghl_tensor y = ghl_emit_like(em, op, NULL, 1, &x, 0);
    ghl_emit_keep(em, node, KEPT_OUTPUT, y);
    return y;
}

ghl_tensor ghl_squash_backward(ghl_emitter *em, const ghl_node *node, ghl_op op, ghl_tensor e)
{
    return ghl_emit_like(em, op, NULL, 2, (ghl_tensor[]){e, ghl_emit_kept(em, node, KEPT_OUTPUT)}, 0);
}
