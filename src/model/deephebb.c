/* SPDX-License-Identifier: Apache-2.0
 *
 * deephebb.c - blocks of plain batch norm, convolution (5x5, then 3x3), activation, pool; dropout; one linear layer (Hua et al. 2026,
 * after the network of Journe et al. 2023). A block halves the map and has four times the channels of the one before; the last one's pool
 * takes means. For 32 x 32 images there are three blocks, whose maps are 16, 8 and 4 wide; for ImageNet's, 160 wide, five
 * (depth: 5, channels: [48, 192, 768, 3072, 12288], inverse_temperature: [1.1, 0.7, 0.5, 0.4, 0.25]), down to 5.
 * Hua et al.'s figure 2 compares the first one, two and three blocks of the former; with one or two, SoftHebb's first pool takes means.
 */
#include "model/blocks.h"

enum { POOL_MAX, POOL_AVERAGE };

typedef struct options {
    ghl_model_options common;
    ghl_ints channels;
    ghl_reals inverse_temperature;
    int64_t depth;
    int first_pool;
} options;

static const char *const pools[] = {"max", "average", NULL};

static const ghl_option rows[] = {
    {.name = "channels", .type = GHL_OPTION_INTS, .offset = offsetof(options, channels), .fallback = "[96, 384, 1536]", .min = 1,
     .max = 1 << 20, .help = "output channels of each block's convolution, before width"},
    {.name = "inverse_temperature", .type = GHL_OPTION_REALS, .offset = offsetof(options, inverse_temperature),
     .fallback = "[1, 0.65, 0.25]", .min = 1e-6, .max = 1e6, .help = "of the responses that rules compare: a number, or one a block"},
    {.name = "depth", .type = GHL_OPTION_INT, .offset = offsetof(options, depth), .fallback = "3", .min = 1, .max = 1000,
     .help = "blocks: the first of those that channels has"},
    {.name = "first_pool", .type = GHL_OPTION_CHOICE, .offset = offsetof(options, first_pool), .fallback = "max", .choices = pools,
     .help = "what the first block's pool takes of each window"},
    GHL_MODEL_ROWS(options, "plain", "0.5"),
    GHL_MODEL_CONV_ROWS(options),
    {0},
};

static ghl_status add_block(ghl_net *net, const options *o, int i)
{
    const char *activation = ghl_model_activations[o->common.activation];
    const int kernel = i == 0 ? 5 : 3;
    const bool last = i + 1 == o->channels.count;
    const ghl_model_conv conv = {ghl_model_scaled(&o->common, o->channels.values[i]), kernel, 1, kernel / 2,
                                 ghl_model_real(&o->inverse_temperature, i)};
    GHL_TRY(ghl_model_add_norm(net, GHL_NAMED("bn%d", i + 1), o->common.norm));
    GHL_TRY(ghl_model_add_conv(net, GHL_NET_LAST, GHL_NAMED("conv%d", i + 1), &conv, &o->common));
    GHL_TRY(ghl_model_add_activation(net, GHL_NAMED("%s%d", activation, i + 1), i, &o->common));
    if (last)
        return ghl_model_add_pool(net, GHL_NAMED("pool%d", i + 1), "average_pool", 2, 2, 0);
    return ghl_model_add_pool(net, GHL_NAMED("pool%d", i + 1), i == 0 && o->first_pool == POOL_AVERAGE ? "average_pool" : "max_pool", 4,
                              2, 1);
}

static ghl_status build(ghl_net *net, int64_t classes, const void *settings)
{
    const options *o = settings;
    GHL_TRY(ghl_model_depth("deephebb", o->depth, o->channels.count));
    GHL_TRY(ghl_model_powers("deephebb", &o->common, o->channels.count));
    GHL_TRY(ghl_model_reals("deephebb", "inverse_temperature", &o->inverse_temperature, o->channels.count));
    for (int i = 0; i < o->depth; i++)
        GHL_TRY(add_block(net, o, i));
    GHL_TRY(ghl_net_append(net, "flatten", "flatten", NULL));
    return ghl_model_add_classifier(net, "classifier", classes, &o->common);
}

const ghl_model ghl_model_deephebb = {
    .name = "deephebb",
    .summary = "three convolution blocks, wide, and a linear classifier; for ImageNet five",
    .source = "Hua et al. 2026; Journe et al. 2023, table 4 and its ImageNet net",
    .options = rows,
    .options_size = sizeof(options),
    .build = build,
};
