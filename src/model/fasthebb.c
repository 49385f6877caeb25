/* SPDX-License-Identifier: Apache-2.0
 *
 * fasthebb.c - four convolutions without padding, each activation, (max pool), plain batch norm; a hidden linear layer with
 * activation and batch norm with scale and shift; dropout; classifier (Hua et al. 2026, after the network of Lagani et al. 2022).
 *
 * With norm: variance_keeping the last three norms are so, the first two plain: Lagani et al.'s own net, whose hidden linear layer has
 * no bias and learns as the convolutions do (hidden_bias: false, init: uniform_fan_in). They put classifiers on each of its layers: depth.
 */
#include "model/blocks.h"

enum { CONVS = 4, HIDDEN = 5, PLAIN_NORMS = 2 };

typedef struct options {
    ghl_model_options common;
    ghl_ints channels;
    int64_t depth, hidden;
    bool hidden_bias;
} options;

static const ghl_option rows[] = {
    {.name = "channels", .type = GHL_OPTION_INTS, .offset = offsetof(options, channels), .fallback = "[96, 128, 192, 256]", .min = 1,
     .max = 1 << 20, .help = "output channels of the four convolutions, before width"},
    {.name = "depth", .type = GHL_OPTION_INT, .offset = offsetof(options, depth), .fallback = "5", .min = 1, .max = HIDDEN,
     .help = "layers before the classifier: the first of the five"},
    {.name = "hidden", .type = GHL_OPTION_INT, .offset = offsetof(options, hidden), .fallback = "4096", .min = 1, .max = 1 << 20,
     .help = "features of the hidden linear layer, before width"},
    {.name = "hidden_bias", .type = GHL_OPTION_BOOL, .offset = offsetof(options, hidden_bias), .fallback = "true",
     .help = "the hidden linear layer has a bias"},
    GHL_MODEL_ROWS(options, "plain", "0.5"),
    GHL_MODEL_CONV_ROWS(options),
    {0},
};

static const struct {
    int kernel;
    bool pool; /* 2/2 */
} convs[CONVS] = {{5, true}, {3, false}, {3, true}, {3, false}};

static ghl_status build(ghl_net *net, int64_t classes, const void *settings)
{
    const options *o = settings;
    const char *activation = ghl_model_activations[o->common.activation];
    const int norm = o->common.norm, early = norm == GHL_NORM_VARIANCE_KEEPING ? GHL_NORM_PLAIN : norm;
    GHL_TRY(ghl_model_powers("fasthebb", &o->common, CONVS + 1));
    GHL_TRY(ghl_model_list("fasthebb", "channels", &o->channels, CONVS));
    for (int i = 0; i < CONVS && i < o->depth; i++) {
        ghl_model_conv conv = {ghl_model_scaled(&o->common, o->channels.values[i]), convs[i].kernel, 1, 0, 1.0};
        GHL_TRY(ghl_model_add_conv(net, GHL_NET_LAST, GHL_NAMED("conv%d", i + 1), &conv, &o->common));
        GHL_TRY(ghl_model_add_activation(net, GHL_NAMED("%s%d", activation, i + 1), i, &o->common));
        if (convs[i].pool)
            GHL_TRY(ghl_model_add_pool(net, GHL_NAMED("pool%d", i + 1), "max_pool", 2, 2, 0));
        GHL_TRY(ghl_model_add_norm(net, GHL_NAMED("bn%d", i + 1), i < PLAIN_NORMS ? early : norm));
    }
    GHL_TRY(ghl_net_append(net, "flatten", "flatten", NULL));
    if (o->depth < HIDDEN)
        return ghl_model_add_classifier(net, "classifier", classes, &o->common);
    GHL_TRY(ghl_model_add_hidden(net, "fc5", ghl_model_scaled(&o->common, o->hidden), o->hidden_bias, &o->common));
    GHL_TRY(ghl_model_add_activation(net, GHL_NAMED("%s5", activation), CONVS, &o->common));
    /* The hidden layer's norm has scale and shift also where the convolutions' are plain. */
    GHL_TRY(ghl_model_add_norm(net, "bn5", norm == GHL_NORM_PLAIN ? GHL_NORM_AFFINE : norm));
    return ghl_model_add_classifier(net, "classifier", classes, &o->common);
}

const ghl_model ghl_model_fasthebb = {
    .name = "fasthebb",
    .summary = "four convolutions without padding, a hidden linear layer and a classifier",
    .source = "Hua et al. 2026; Lagani et al. 2022, figure 1",
    .options = rows,
    .options_size = sizeof(options),
    .build = build,
};
