/* SPDX-License-Identifier: Apache-2.0
 *
 * fasthebb.c - convolutions without padding, each activation, (max pool), plain batch norm; a hidden linear layer with activation and
 * batch norm with scale and shift; dropout; classifier (Hua et al. 2026, after the networks of Lagani et al. 2022). For 32 x 32 images
 * there are four convolutions; for ImageNet's, 210 wide, eight (depth: 9, channels: [96, 128, 192, 192, 256, 256, 384, 512],
 * first_kernel: 7, pools: [3, 1, 2, 1, 2, 1, 2, 1]), whose maps are 68, 66, 32, 30, 14, 12, 5 and 3 wide.
 *
 * With norm: variance_keeping the last three norms are so, those before plain: Lagani et al.'s own net, whose hidden linear layer has
 * no bias and learns as the convolutions do (hidden_bias: false, init: uniform_fan_in). They put classifiers on each of its layers: depth.
 */
#include "model/blocks.h"

enum { KEEPING_NORMS = 3 };

typedef struct options {
    ghl_model_options common;
    ghl_ints channels, pools;
    int64_t first_kernel, depth, hidden;
    bool hidden_bias;
} options;

static const ghl_option rows[] = {
    {.name = "channels", .type = GHL_OPTION_INTS, .offset = offsetof(options, channels), .fallback = "[96, 128, 192, 256]", .min = 1,
     .max = 1 << 20, .help = "output channels of the convolutions, before width"},
    {.name = "first_kernel", .type = GHL_OPTION_INT, .offset = offsetof(options, first_kernel), .fallback = "5", .min = 1, .max = 31,
     .help = "rows and columns of the first convolution's filters; the others' are 3x3"},
    {.name = "pools", .type = GHL_OPTION_INTS, .offset = offsetof(options, pools), .fallback = "[2, 1, 2, 1]", .min = 1, .max = 15,
     .help = "rows, columns and stride of the max pool after each convolution; 1: none"},
    {.name = "depth", .type = GHL_OPTION_INT, .offset = offsetof(options, depth), .fallback = "5", .min = 1, .max = 1000,
     .help = "layers before the classifier: the first of the convolutions and the hidden layer behind them"},
    {.name = "hidden", .type = GHL_OPTION_INT, .offset = offsetof(options, hidden), .fallback = "4096", .min = 1, .max = 1 << 20,
     .help = "features of the hidden linear layer, before width"},
    {.name = "hidden_bias", .type = GHL_OPTION_BOOL, .offset = offsetof(options, hidden_bias), .fallback = "true",
     .help = "the hidden linear layer has a bias"},
    GHL_MODEL_ROWS(options, "plain", "0.5"),
    GHL_MODEL_CONV_ROWS(options),
    {0},
};

/* Of layer i, the hidden one the last. */
static int norm_of(const options *o, int i)
{
    const int norm = o->common.norm;
    return norm == GHL_NORM_VARIANCE_KEEPING && i + KEEPING_NORMS <= o->channels.count ? GHL_NORM_PLAIN : norm;
}

static ghl_status add_conv(ghl_net *net, const options *o, int i)
{
    const int pool = (int)o->pools.values[i];
    const ghl_model_conv conv = {ghl_model_scaled(&o->common, o->channels.values[i]), i == 0 ? (int)o->first_kernel : 3, 1, 0, 1.0};
    GHL_TRY(ghl_model_add_conv(net, GHL_NET_LAST, GHL_NAMED("conv%d", i + 1), &conv, &o->common));
    GHL_TRY(ghl_model_add_activation(net, GHL_NAMED("%s%d", ghl_model_activations[o->common.activation], i + 1), i, &o->common));
    if (pool > 1)
        GHL_TRY(ghl_model_add_pool(net, GHL_NAMED("pool%d", i + 1), "max_pool", pool, pool, 0));
    return ghl_model_add_norm(net, GHL_NAMED("bn%d", i + 1), norm_of(o, i));
}

static ghl_status add_hidden(ghl_net *net, const options *o, int i)
{
    const int norm = norm_of(o, i);
    GHL_TRY(ghl_model_add_hidden(net, GHL_NAMED("fc%d", i + 1), ghl_model_scaled(&o->common, o->hidden), o->hidden_bias, &o->common));
    GHL_TRY(ghl_model_add_activation(net, GHL_NAMED("%s%d", ghl_model_activations[o->common.activation], i + 1), i, &o->common));
    /* The hidden layer's norm has scale and shift also where the convolutions' are plain. */
    return ghl_model_add_norm(net, GHL_NAMED("bn%d", i + 1), norm == GHL_NORM_PLAIN ? GHL_NORM_AFFINE : norm);
}

static ghl_status build(ghl_net *net, int64_t classes, const void *settings)
{
    const options *o = settings;
    const int convs = o->channels.count;
    GHL_TRY(ghl_model_depth("fasthebb", o->depth, convs + 1));
    GHL_TRY(ghl_model_powers("fasthebb", &o->common, convs + 1));
    GHL_TRY(ghl_model_list("fasthebb", "pools", &o->pools, convs));
    for (int i = 0; i < convs && i < o->depth; i++)
        GHL_TRY(add_conv(net, o, i));
    GHL_TRY(ghl_net_append(net, "flatten", "flatten", NULL));
    if (o->depth > convs)
        GHL_TRY(add_hidden(net, o, convs));
    return ghl_model_add_classifier(net, "classifier", classes, &o->common);
}

const ghl_model ghl_model_fasthebb = {
    .name = "fasthebb",
    .summary = "four convolutions without padding, a hidden linear layer and a classifier; for ImageNet eight",
    .source = "Hua et al. 2026; Lagani et al. 2022, figure 1",
    .options = rows,
    .options_size = sizeof(options),
    .build = build,
};
