/* SPDX-License-Identifier: Apache-2.0
 *
 * add.c - y = a + b, where two paths of a net meet.
 */
#include "ghl_ext.h"

static ghl_status shape(ghl_node *node, const ghl_node *const *inputs)
{
    ghl_shape a = inputs[0]->shape, b = inputs[1]->shape;
    if (!ghl_shape_equal(a, b) || inputs[0]->flat != inputs[1]->flat)
        return ghl_fail(GHL_RECIPE, "give both paths the same strides and channels",
                        "%s (add): its inputs differ: %s is %lldx%lldx%lld%s, %s is %lldx%lldx%lld%s", node->name, inputs[0]->name,
                        (long long)a.h, (long long)a.w, (long long)a.c, inputs[0]->flat ? " flat" : "", inputs[1]->name, (long long)b.h,
                        (long long)b.w, (long long)b.c, inputs[1]->flat ? " flat" : "");
    node->shape = a;
    node->flat = inputs[0]->flat;
    return GHL_OK;
}

static ghl_tensor forward(ghl_emitter *em, const ghl_node *node, const ghl_tensor *in)
{
    (void)node;
    return ghl_emit_like(em, GHL_OP_add, NULL, 2, in, 0);
}

static void backward(ghl_emitter *em, const ghl_node *node, const ghl_tensor *in, ghl_tensor e, ghl_tensor *e_in)
{
    (void)em, (void)node, (void)in;
    e_in[0] = e_in[1] = e;
}

const ghl_layer ghl_layer_add = {
    .name = "add",
    .summary = "sum of two nodes of equal shape",
    .source = "y = a + b (He et al. 2016, eq. 1)",
    .min_inputs = 2,
    .max_inputs = 2,
    .shape = shape,
    .forward = forward,
    .backward = backward,
};
