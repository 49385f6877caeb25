/* SPDX-License-Identifier: Apache-2.0
 *
 * table.c - the models by name: a new one is a file here and a row below.
 */
#include "base/registry.h"
#include "model/blocks.h"

static const ghl_descriptor *const rows[] = {
    (const ghl_descriptor *)&ghl_model_deephebb,
    (const ghl_descriptor *)&ghl_model_fasthebb,
    (const ghl_descriptor *)&ghl_model_mlp,
    (const ghl_descriptor *)&ghl_model_resnet,
    (const ghl_descriptor *)&ghl_model_resnet_cifar,
    (const ghl_descriptor *)&ghl_model_vgg,
    NULL,
};

ghl_registry ghl_models = {.what = "model", .plural = "models", .builtin = rows};
