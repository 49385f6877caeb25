/* SPDX-License-Identifier: Apache-2.0
 *
 * repu.c - rectified power unit: y = max(x, 0)^power, an activation of SoftHebb's comparisons.
 */
#include "layer/pointwise.h"

static ghl_tensor forward(ghl_emitter *em, const ghl_node *node, const ghl_tensor *in)
{
    return ghl_power_forward(em, node, in[0], false);
}

static void backward(ghl_emitter *em, const ghl_node *node, const ghl_tensor *in, ghl_tensor e, ghl_tensor *e_in)
{
    e_in[0] = ghl_power_backward(em, node, in[0], e, false);
}

const ghl_layer ghl_layer_repu = {
    .name = "repu",
    .summary = "rectified power unit",
    .source = "Journe et al. 2023; y = max(x, 0)^power, whose slope at 0 is 0",
    .options = ghl_power_rows,
    .options_size = sizeof(ghl_power_options),
    .min_inputs = 1,
    .max_inputs = 1,
    .shape = ghl_layer_keeps_shape,
    .forward = forward,
    .backward = backward,
};
