/* SPDX-License-Identifier: Apache-2.0
 *
 * vgg.c - VGG-16's thirteen convolutions (Simonyan & Zisserman 2015, configuration D), each with batch norm and activation, in five
 * stages that halve the map; the head is one linear layer (depth 14) or three (depth 16). Names are torchvision's: features.N and
 * classifier.N, N the number in the row of layers that there are (with norm: none, those of its vgg16; else those of vgg16_bn).
 *
 * Images of any size from 32 on: the head takes the last map as it is. Torchvision resizes it to 7x7 by an adaptive mean; for images of
 * 224 that is no change, and for those of 32 it would be 49 copies of one place.
 */
#include "model/blocks.h"

enum { STAGES = 5 };

typedef struct options {
    ghl_model_options common;
    int depth;
    ghl_ints channels;
    int64_t hidden;
} options;

static const char *const depths[] = {"14", "16", NULL};
enum { DEPTH_14, DEPTH_16 };

static const ghl_option rows[] = {
    {.name = "depth", .type = GHL_OPTION_CHOICE, .offset = offsetof(options, depth), .fallback = "16", .choices = depths,
     .help = "layers with weights: 13 convolutions and one linear layer, or three with `hidden` features between"},
    {.name = "channels", .type = GHL_OPTION_INTS, .offset = offsetof(options, channels), .fallback = "[64, 128, 256, 512, 512]",
     .min = 1, .max = 1 << 20, .help = "output channels of the convolutions of the five stages, before width"},
    {.name = "hidden", .type = GHL_OPTION_INT, .offset = offsetof(options, hidden), .fallback = "4096", .min = 1, .max = 1 << 20,
     .help = "features of the two hidden linear layers of depth 16, before width"},
    GHL_MODEL_ROWS(options, "plain", "0.5"),
    GHL_MODEL_CONV_ROWS(options),
    {0},
};

static const int convs[STAGES] = {2, 2, 3, 3, 3};

static ghl_status add_stage(ghl_net *net, int stage, const options *o, int *number)
{
    const ghl_model_conv conv = {ghl_model_scaled(&o->common, o->channels.values[stage]), 3, 1, 1, 1.0};
    for (int i = 0; i < convs[stage]; i++) {
        GHL_TRY(ghl_model_add_conv(net, GHL_NET_LAST, GHL_NAMED("features.%d", (*number)++), &conv, &o->common));
        if (o->common.norm != GHL_NORM_NONE)
            GHL_TRY(ghl_model_add_norm(net, GHL_NAMED("features.%d", (*number)++), o->common.norm));
        GHL_TRY(ghl_model_add_activation(net, GHL_NAMED("features.%d", (*number)++), stage, &o->common));
    }
    ghl_status status = ghl_model_add_pool(net, GHL_NAMED("features.%d", (*number)++), "max_pool", 2, 2, 0);
    return status == GHL_OK ? GHL_OK : ghl_fail_within(status, "model vgg halves its images five times, so 32x32 at least");
}

static ghl_status build(ghl_net *net, int64_t classes, const void *settings)
{
    const options *o = settings;
    int number = 0;
    GHL_TRY(ghl_model_list("vgg", "channels", &o->channels, STAGES));
    GHL_TRY(ghl_model_powers("vgg", &o->common, STAGES));
    for (int i = 0; i < STAGES; i++)
        GHL_TRY(add_stage(net, i, o, &number));
    GHL_TRY(ghl_net_append(net, "flatten", "flatten", NULL));
    number = 0;
    for (int i = 0; o->depth == DEPTH_16 && i < 2; i++) {
        GHL_TRY(ghl_model_add_hidden(net, GHL_NAMED("classifier.%d", number++), ghl_model_scaled(&o->common, o->hidden), true, &o->common));
        GHL_TRY(ghl_model_add_activation(net, GHL_NAMED("classifier.%d", number++), STAGES, &o->common));
        GHL_TRY(ghl_model_add_dropout(net, GHL_NAMED("classifier.%d", number++), &o->common));
    }
    return ghl_model_add_head(net, GHL_NAMED("classifier.%d", number), classes, &o->common);
}

const ghl_model ghl_model_vgg = {
    .name = "vgg",
    .summary = "VGG-16's thirteen convolutions with batch norm, and one or three linear layers",
    .source = "Simonyan & Zisserman 2015, table 1, D; Hua et al. 2026, table 4",
    .options = rows,
    .options_size = sizeof(options),
    .build = build,
};
