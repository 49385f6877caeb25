/* SPDX-License-Identifier: Apache-2.0
 *
 * blocks.h - what models share: option rows, and the pieces nets are built of, each appended to the last node.
 */
#ifndef GHL_MODEL_BLOCKS_H
#define GHL_MODEL_BLOCKS_H

#include "net/net.h"

extern const ghl_model ghl_model_deephebb, ghl_model_fasthebb, ghl_model_mlp;

enum { GHL_NORM_PLAIN, GHL_NORM_AFFINE, GHL_NORM_NONE };

typedef struct ghl_model_options {
    double width, dropout;
    int activation, padding, norm;
    bool bias;
} ghl_model_options;

extern const char *const ghl_model_activations[], *const ghl_model_paddings[], *const ghl_model_norms[];

/* Rows for the member `common` of options struct `owner`. */
#define GHL_MODEL_ROWS(owner, norm_default, dropout_default)                                                                       \
    {.name = "width", .type = GHL_OPTION_REAL, .offset = offsetof(owner, common.width), .fallback = "1", .min = 1e-4, .max = 1e4,  \
     .help = "multiplies every hidden layer's channels or features (rounded, at least 1)"},                                        \
    {.name = "activation", .type = GHL_OPTION_CHOICE, .offset = offsetof(owner, common.activation), .fallback = "relu",            \
     .choices = ghl_model_activations, .help = "after each hidden layer"},                                                         \
    {.name = "norm", .type = GHL_OPTION_CHOICE, .offset = offsetof(owner, common.norm), .fallback = norm_default,                  \
     .choices = ghl_model_norms, .help = "batch norm: plain (no scale, no shift), affine, or none"},                               \
    {.name = "dropout", .type = GHL_OPTION_REAL, .offset = offsetof(owner, common.dropout), .fallback = dropout_default, .min = 0, \
     .max = 0.999999, .help = "rate of the dropout before the classifier"}
#define GHL_MODEL_CONV_ROWS(owner)                                                                                \
    {.name = "padding", .type = GHL_OPTION_CHOICE, .offset = offsetof(owner, common.padding), .fallback = "zero", \
     .choices = ghl_model_paddings, .help = "what padded convolutions pad with"},                                 \
    {.name = "bias", .type = GHL_OPTION_BOOL, .offset = offsetof(owner, common.bias), .fallback = "false",        \
     .help = "convolutions have a bias"}

/* width * size, rounded, at least 1. */
int64_t ghl_model_scaled(const ghl_model_options *options, int64_t size);
/* GHL_RECIPE unless the list has `count` entries. */
ghl_status ghl_model_list(const char *model, const char *key, const ghl_ints *list, int count);

/* conv{i}: he_normal start, unit stride. */
typedef struct ghl_model_conv {
    int64_t channels;
    int kernel, padding;
    double inverse_temperature;
} ghl_model_conv;
ghl_status ghl_model_add_conv(ghl_net *net, int i, const ghl_model_conv *conv, const ghl_model_options *options);
ghl_status ghl_model_add_activation(ghl_net *net, int i, const ghl_model_options *options);                  /* relu{i} */
ghl_status ghl_model_add_norm(ghl_net *net, int i, int norm);                                              /* bn{i}; nothing for none */
ghl_status ghl_model_add_pool(ghl_net *net, int i, const char *kind, int kernel, int stride, int padding); /* pool{i} */
ghl_status ghl_model_add_linear(ghl_net *net, const char *name, int64_t features);                          /* default start, bias */
ghl_status ghl_model_add_classifier(ghl_net *net, int64_t classes, const ghl_model_options *options);       /* dropout, classifier */

#endif
