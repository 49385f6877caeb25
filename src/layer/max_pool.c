/* SPDX-License-Identifier: Apache-2.0
 *
 * max_pool.c - the largest value of each window; padding is minus infinity. The place of the maximum, one byte, is kept for the
 * backward pass: so the input itself need not be.
 */
#include "layer/pool.h"

enum { KEPT_INDEX };
enum { LARGEST_WINDOW = 255 }; /* 255 as an index means "none" */

static ghl_status shape(ghl_node *node, const ghl_node *const *inputs)
{
    GHL_TRY(ghl_pool_shape(node, inputs));
    ghl_window window = ghl_pool_window(node);
    if ((int64_t)window.kernel[0] * window.kernel[1] > LARGEST_WINDOW)
        return ghl_fail(GHL_RECIPE, "use a smaller kernel or an average pool", "%s: a %dx%d window has more than %d places", node->name,
                        window.kernel[0], window.kernel[1], LARGEST_WINDOW);
    return GHL_OK;
}

static ghl_tensor forward(ghl_emitter *em, const ghl_node *node, const ghl_tensor *in)
{
    ghl_shape out = ghl_pool_output(em, node, in[0]);
    ghl_tensor y[2] = {GHL_NONE, GHL_NONE};
    ghl_emit(em,
             &(ghl_emission){.op = GHL_OP_max_pool,
                             .attr.window = ghl_pool_window(node),
                             .n_in = 1,
                             .in = in,
                             .n_out = 2,
                             .out_shapes = (ghl_shape[]){out, out}},
             y);
    ghl_emit_keep(em, node, KEPT_INDEX, y[1]);
    return y[0];
}

static void backward(ghl_emitter *em, const ghl_node *node, const ghl_tensor *in, ghl_tensor e, ghl_tensor *e_in)
{
    ghl_shape shape = ghl_emit_shape(em, in[0]);
    ghl_emit(em,
             &(ghl_emission){.op = GHL_OP_max_pool_backward,
                             .attr.window = ghl_pool_window(node),
                             .n_in = 2,
                             .in = (ghl_tensor[]){e, ghl_emit_kept(em, node, KEPT_INDEX)},
                             .n_out = 1,
                             .out_shapes = &shape},
             &e_in[0]);
}

const ghl_layer ghl_layer_max_pool = {
    .name = "max_pool",
    .summary = "largest value of each window",
    .source = "y = max over the window; padding is minus infinity, among equals the first wins",
    .options = ghl_pool_rows,
    .options_size = sizeof(ghl_pool_options),
    .min_inputs = 1,
    .max_inputs = 1,
    .shape = shape,
    .forward = forward,
    .backward = backward,
};
