/* SPDX-License-Identifier: Apache-2.0
 *
 * blocks.c - the pieces that models are built of. Layers are named as PyTorch users name them, down to the dots.
 */
#include "model/blocks.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

/* Named as its layer kind. */
const char *const ghl_model_activations[] = {"relu", "triangle", "repu", "tanh", "sigmoid", NULL};
const char *const ghl_model_paddings[] = {"auto", "zero", "reflect", NULL};
const char *const ghl_model_norms[] = {"plain", "affine", "none", "variance_keeping", NULL};
const char *const ghl_model_inits[] = {"he", "softhebb", "uniform_fan_in", NULL};

/* Rows for the entries of ghl_model_paddings, ghl_model_norms and ghl_model_inits: the layers' options. The classifier of SoftHebb's demo
 * starts with U(0, 0.11048543) for 24,576 features, which is 10 sqrt(3 / F); other sizes go by that. */
static const char *const padding_options[] = {"", "padding_mode: zero, ", "padding_mode: reflect, "};
static const char *const norm_options[] = {"affine: false", "affine: true", NULL, "affine: false, variance_keeping: true"};
static const struct {
    const char *conv, *hidden, *head;
} inits[] = {
    {"init: he_normal", "init: default", "init: default"},
    {"init: normal, init_scale: 25", "init: normal, init_scale: 25", "init: uniform_positive, init_scale: 17.3205081"},
    {"init: default", "init: default", "init: default"},
};

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

ghl_status ghl_model_reals(const char *model, const char *key, const ghl_reals *list, int blocks)
{
    if (list->count == 1 || list->count == blocks)
        return GHL_OK;
    return ghl_fail(GHL_RECIPE, "give one number for all blocks, or one for each", "model %s: %s has %d entries for %d blocks", model, key,
                    list->count, blocks);
}

double ghl_model_real(const ghl_reals *list, int block)
{
    return list->values[block < list->count ? block : list->count - 1];
}

ghl_status ghl_model_powers(const char *model, const ghl_model_options *options, int blocks)
{
    return ghl_model_reals(model, "power", &options->power, blocks);
}

ghl_status ghl_model_depth(const char *model, int64_t depth, int layers)
{
    if (depth <= layers)
        return GHL_OK;
    return ghl_fail(GHL_RECIPE, "channels says how many layers there are", "model %s: depth %lld of %d layers", model, (long long)depth,
                    layers);
}

ghl_status ghl_model_add_conv(ghl_net *net, int on, const char *name, const ghl_model_conv *conv, const ghl_model_options *options)
{
    return ghl_net_addf(net, on, name, "conv",
                        "channels: %" PRId64 ", kernel: %d, stride: %d, padding: %d, %sbias: %s, %s, "
                        "inverse_temperature: %.9g",
                        conv->channels, conv->kernel, conv->stride, conv->padding, padding_options[options->padding],
                        options->bias ? "true" : "false", inits[options->init].conv, conv->inverse_temperature);
}

/* Power 1 is not said, so that activations without one take it; any other they refuse. */
ghl_status ghl_model_add_activation(ghl_net *net, const char *name, int block, const ghl_model_options *options)
{
    const double power = ghl_model_real(&options->power, block);
    const char *kind = ghl_model_activations[options->activation];
    return power == 1.0 ? ghl_net_append(net, name, kind, NULL) : ghl_net_addf(net, GHL_NET_LAST, name, kind, "power: %.9g", power);
}

ghl_status ghl_model_add_norm(ghl_net *net, const char *name, int norm)
{
    if (norm == GHL_NORM_NONE)
        return GHL_OK;
    return ghl_net_append(net, name, "batch_norm", norm_options[norm]);
}

ghl_status ghl_model_add_pool(ghl_net *net, const char *name, const char *kind, int kernel, int stride, int padding)
{
    return ghl_net_addf(net, GHL_NET_LAST, name, kind, "kernel: %d, stride: %d, padding: %d", kernel, stride, padding);
}

ghl_status ghl_model_add_dropout(ghl_net *net, const char *name, const ghl_model_options *options)
{
    return ghl_net_addf(net, GHL_NET_LAST, name, "dropout", "rate: %.9g", options->dropout);
}

ghl_status ghl_model_add_hidden(ghl_net *net, const char *name, int64_t features, bool bias, const ghl_model_options *options)
{
    return ghl_net_addf(net, GHL_NET_LAST, name, "linear", "features: %" PRId64 ", bias: %s, %s", features, bias ? "true" : "false",
                        inits[options->init].hidden);
}

ghl_status ghl_model_add_head(ghl_net *net, const char *name, int64_t classes, const ghl_model_options *options)
{
    return ghl_net_addf(net, GHL_NET_LAST, name, "linear", "features: %" PRId64 ", %s", classes, inits[options->init].head);
}

ghl_status ghl_model_add_classifier(ghl_net *net, const char *name, int64_t classes, const ghl_model_options *options)
{
    GHL_TRY(ghl_model_add_dropout(net, "dropout", options));
    return ghl_model_add_head(net, name, classes, options);
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
            GHL_TRY(ghl_model_add_activation(net, GHL_NAMED("%s.%s%d", b->name, activation, i + 1), b->number, options));
    }
    int paths[2] = {net->count - 1, from};
    GHL_TRY(add_shortcut(net, from, b, options));
    if (net->count - 1 != paths[0])
        paths[1] = net->count - 1;
    GHL_TRY(ghl_net_add(net, GHL_NAMED("%s.add", b->name), "add", 2, paths, NULL, NULL));
    return ghl_model_add_activation(net, GHL_NAMED("%s.%s%d", b->name, activation, b->count), b->number, options);
}
