/* SPDX-License-Identifier: Apache-2.0
 *
 * dropout.c - in training each value is 0 with probability `rate`, else divided by 1 - rate (Srivastava et al. 2014, inverted).
 * What is dropped is a function of seed, node, phase, step and place: the backward pass draws the same mask again, nothing is kept.
 */
#include "layer/pointwise.h"

typedef struct options {
    double rate;
} options;

static const ghl_option rows[] = {
    {.name = "rate", .type = GHL_OPTION_REAL, .offset = offsetof(options, rate), .fallback = "0.5", .min = 0, .max = 0.999999,
     .help = "probability that a value is dropped"},
    {0},
};

static ghl_tensor drop(ghl_emitter *em, const ghl_node *node, ghl_tensor t)
{
    const options *o = node->options;
    if (!ghl_emit_training(em) || !ghl_emit_dropout(em) || o->rate == 0)
        return t;
    ghl_attributes attr = {.seed = ghl_emit_seed(em), .dropout = {.rate = (float)o->rate, .node = node->index}};
    return ghl_emit_like(em, GHL_OP_dropout, &attr, 2, (ghl_tensor[]){t, ghl_emit_external(em, GHL_EXTERNAL_CLOCK)}, 0);
}

static ghl_tensor forward(ghl_emitter *em, const ghl_node *node, const ghl_tensor *in)
{
    return drop(em, node, in[0]);
}

static void backward(ghl_emitter *em, const ghl_node *node, const ghl_tensor *in, ghl_tensor e, ghl_tensor *e_in)
{
    (void)in;
    e_in[0] = drop(em, node, e);
}

const ghl_layer ghl_layer_dropout = {
    .name = "dropout",
    .summary = "drops values at random in training",
    .source = "Srivastava et al. 2014; y = x keep / (1 - rate)",
    .options = rows,
    .options_size = sizeof(options),
    .min_inputs = 1,
    .max_inputs = 1,
    .shape = ghl_layer_keeps_shape,
    .forward = forward,
    .backward = backward,
};
