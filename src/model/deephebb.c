/* SPDX-License-Identifier: Apache-2.0
 *
 * deephebb.c - three blocks of plain batch norm, convolution, activation, pool; dropout; one linear layer (Hua et al. 2026, after
 * the network of Journe et al. 2023). For 32 x 32 images the maps are 16, 8 and 4 wide, four times the channels from block to block.
 * Hua et al.'s figure 2 compares its first one, two and three blocks; with one or two, SoftHebb's first pool takes means.
 */
#include "model/blocks.h"

enum { BLOCKS = 3 };
enum { POOL_MAX, POOL_AVERAGE };

typedef struct options {
    ghl_model_options common;
    ghl_ints channels;
    int64_t depth;
    int first_pool;
} options;

static const char *const pools[] = {"max", "average", NULL};

static const ghl_option rows[] = {
    {.name = "channels", .type = GHL_OPTION_INTS, .offset = offsetof(options, channels), .fallback = "[96, 384, 1536]", .min = 1,
     .max = 1 << 20, .help = "output channels of the three convolutions, before width"},
    {.name = "depth", .type = GHL_OPTION_INT, .offset = offsetof(options, depth), .fallback = "3", .min = 1, .max = BLOCKS,
     .help = "blocks: the first of the three"},
    {.name = "first_pool", .type = GHL_OPTION_CHOICE, .offset = offsetof(options, first_pool), .fallback = "max", .choices = pools,
     .help = "what the first block's pool takes of each window"},
    GHL_MODEL_ROWS(options, "plain", "0.5"),
    GHL_MODEL_CONV_ROWS(options),
    {0},
};

static const struct {
    int kernel;
    double inverse_temperature;
    const char *pool;
    int pool_kernel, pool_padding; /* stride 2 */
} blocks[BLOCKS] = {
    {5, 1.0, "max_pool", 4, 1},
    {3, 0.65, "max_pool", 4, 1},
    {3, 0.25, "average_pool", 2, 0},
};

static ghl_status build(ghl_net *net, int64_t classes, const void *settings)
{
    const options *o = settings;
    const char *activation = ghl_model_activations[o->common.activation];
    GHL_TRY(ghl_model_list("deephebb", "channels", &o->channels, BLOCKS));
    GHL_TRY(ghl_model_powers("deephebb", &o->common, BLOCKS));
    for (int i = 0; i < o->depth; i++) {
        const char *pool = i == 0 && o->first_pool == POOL_AVERAGE ? "average_pool" : blocks[i].pool;
        ghl_model_conv conv = {ghl_model_scaled(&o->common, o->channels.values[i]), blocks[i].kernel, 1,
                               blocks[i].kernel / 2, blocks[i].inverse_temperature};
        GHL_TRY(ghl_model_add_norm(net, GHL_NAMED("bn%d", i + 1), o->common.norm));
        GHL_TRY(ghl_model_add_conv(net, GHL_NET_LAST, GHL_NAMED("conv%d", i + 1), &conv, &o->common));
        GHL_TRY(ghl_model_add_activation(net, GHL_NAMED("%s%d", activation, i + 1), i, &o->common));
        GHL_TRY(ghl_model_add_pool(net, GHL_NAMED("pool%d", i + 1), pool, blocks[i].pool_kernel, 2, blocks[i].pool_padding));
    }
    GHL_TRY(ghl_net_append(net, "flatten", "flatten", NULL));
    return ghl_model_add_classifier(net, "classifier", classes, &o->common);
}

const ghl_model ghl_model_deephebb = {
    .name = "deephebb",
    .summary = "three convolution blocks, wide, and a linear classifier",
    .source = "Hua et al. 2026; Journe et al. 2023, table 4",
    .options = rows,
    .options_size = sizeof(options),
    .build = build,
};
