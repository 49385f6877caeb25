/* SPDX-License-Identifier: Apache-2.0
 *
 * table.c - the models by name: a new one is a file here and a row below.
 */
#include "base/registry.h"
#include "model/blocks.h"

#define MODELS(ROW)              \
    ROW(ghl_model, deephebb)     \
    ROW(ghl_model, fasthebb)     \
    ROW(ghl_model, mlp)          \
    ROW(ghl_model, resnet)       \
    ROW(ghl_model, resnet_cifar) \
    ROW(ghl_model, vgg)
GHL_DESCRIPTORS(rows, MODELS);

ghl_registry ghl_models = {.what = "model", .plural = "models", .builtin = rows};
