/* SPDX-License-Identifier: Apache-2.0
 *
 * resnet.c - the residual nets for large images (He et al. 2016, table 1): a 7x7 convolution and a max pool that halve the map, four
 * stages of blocks, the mean of the map, one linear layer. Blocks are two 3x3 convolutions (18, 34), or 1x1, 3x3 and 1x1 with four
 * times the channels (50, 101, 152), whose stride is in the 3x3. A shortcut that changes shape is a 1x1 convolution with batch norm
 * (option B). Names and parameters are torchvision's.
 */
#include "model/blocks.h"

enum { STAGES = 4 };

typedef struct options {
    ghl_model_options common;
    int depth;
    ghl_ints channels;
} options;

static const char *const depth_names[] = {"18", "34", "50", "101", "152", NULL};

/* A row for each entry of depth_names. */
static const struct {
    int blocks[STAGES];
    bool bottleneck;
} depths[] = {
    {{2, 2, 2, 2}, false}, {{3, 4, 6, 3}, false}, {{3, 4, 6, 3}, true}, {{3, 4, 23, 3}, true}, {{3, 8, 36, 3}, true},
};

static const ghl_option rows[] = {
    {.name = "depth", .type = GHL_OPTION_CHOICE, .offset = offsetof(options, depth), .fallback = "18", .choices = depth_names,
     .help = "layers with weights, shortcuts not counted"},
    {.name = "channels", .type = GHL_OPTION_INTS, .offset = offsetof(options, channels), .fallback = "[64, 128, 256, 512]", .min = 1,
     .max = 1 << 20, .help = "channels of the 3x3 convolutions of the four stages, before width; the first convolution has the first"},
    GHL_MODEL_ROWS(options, "affine", "0"),
    GHL_MODEL_CONV_ROWS(options),
    {0},
};

static ghl_model_block block_of(const char *name, int64_t channels, int stride, bool bottleneck)
{
    const ghl_model_conv in = {channels, 3, stride, 1, 1.0}, out = {channels, 3, 1, 1, 1.0};
    const ghl_model_conv reduce = {channels, 1, 1, 0, 1.0}, expand = {4 * channels, 1, 1, 0, 1.0};
    if (bottleneck)
        return (ghl_model_block){.name = name, .convs = {reduce, in, expand}, .count = 3};
    return (ghl_model_block){.name = name, .convs = {in, out}, .count = 2};
}

static ghl_status build(ghl_net *net, int64_t classes, const void *settings)
{
    const options *o = settings;
    GHL_TRY(ghl_model_list("resnet", "channels", &o->channels, STAGES));
    GHL_TRY(ghl_model_powers("resnet", &o->common, STAGES));
    const ghl_model_conv stem = {ghl_model_scaled(&o->common, o->channels.values[0]), 7, 2, 3, 1.0};
    GHL_TRY(ghl_model_add_conv(net, GHL_NET_LAST, "conv1", &stem, &o->common));
    GHL_TRY(ghl_model_add_norm(net, "bn1", o->common.norm));
    GHL_TRY(ghl_model_add_activation(net, ghl_model_activations[o->common.activation], 0, &o->common));
    GHL_TRY(ghl_model_add_pool(net, "maxpool", "max_pool", 3, 2, 1));
    for (int stage = 0; stage < STAGES; stage++) {
        int64_t channels = ghl_model_scaled(&o->common, o->channels.values[stage]);
        for (int i = 0; i < depths[o->depth].blocks[stage]; i++) {
            ghl_model_name name = ghl_model_named("layer%d.%d", stage + 1, i);
            ghl_model_block block = block_of(name.text, channels, stage > 0 && i == 0 ? 2 : 1, depths[o->depth].bottleneck);
            block.number = stage;
            GHL_TRY(ghl_model_add_block(net, &block, &o->common));
        }
    }
    GHL_TRY(ghl_net_append(net, "avgpool", "global_average_pool", NULL));
    GHL_TRY(ghl_net_append(net, "flatten", "flatten", NULL));
    return ghl_model_add_classifier(net, "fc", classes, &o->common);
}

const ghl_model ghl_model_resnet = {
    .name = "resnet",
    .summary = "residual net for large images: 18, 34, 50, 101 or 152 layers, shortcuts by 1x1 convolutions",
    .source = "He et al. 2016, table 1",
    .options = rows,
    .options_size = sizeof(options),
    .build = build,
};
