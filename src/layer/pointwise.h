/* SPDX-License-Identifier: Apache-2.0
 *
 * pointwise.h - what layers share whose output has the shape of their input.
 */
#ifndef GHL_LAYER_POINTWISE_H
#define GHL_LAYER_POINTWISE_H

#include "ghl_ext.h"

/* shape(): that of the first input. */
ghl_status ghl_layer_keeps_shape(ghl_node *node, const ghl_node *const *inputs);

/* y = max(v, 0)^power: options and passes of repu (v = x) and triangle (centred: v = x less the mean of the channels). */
typedef struct ghl_power_options {
    double power;
} ghl_power_options;
extern const ghl_option ghl_power_rows[];
ghl_tensor ghl_power_forward(ghl_emitter *em, const ghl_node *node, ghl_tensor x, bool centred);
ghl_tensor ghl_power_backward(ghl_emitter *em, const ghl_node *node, ghl_tensor x, ghl_tensor e, bool centred);

/* y = f(x) with a slope that is known from y, which is kept. */
ghl_tensor ghl_squash_forward(ghl_emitter *em, const ghl_node *node, ghl_op op, ghl_tensor x);
ghl_tensor ghl_squash_backward(ghl_emitter *em, const ghl_node *node, ghl_op op, ghl_tensor e);

#endif
