/* SPDX-License-Identifier: Apache-2.0
 *
 * layers.h - the layer kinds of the room; table.c lists them.
 */
#ifndef GHL_LAYER_LAYERS_H
#define GHL_LAYER_LAYERS_H

#include "ghl_ext.h"

extern const ghl_layer ghl_layer_input, ghl_layer_conv, ghl_layer_linear, ghl_layer_batch_norm, ghl_layer_relu, ghl_layer_max_pool,
    ghl_layer_average_pool, ghl_layer_global_average_pool, ghl_layer_flatten, ghl_layer_dropout, ghl_layer_add,
    ghl_layer_subsample_pad, ghl_layer_softmax_cross_entropy, ghl_layer_triangle, ghl_layer_repu, ghl_layer_tanh, ghl_layer_sigmoid,
    ghl_layer_whiten;

#endif
