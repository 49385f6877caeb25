/* SPDX-License-Identifier: Apache-2.0
 *
 * blocks.h - what models share: option rows, and the pieces nets are built of, each appended to the last node unless it says where.
 */
#ifndef GHL_MODEL_BLOCKS_H
#define GHL_MODEL_BLOCKS_H

#include "net/net.h"

enum { GHL_NORM_PLAIN, GHL_NORM_AFFINE, GHL_NORM_NONE, GHL_NORM_VARIANCE_KEEPING };

typedef struct ghl_model_options {
    double width, dropout;
    int activation, padding, norm, init;
    bool bias;
    ghl_reals power;
} ghl_model_options;

extern const char *const ghl_model_activations[], *const ghl_model_paddings[], *const ghl_model_norms[],
    *const ghl_model_inits[];

/* Rows for the member `common` of options struct `owner`. */
#define GHL_MODEL_ROWS(owner, norm_default, dropout_default)                                                                       \
    {.name = "width", .type = GHL_OPTION_REAL, .offset = offsetof(owner, common.width), .fallback = "1", .min = 1e-4, .max = 1e4,  \
     .help = "multiplies every hidden layer's channels or features (rounded, at least 1)"},                                        \
    {.name = "activation", .type = GHL_OPTION_CHOICE, .offset = offsetof(owner, common.activation), .fallback = "relu",            \
     .choices = ghl_model_activations, .help = "after each hidden layer"},                                                         \
    {.name = "power", .type = GHL_OPTION_REALS, .offset = offsetof(owner, common.power), .fallback = "1", .min = 0.01, .max = 16,  \
     .help = "exponent of an activation that has one (triangle, repu): a number, or one a block"},                                 \
    {.name = "norm", .type = GHL_OPTION_CHOICE, .offset = offsetof(owner, common.norm), .fallback = norm_default,                  \
     .choices = ghl_model_norms, .help = "batch norm: plain (no scale, no shift), affine, none, or variance_keeping"},             \
    {.name = "init", .type = GHL_OPTION_CHOICE, .offset = offsetof(owner, common.init), .fallback = "he",                          \
     .choices = ghl_model_inits, .help = "weights at the start, F their fan-in. he: convolutions N(0,2/F), linear layers "         \
     "U(+-1/sqrt F); softhebb: hidden layers N(0,625/F), classifier U(0,17.32/sqrt F); uniform_fan_in: all U(+-1/sqrt F)"},        \
    {.name = "dropout", .type = GHL_OPTION_REAL, .offset = offsetof(owner, common.dropout), .fallback = dropout_default, .min = 0, \
     .max = 0.999999, .help = "rate of the dropout before a linear layer whose input is hidden features"}
#define GHL_MODEL_CONV_ROWS(owner)                                                                                \
    {.name = "padding", .type = GHL_OPTION_CHOICE, .offset = offsetof(owner, common.padding), .fallback = "auto", \
     .choices = ghl_model_paddings, .help = "what padded convolutions pad with; auto: zero, unless a rule was published otherwise"}, \
    {.name = "bias", .type = GHL_OPTION_BOOL, .offset = offsetof(owner, common.bias), .fallback = "false",        \
     .help = "convolutions have a bias"}

/* A layer's name, formatted. GHL_NAMED("conv%d", i) lives to the end of the full expression that it stands in. */
typedef struct ghl_model_name {
    char text[64];
} ghl_model_name;
ghl_model_name ghl_model_named(const char *format, ...) __attribute__((format(printf, 1, 2)));
#define GHL_NAMED(...) ghl_model_named(__VA_ARGS__).text

/* width * size, rounded, at least 1. */
int64_t ghl_model_scaled(const ghl_model_options *options, int64_t size);
/* GHL_RECIPE unless the list has `count` entries. */
ghl_status ghl_model_list(const char *model, const char *key, const ghl_ints *list, int count);
/* GHL_RECIPE unless there is one number for all or one for each of `blocks`; that of a block; and the same check of powers. */
ghl_status ghl_model_reals(const char *model, const char *key, const ghl_reals *list, int blocks);
double ghl_model_real(const ghl_reals *list, int block);
ghl_status ghl_model_powers(const char *model, const ghl_model_options *options, int blocks);
/* GHL_RECIPE where an option `depth` asks for more layers than there are. */
ghl_status ghl_model_depth(const char *model, int64_t depth, int layers);

typedef struct ghl_model_conv {
    int64_t channels;
    int kernel, stride, padding;
    double inverse_temperature;
} ghl_model_conv;
ghl_status ghl_model_add_conv(ghl_net *net, int on, const char *name, const ghl_model_conv *conv, const ghl_model_options *options);
/* Of block 0, 1, ...; layers behind the last block go with it. */
ghl_status ghl_model_add_activation(ghl_net *net, const char *name, int block, const ghl_model_options *options);
ghl_status ghl_model_add_norm(ghl_net *net, const char *name, int norm); /* nothing for none */
ghl_status ghl_model_add_pool(ghl_net *net, const char *name, const char *kind, int kernel, int stride, int padding);
ghl_status ghl_model_add_dropout(ghl_net *net, const char *name, const ghl_model_options *options);
ghl_status ghl_model_add_hidden(ghl_net *net, const char *name, int64_t features, bool bias, const ghl_model_options *options);
ghl_status ghl_model_add_head(ghl_net *net, const char *name, int64_t classes, const ghl_model_options *options);
ghl_status ghl_model_add_classifier(ghl_net *net, const char *name, int64_t classes, const ghl_model_options *options); /* with dropout */

/* A residual block: y = relu(F(x) + shortcut(x)), F = a chain of convolution and norm with activations between. Its nodes are
 * NAME.conv1, NAME.bn1, NAME.relu1, NAME.conv2 ..., NAME.add; a shortcut is needed where F has a stride or other channels, and is
 * NAME.downsample.0 (convolution 1x1) and NAME.downsample.1 (norm), or, with `free_shortcut`, NAME.shortcut (subsample_pad). */
enum { GHL_MODEL_BLOCK_CONVS = 3 };
typedef struct ghl_model_block {
    const char *name; /* "layer1.0" */
    ghl_model_conv convs[GHL_MODEL_BLOCK_CONVS];
    int count;
    bool free_shortcut;
    int number; /* for its activations */
} ghl_model_block;
ghl_status ghl_model_add_block(ghl_net *net, const ghl_model_block *block, const ghl_model_options *options);

#endif
