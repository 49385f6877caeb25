/* SPDX-License-Identifier: Apache-2.0
 *
 * resnet_cifar.c - the residual nets for small images (He et al. 2016, section 4.2): a 3x3 convolution, three stages of n blocks of
 * two 3x3 convolutions each, the map halved and the channels doubled from stage to stage; the mean of the map, one linear layer.
 * So depth = 6n + 2. Shortcuts have no parameters: every second place, and channels of zero.
 */
#include <inttypes.h>

#include "model/blocks.h"

enum { STAGES = 3, LARGEST_DEPTH = 6002 };

typedef struct options {
    ghl_model_options common;
    int64_t depth;
    ghl_ints channels;
} options;

static const ghl_option rows[] = {
    {.name = "depth", .type = GHL_OPTION_INT, .offset = offsetof(options, depth), .fallback = "20", .min = 8, .max = LARGEST_DEPTH,
     .help = "layers with weights: 6n + 2 for n blocks a stage, as 20, 32, 44, 56, 110, 1202"},
    {.name = "channels", .type = GHL_OPTION_INTS, .offset = offsetof(options, channels), .fallback = "[16, 32, 64]", .min = 1,
     .max = 1 << 20, .help = "output channels of the three stages, ascending, before width; the first convolution has the first"},
    GHL_MODEL_ROWS(options, "plain", "0"),
    GHL_MODEL_CONV_ROWS(options),
    {0},
};

static ghl_status check_depth(int64_t depth)
{
    int64_t below = (depth - 2) / 6 * 6 + 2, above = below + 6;
    if (depth == below)
        return GHL_OK;
    return ghl_fail(GHL_RECIPE, "three stages of n blocks of two layers, and two layers more",
                    "model resnet_cifar: depth %" PRId64 " is not 6n+2; the nearest are %" PRId64 " and %" PRId64, depth, below, above);
}

static ghl_status build(ghl_net *net, int64_t classes, const void *settings)
{
    const options *o = settings;
    GHL_TRY(check_depth(o->depth));
    GHL_TRY(ghl_model_list("resnet_cifar", "channels", &o->channels, STAGES));
    GHL_TRY(ghl_model_powers("resnet_cifar", &o->common, STAGES));
    ghl_model_conv conv = {ghl_model_scaled(&o->common, o->channels.values[0]), 3, 1, 1, 1.0};
    GHL_TRY(ghl_model_add_conv(net, GHL_NET_LAST, "conv1", &conv, &o->common));
    GHL_TRY(ghl_model_add_norm(net, "bn1", o->common.norm));
    GHL_TRY(ghl_model_add_activation(net, ghl_model_activations[o->common.activation], 0, &o->common));
    for (int stage = 0; stage < STAGES; stage++) {
        conv.channels = ghl_model_scaled(&o->common, o->channels.values[stage]);
        for (int i = 0; i < (o->depth - 2) / 6; i++) {
            ghl_model_name name = ghl_model_named("layer%d.%d", stage + 1, i);
            ghl_model_block block = {.name = name.text, .convs = {conv, conv}, .count = 2, .free_shortcut = true, .number = stage};
            block.convs[0].stride = stage > 0 && i == 0 ? 2 : 1;
            GHL_TRY(ghl_model_add_block(net, &block, &o->common));
        }
    }
    GHL_TRY(ghl_net_append(net, "avgpool", "global_average_pool", NULL));
    GHL_TRY(ghl_net_append(net, "flatten", "flatten", NULL));
    return ghl_model_add_classifier(net, "linear", classes, &o->common);
}

const ghl_model ghl_model_resnet_cifar = {
    .name = "resnet_cifar",
    .summary = "residual net for small images, 6n + 2 layers deep, shortcuts without parameters",
    .source = "He et al. 2016, section 4.2; Hua et al. 2026, table 4",
    .options = rows,
    .options_size = sizeof(options),
    .build = build,
};
