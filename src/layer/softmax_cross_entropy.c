/* SPDX-License-Identifier: Apache-2.0
 *
 * softmax_cross_entropy.c - the loss: mean over images of -log softmax(logits)[label], with top-1 and top-5 counts.
 * One op gives the error at the logits and the sums that a step reports; both are kept: slot 0 the error, slot 1 the score.
 * In training labels may be smoothed (Szegedy et al. 2016, section 7): the aim is (1 - s) one hot + s / K; evaluation never does.
 */
#include "ghl_ext.h"

enum { KEPT_ERROR, KEPT_SCORE };

typedef struct options {
    double label_smoothing;
} options;

static const ghl_option rows[] = {
    {.name = "label_smoothing", .type = GHL_OPTION_REAL, .offset = offsetof(options, label_smoothing), .fallback = "0", .min = 0,
     .max = 0.999999, .help = "in training: share of the label that all classes get alike"},
    {0},
};

static ghl_status shape(ghl_node *node, const ghl_node *const *inputs)
{
    ghl_shape in = inputs[0]->shape;
    if (in.h != 1 || in.w != 1)
        return ghl_fail(GHL_RECIPE, "end the net in a linear layer", "%s: needs one logit a class, but %s is %lldx%lldx%lld", node->name,
                        inputs[0]->name, (long long)in.h, (long long)in.w, (long long)in.c);
    node->shape = in;
    node->flat = inputs[0]->flat;
    return GHL_OK;
}

static ghl_tensor forward(ghl_emitter *em, const ghl_node *node, const ghl_tensor *in)
{
    ghl_tensor from[3] = {in[0], ghl_emit_external(em, GHL_EXTERNAL_LABELS), ghl_emit_external(em, GHL_EXTERNAL_CLOCK)};
    const options *o = node->options;
    ghl_tensor out[2] = {GHL_NONE, GHL_NONE};
    ghl_emit(em,
             &(ghl_emission){.op = GHL_OP_softmax_cross_entropy,
                             .attr = {.loss = {.smoothing = ghl_emit_training(em) ? (float)o->label_smoothing : 0.0f}},
                             .n_in = 3,
                             .in = from,
                             .n_out = 2,
                             .out_shapes = (ghl_shape[]){ghl_emit_shape(em, in[0]), {1, 1, 1, 4}}},
             out);
    ghl_emit_keep(em, node, KEPT_ERROR, out[0]);
    ghl_emit_keep(em, node, KEPT_SCORE, out[1]);
    return in[0];
}

static void backward(ghl_emitter *em, const ghl_node *node, const ghl_tensor *in, ghl_tensor e, ghl_tensor *e_in)
{
    (void)in, (void)e; /* nothing comes after the loss */
    e_in[0] = ghl_emit_kept(em, node, KEPT_ERROR);
}

const ghl_layer ghl_layer_softmax_cross_entropy = {
    .name = "softmax_cross_entropy",
    .summary = "mean cross entropy of softmax, with top-1 and top-5 counts: the loss",
    .source = "L = -log softmax(z)[label]; dL/dz = (softmax(z) - one hot) / N; smoothing: Szegedy et al. 2016, section 7",
    .options = rows,
    .options_size = sizeof(options),
    .min_inputs = 1,
    .max_inputs = 1,
    .shape = shape,
    .forward = forward,
    .backward = backward,
};
