/* SPDX-License-Identifier: Apache-2.0
 *
 * blocks.c - the pieces that models are built of. Names end in the number of their block, as PyTorch users name them.
 */
#include "model/blocks.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

const char *const ghl_model_activations[] = {"relu", NULL}; /* an activation is named as its layer kind */
const char *const ghl_model_paddings[] = {"zero", "reflect", NULL};
const char *const ghl_model_norms[] = {"plain", "affine", "none", NULL};

enum { NAME_BYTES = 32 };

static const char *numbered(char out[NAME_BYTES], const char *stem, int i)
{
    snprintf(out, NAME_BYTES, "%s%d", stem, i);
    return out;
}

int64_t ghl_model_scaled(const ghl_model_options *options, int64_t size)
{
    int64_t scaled = (int64_t)floor(options->width * (double)size + 0.5);
    return scaled > 1 ? scaled : 1;
}

ghl_status ghl_model_list(const char *model, const char *key, const ghl_ints *list, int count)
{
    if (list->count == count)
        return GHL_OK;
    return ghl_fail(GHL_RECIPE, "give one number for each layer", "model %s: %s has %d entries, but needs %d", model, key, list->count,
                    count);
}

ghl_status ghl_model_add_conv(ghl_net *net, int i, const ghl_model_conv *conv, const ghl_model_options *options)
{
    char name[NAME_BYTES];
    return ghl_net_addf(net, numbered(name, "conv", i), "conv",
                        "channels: %" PRId64 ", kernel: %d, padding: %d, padding_mode: %s, bias: %s, init: he_normal, "
                        "inverse_temperature: %.9g",
                        conv->channels, conv->kernel, conv->padding, ghl_model_paddings[options->padding],
                        options->bias ? "true" : "false", conv->inverse_temperature);
}

ghl_status ghl_model_add_activation(ghl_net *net, int i, const ghl_model_options *options)
{
    char name[NAME_BYTES];
    const char *kind = ghl_model_activations[options->activation];
    return ghl_net_append(net, numbered(name, kind, i), kind, NULL);
}

ghl_status ghl_model_add_norm(ghl_net *net, int i, int norm)
{
    char name[NAME_BYTES];
    if (norm == GHL_NORM_NONE)
        return GHL_OK;
    return ghl_net_addf(net, numbered(name, "bn", i), "batch_norm", "affine: %s", norm == GHL_NORM_AFFINE ? "true" : "false");
}

ghl_status ghl_model_add_pool(ghl_net *net, int i, const char *kind, int kernel, int stride, int padding)
{
    char name[NAME_BYTES];
    return ghl_net_addf(net, numbered(name, "pool", i), kind, "kernel: %d, stride: %d, padding: %d", kernel, stride, padding);
}

ghl_status ghl_model_add_linear(ghl_net *net, const char *name, int64_t features)
{
    return ghl_net_addf(net, name, "linear", "features: %" PRId64, features);
}

ghl_status ghl_model_add_classifier(ghl_net *net, int64_t classes, const ghl_model_options *options)
{
    GHL_TRY(ghl_net_addf(net, "dropout", "dropout", "rate: %.9g", options->dropout));
    return ghl_model_add_linear(net, "classifier", classes);
}
