/* SPDX-License-Identifier: Apache-2.0
 *
 * mlp.c - multi-layer perceptron: flatten; linear, activation (and batch norm) for each hidden size; classifier.
 */
#include "model/blocks.h"

typedef struct options {
    ghl_model_options common;
    ghl_ints hidden;
} options;

static const ghl_option rows[] = {
    {.name = "hidden", .type = GHL_OPTION_INTS, .offset = offsetof(options, hidden), .fallback = "[256]", .min = 1, .max = 1 << 20,
     .help = "features of each hidden layer, before width; []: a linear classifier"},
    GHL_MODEL_ROWS(options, "none", "0"),
    {0},
};

static ghl_status build(ghl_net *net, int64_t classes, const void *settings)
{
    const options *o = settings;
    const char *activation = ghl_model_activations[o->common.activation];
    GHL_TRY(ghl_model_powers("mlp", &o->common, o->hidden.count));
    GHL_TRY(ghl_net_append(net, "flatten", "flatten", NULL));
    for (int i = 0; i < o->hidden.count; i++) {
        GHL_TRY(ghl_model_add_hidden(net, GHL_NAMED("fc%d", i + 1), ghl_model_scaled(&o->common, o->hidden.values[i]), true, &o->common));
        GHL_TRY(ghl_model_add_activation(net, GHL_NAMED("%s%d", activation, i + 1), i, &o->common));
        GHL_TRY(ghl_model_add_norm(net, GHL_NAMED("bn%d", i + 1), o->common.norm));
    }
    return ghl_model_add_classifier(net, "classifier", classes, &o->common);
}

const ghl_model ghl_model_mlp = {
    .name = "mlp",
    .summary = "multi-layer perceptron with a list of hidden sizes",
    .source = "u = x w^T + b, y = activation(u), layer after layer",
    .options = rows,
    .options_size = sizeof(options),
    .build = build,
};
