/* SPDX-License-Identifier: Apache-2.0
 *
 * pool.c - windows over the map of each channel.
 */
#include "layer/pool.h"

const ghl_option ghl_pool_rows[] = {
    GHL_WINDOW_ROWS(ghl_pool_options, "[]", "rows and columns from one window to the next: a number or [rows, columns]; []: the kernel"),
    {0},
};

ghl_window ghl_pool_window(const ghl_node *node)
{
    ghl_window window = {0};
    const ghl_pool_options *o = node->options;
    (void)ghl_layer_window(node, &o->window, &window);
    return window;
}

ghl_status ghl_pool_shape(ghl_node *node, const ghl_node *const *inputs)
{
    const ghl_pool_options *o = node->options;
    ghl_window window;
    GHL_TRY(ghl_layer_window(node, &o->window, &window));
    if (inputs[0]->flat)
        return ghl_fail(GHL_RECIPE, "put it before the flatten layer", "%s (%s): its input %s is flat", node->name, node->kind->name,
                        inputs[0]->name);
    for (int i = 0; i < 2; i++)
        if (2 * window.padding[i] > window.kernel[i])
            return ghl_fail(GHL_RECIPE, "pad by at most half the kernel", "%s: padding %d is more than half of kernel %d", node->name,
                            window.padding[i], window.kernel[i]);
    GHL_TRY(ghl_node_windowed(node, inputs[0], window, &node->shape));
    node->shape.c = inputs[0]->shape.c;
    return GHL_OK;
}

ghl_shape ghl_pool_output(ghl_emitter *em, const ghl_node *node, ghl_tensor input)
{
    ghl_shape shape = node->shape;
    shape.n = ghl_emit_shape(em, input).n;
    return shape;
}

ghl_tensor ghl_pool_emit(ghl_emitter *em, ghl_op op, ghl_window window, ghl_tensor t, ghl_shape shape)
{
    ghl_tensor out = GHL_NONE;
    ghl_emit(em, &(ghl_emission){.op = op, .attr.window = window, .n_in = 1, .in = &t, .n_out = 1, .out_shapes = &shape}, &out);
    return out;
}
