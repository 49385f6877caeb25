/* SPDX-License-Identifier: Apache-2.0
 *
 * blocks.c - the pieces that models are built of. Layers are named as PyTorch users name them, down to the dots.
 */
#include "model/blocks.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

const char *const ghl_model_activations[] = {"relu", NULL}; /* an activation is named as its layer kind */
const char *const ghl_model_paddings[] = {"zero", "reflect", NULL};
const char *const ghl_model_norms[] = {"plain", "affine", "none", NULL};

ghl_model_name ghl_model_named(const char *format, ...)
{
    ghl_model_name name;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(name.text, sizeof name.text, format, arguments);
    va_end(arguments);
    return name;
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

ghl_status ghl_model_add_conv(ghl_net *net, int on, const char *name, const ghl_model_conv *conv, const ghl_model_options *options)
{
    return ghl_net_addf(net, on, name, "conv",
                        "channels: %" PRId64 ", kernel: %d, stride: %d, padding: %d, padding_mode: %s, bias: %s, init: he_normal, "
                        "inverse_temperature: %.9g",
                        conv->channels, conv->kernel, conv->stride, conv->padding, ghl_model_paddings[options->padding],
                        options->bias ? "true" : "false", conv->inverse_temperature);
}

ghl_status ghl_model_add_activation(ghl_net *net, const char *name, const ghl_model_options *options)
{
    return ghl_net_append(net, name, ghl_model_activations[options->activation], NULL);
}

ghl_status ghl_model_add_norm(ghl_net *net, const char *name, int norm)
{
    if (norm == GHL_NORM_NONE)
        return GHL_OK;
    return ghl_net_addf(net, GHL_NET_LAST, name, "batch_norm", "affine: %s", norm == GHL_NORM_AFFINE ? "true" : "false");
}

ghl_status ghl_model_add_pool(ghl_net *net, const char *name, const char *kind, int kernel, int stride, int padding)
{
    return ghl_net_addf(net, GHL_NET_LAST, name, kind, "kernel: %d, stride: %d, padding: %d", kernel, stride, padding);
}

ghl_status ghl_model_add_dropout(ghl_net *net, const char *name, const ghl_model_options *options)
{
    return ghl_net_addf(net, GHL_NET_LAST, name, "dropout", "rate: %.9g", options->dropout);
}

ghl_status ghl_model_add_linear(ghl_net *net, const char *name, int64_t features)
{
    return ghl_net_addf(net, GHL_NET_LAST, name, "linear", "features: %" PRId64, features);
}

ghl_status ghl_model_add_classifier(ghl_net *net, const char *name, int64_t classes, const ghl_model_options *options)
{
    GHL_TRY(ghl_model_add_dropout(net, "dropout", options));
    return ghl_model_add_linear(net, name, classes);
}

/* Appends what leads from node `from` to the sum; nothing where `from` itself fits. */
static ghl_status add_shortcut(ghl_net *net, int from, const ghl_model_block *b, const ghl_model_options *options)
{
    int64_t channels = b->convs[b->count - 1].channels;
    int stride = 1;
    for (int i = 0; i < b->count; i++)
        stride *= b->convs[i].stride;
    if (stride == 1 && channels == net->nodes[from]->shape.c)
        return GHL_OK;
    if (b->free_shortcut)
        return ghl_net_addf(net, from, GHL_NAMED("%s.shortcut", b->name), "subsample_pad", "channels: %" PRId64 ", stride: %d", channels,
                            stride);
    ghl_model_conv conv = {channels, 1, stride, 0, b->convs[0].inverse_temperature};
    GHL_TRY(ghl_model_add_conv(net, from, GHL_NAMED("%s.downsample.0", b->name), &conv, options));
    return ghl_model_add_norm(net, GHL_NAMED("%s.downsample.1", b->name), options->norm);
}

ghl_status ghl_model_add_block(ghl_net *net, const ghl_model_block *b, const ghl_model_options *options)
{
    const char *activation = ghl_model_activations[options->activation];
    const int from = net->count - 1;
    for (int i = 0; i < b->count; i++) {
        GHL_TRY(ghl_model_add_conv(net, GHL_NET_LAST, GHL_NAMED("%s.conv%d", b->name, i + 1), &b->convs[i], options));
        GHL_TRY(ghl_model_add_norm(net, GHL_NAMED("%s.bn%d", b->name, i + 1), options->norm));
        if (i + 1 < b->count)
            GHL_TRY(ghl_model_add_activation(net, GHL_NAMED("%s.%s%d", b->name, activation, i + 1), options));
    }
    int paths[2] = {net->count - 1, from};
    GHL_TRY(add_shortcut(net, from, b, options));
    if (net->count - 1 != paths[0])
        paths[1] = net->count - 1;
    GHL_TRY(ghl_net_add(net, GHL_NAMED("%s.add", b->name), "add", 2, paths, NULL, NULL));
    return ghl_model_add_activation(net, GHL_NAMED("%s.%s%d", b->name, activation, b->count), options);
}
