/* SPDX-License-Identifier: Apache-2.0
 *
 * table.c - the layer kinds by name: a new one is a file here and a row below.
 */
#include "base/registry.h"

#define LAYERS(ROW)                     \
    ROW(ghl_layer, input)               \
    ROW(ghl_layer, whiten)              \
    ROW(ghl_layer, conv)                \
    ROW(ghl_layer, linear)              \
    ROW(ghl_layer, batch_norm)          \
    ROW(ghl_layer, relu)                \
    ROW(ghl_layer, triangle)            \
    ROW(ghl_layer, repu)                \
    ROW(ghl_layer, tanh)                \
    ROW(ghl_layer, sigmoid)             \
    ROW(ghl_layer, max_pool)            \
    ROW(ghl_layer, average_pool)        \
    ROW(ghl_layer, global_average_pool) \
    ROW(ghl_layer, flatten)             \
    ROW(ghl_layer, dropout)             \
    ROW(ghl_layer, add)                 \
    ROW(ghl_layer, subsample_pad)       \
    ROW(ghl_layer, softmax_cross_entropy)
GHL_DESCRIPTORS(rows, LAYERS);

ghl_registry ghl_layers = {.what = "layer", .plural = "layers", .builtin = rows};
