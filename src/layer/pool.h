/* SPDX-License-Identifier: Apache-2.0
 *
 * pool.h - what pooling layers share: their options, their shape, and calls of one tensor.
 */
#ifndef GHL_LAYER_POOL_H
#define GHL_LAYER_POOL_H

#include "layer/window.h"

typedef struct ghl_pool_options {
    ghl_window_options window;
} ghl_pool_options;

extern const ghl_option ghl_pool_rows[];

/* A layer's shape(): [1,P,Q,C]. Errors name the node: image too small, padding over half the kernel, no map to pool over. */
ghl_status ghl_pool_shape(ghl_node *node, const ghl_node *const *inputs);
ghl_window ghl_pool_window(const ghl_node *node);                                     /* after ghl_pool_shape it cannot fail */
ghl_shape ghl_pool_output(ghl_emitter *em, const ghl_node *node, ghl_tensor input);   /* [N,P,Q,C] */
/* A call of op with one input t and one f32 output of `shape`. */
ghl_tensor ghl_pool_emit(ghl_emitter *em, ghl_op op, ghl_window window, ghl_tensor t, ghl_shape shape);

#endif
