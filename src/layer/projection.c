/* SPDX-License-Identifier: Apache-2.0
 *
 * projection.c - a weight over columns: initialisation, forward, and the three products of the backward pass.
 * "default" is what PyTorch gives convolutions and linear layers: weight and bias U(-1/sqrt(F), 1/sqrt(F)).
 */
#include "layer/projection.h"

#include <math.h>

const char *const ghl_projection_inits[] = {"default", "he_normal", "uniform", "normal", "uniform_positive", NULL};

/* A row for each entry of ghl_projection_inits: the spread is factor / sqrt(F), times init_scale where scaled. */
static const struct {
    ghl_init_kind kind;
    double factor;
    bool scaled;
    double low; /* where the lower bound is, in spreads; of normal the mean */
} inits[] = {
    {GHL_INIT_UNIFORM, 1.0, false, -1.0},
    {GHL_INIT_NORMAL, 1.4142135623730951, false, 0.0},
    {GHL_INIT_UNIFORM, 1.0, true, -1.0},
    {GHL_INIT_NORMAL, 1.0, true, 0.0},
    {GHL_INIT_UNIFORM, 1.0, true, 0.0},
};

static ghl_init weight_init(const ghl_projection_options *o, double spread)
{
    spread *= inits[o->init].factor * (inits[o->init].scaled ? o->init_scale : 1.0);
    return (ghl_init){.kind = inits[o->init].kind, .a = inits[o->init].low * spread, .b = spread};
}

ghl_status ghl_projection_declare(ghl_node *node, ghl_shape shape, const ghl_projection_options *options, ghl_weight **weight)
{
    double spread = 1.0 / sqrt((double)(shape.h * shape.w * shape.c));
    ghl_weight *w = ghl_node_declare(node, "weight", GHL_MATRIX, shape, weight_init(options, spread));
    if (w == NULL)
        return ghl_fail(GHL_INTERNAL, NULL, "%s: too many weights", node->name);
    w->inverse_temperature = options->inverse_temperature;
    if (weight != NULL)
        *weight = w;
    ghl_init init = {.kind = GHL_INIT_UNIFORM, .a = -spread, .b = spread};
    if (options->bias && ghl_node_declare(node, "bias", GHL_VECTOR, (ghl_shape){1, 1, 1, shape.n}, init) == NULL)
        return ghl_fail(GHL_INTERNAL, NULL, "%s: too many weights", node->name);
    return GHL_OK;
}

static const ghl_weight *bias_of(const ghl_node *node)
{
    return node->n_weights > 1 ? &node->weights[1] : NULL;
}

ghl_tensor ghl_projection_forward(ghl_emitter *em, const ghl_node *node, ghl_tensor x, ghl_window window)
{
    const ghl_weight *w = &node->weights[0], *bias = bias_of(node);
    ghl_tensor b = bias != NULL ? ghl_emit_weight(em, bias) : GHL_NONE;
    ghl_tensor u = ghl_emit_conv(em, x, ghl_emit_weight(em, w), b, window);
    ghl_emit_use(em, w, x, u, window);
    return u;
}

static ghl_tensor sum_positions(ghl_emitter *em, ghl_tensor e)
{
    ghl_shape shape = {1, 1, 1, ghl_emit_shape(em, e).c};
    ghl_tensor out = GHL_NONE;
    ghl_emit(em, &(ghl_emission){.op = GHL_OP_sum_positions, .n_in = 1, .in = &e, .n_out = 1, .out_shapes = &shape}, &out);
    return out;
}

ghl_tensor ghl_projection_backward(ghl_emitter *em, const ghl_node *node, ghl_tensor x, ghl_tensor e, ghl_window window)
{
    const ghl_weight *w = &node->weights[0], *bias = bias_of(node);
    ghl_emit_use_error(em, w, e);
    if (bias != NULL)
        ghl_emit_vector_gradient(em, bias, sum_positions(em, e));
    ghl_shape shape = ghl_emit_shape(em, x);
    ghl_tensor out = GHL_NONE;
    ghl_emit(em,
             &(ghl_emission){.op = GHL_OP_conv_backward_data,
                             .attr.window = window,
                             .n_in = 2,
                             .in = (ghl_tensor[]){e, ghl_emit_feedback(em, w)},
                             .n_out = 1,
                             .out_shapes = &shape},
             &out);
    return out;
}
