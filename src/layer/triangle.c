/* SPDX-License-Identifier: Apache-2.0
 *
 * triangle.c - y = max(x - m, 0)^power, m the mean of the channels at that position: a soft competition, after which about half of them
 * are silent (Coates, Lee & Ng 2011, eq. 4; the power is that of Journe et al. 2023). No gradient goes through m.
 */
#include "layer/pointwise.h"

static ghl_tensor forward(ghl_emitter *em, const ghl_node *node, const ghl_tensor *in)
{
    return ghl_power_forward(em, node, in[0], true);
}

static void backward(ghl_emitter *em, const ghl_node *node, const ghl_tensor *in, ghl_tensor e, ghl_tensor *e_in)
{
    e_in[0] = ghl_power_backward(em, node, in[0], e, true);
}

const ghl_layer ghl_layer_triangle = {
    .name = "triangle",
    .summary = "rectified power of what is above the mean of the channels",
    .source = "Coates, Lee & Ng 2011; Journe et al. 2023; y = max(x - mean over channels, 0)^power, m constant in the backward pass",
    .options = ghl_power_rows,
    .options_size = sizeof(ghl_power_options),
    .min_inputs = 1,
    .max_inputs = 1,
    .shape = ghl_layer_keeps_shape,
    .forward = forward,
    .backward = backward,
};
