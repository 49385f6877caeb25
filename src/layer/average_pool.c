/* SPDX-License-Identifier: Apache-2.0
 *
 * average_pool.c - the mean of each window, padding counted as zeros.
 */
#include "layer/pool.h"

static ghl_tensor forward(ghl_emitter *em, const ghl_node *node, const ghl_tensor *in)
{
    return ghl_pool_emit(em, GHL_OP_average_pool, ghl_pool_window(node), in[0], ghl_pool_output(em, node, in[0]));
}

static void backward(ghl_emitter *em, const ghl_node *node, const ghl_tensor *in, ghl_tensor e, ghl_tensor *e_in)
{
    e_in[0] = ghl_pool_emit(em, GHL_OP_average_pool_backward, ghl_pool_window(node), e, ghl_emit_shape(em, in[0]));
}

const ghl_layer ghl_layer_average_pool = {
    .name = "average_pool",
    .summary = "mean of each window",
    .source = "y = sum over the window / (rows * columns), padding included",
    .options = ghl_pool_rows,
    .options_size = sizeof(ghl_pool_options),
    .min_inputs = 1,
    .max_inputs = 1,
    .shape = ghl_pool_shape,
    .forward = forward,
    .backward = backward,
};
