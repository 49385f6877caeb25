/* SPDX-License-Identifier: Apache-2.0
 *
 * table.c - the layer kinds by name: a new one is a file here and a row below.
 */
#include "base/registry.h"
#include "layer/layers.h"

static const ghl_descriptor *const rows[] = {
    (const ghl_descriptor *)&ghl_layer_input,
    (const ghl_descriptor *)&ghl_layer_whiten,
    (const ghl_descriptor *)&ghl_layer_conv,
    (const ghl_descriptor *)&ghl_layer_linear,
    (const ghl_descriptor *)&ghl_layer_batch_norm,
    (const ghl_descriptor *)&ghl_layer_relu,
    (const ghl_descriptor *)&ghl_layer_triangle,
    (const ghl_descriptor *)&ghl_layer_repu,
    (const ghl_descriptor *)&ghl_layer_tanh,
    (const ghl_descriptor *)&ghl_layer_sigmoid,
    (const ghl_descriptor *)&ghl_layer_max_pool,
    (const ghl_descriptor *)&ghl_layer_average_pool,
    (const ghl_descriptor *)&ghl_layer_global_average_pool,
    (const ghl_descriptor *)&ghl_layer_flatten,
    (const ghl_descriptor *)&ghl_layer_dropout,
    (const ghl_descriptor *)&ghl_layer_add,
    (const ghl_descriptor *)&ghl_layer_subsample_pad,
    (const ghl_descriptor *)&ghl_layer_softmax_cross_entropy,
    NULL,
};

ghl_registry ghl_layers = {.what = "layer", .plural = "layers", .builtin = rows};
