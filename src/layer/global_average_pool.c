/* SPDX-License-Identifier: Apache-2.0
 *
 * global_average_pool.c - the mean of each channel's whole map (Lin et al. 2014): an average pool whose window is the map.
 */
#include "layer/pool.h"

static ghl_window whole(ghl_shape map)
{
    return (ghl_window){.kernel = {(int32_t)map.h, (int32_t)map.w}, .stride = {1, 1}};
}

static ghl_status shape(ghl_node *node, const ghl_node *const *inputs)
{
    if (inputs[0]->flat)
        return ghl_fail(GHL_RECIPE, "put it before the flatten layer", "%s (global_average_pool): its input %s is flat", node->name,
                        inputs[0]->name);
    node->shape = (ghl_shape){1, 1, 1, inputs[0]->shape.c};
    return GHL_OK;
}

static ghl_tensor forward(ghl_emitter *em, const ghl_node *node, const ghl_tensor *in)
{
    ghl_window window = whole(ghl_emit_shape(em, in[0]));
    return ghl_pool_emit(em, GHL_OP_average_pool, window, in[0], ghl_pool_output(em, node, in[0]));
}

static void backward(ghl_emitter *em, const ghl_node *node, const ghl_tensor *in, ghl_tensor e, ghl_tensor *e_in)
{
    ghl_shape map = ghl_emit_shape(em, in[0]);
    (void)node;
    e_in[0] = ghl_pool_emit(em, GHL_OP_average_pool_backward, whole(map), e, map);
}

const ghl_layer ghl_layer_global_average_pool = {
    .name = "global_average_pool",
    .summary = "mean of each channel's whole map",
    .source = "Lin et al. 2014, section 3.2",
    .min_inputs = 1,
    .max_inputs = 1,
    .shape = shape,
    .forward = forward,
    .backward = backward,
};
