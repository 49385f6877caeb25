/* SPDX-License-Identifier: Apache-2.0
 *
 * projection.c - a weight over columns: initialisation, forward, and the three products of the backward pass.
 * "default" is what PyTorch gives convolutions and linear layers: weight and bias U(-1/sqrt(F), 1/sqrt(F)).
 *
 * What columns meet is the effective weight v: w itself (dot), w over its norm by filter (unit_norm, cosine_filter; Lagani et al. 2022) or
 * by place of the kernel (cosine_tap; Nimmo & Mondragon 2025), and cosines are over the norm of the column too. Then neighbours in the map
 * may inhibit each other. Rules see the columns as they are and the output; what goes back goes through the adjoints, last to first.
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

const char *const ghl_projection_responses[] = {"dot", "unit_norm", "cosine_tap", "cosine_filter", NULL};

/* A row for each entry of ghl_projection_responses. */
static const struct {
    bool normalised, tap; /* the weight */
    bool divided;         /* by the columns' norms */
} responses[] = {{false, false, false}, {true, false, false}, {true, true, true}, {true, false, true}};

enum { KEPT_PRODUCTS = 1, KEPT_NORMS }; /* x v^T and |x|, for the division's backward; slot 0 is the layer's */

static ghl_attributes normalisation(const ghl_projection_options *o)
{
    return (ghl_attributes){.normalise = {.tap = responses[o->response].tap}};
}

/* v of a tensor shaped like w. */
static ghl_tensor effective(ghl_emitter *em, const ghl_projection_options *o, ghl_tensor w)
{
    const ghl_attributes attr = normalisation(o);
    return responses[o->response].normalised ? ghl_emit_like(em, GHL_OP_normalise_weight, &attr, 1, &w, 0) : w;
}

/* A kernel of one place sees no neighbours. */
static bool inhibits(const ghl_projection_options *o, ghl_window window)
{
    return o->inhibition != 0 && window.kernel[0] * window.kernel[1] > 1;
}

static ghl_tensor column_norms(ghl_emitter *em, ghl_tensor x, ghl_tensor u, ghl_window window)
{
    ghl_shape shape = ghl_emit_shape(em, u);
    ghl_tensor norms = GHL_NONE;
    shape.c = 1;
    ghl_emit(em, &(ghl_emission){.op = GHL_OP_column_norms, .attr.window = window, .n_in = 1, .in = &x, .n_out = 1,
                                 .out_shapes = &shape}, &norms);
    return norms;
}

static ghl_tensor divide_columns(ghl_emitter *em, ghl_tensor v, ghl_tensor norms, ghl_tensor bias)
{
    return ghl_emit_like(em, GHL_OP_divide_columns, NULL, bias.id >= 0 ? 3 : 2, (ghl_tensor[]){v, norms, bias}, 0);
}

static ghl_tensor inhibit(ghl_emitter *em, ghl_tensor y, ghl_tensor bias)
{
    return ghl_emit_like(em, GHL_OP_inhibit, NULL, bias.id >= 0 ? 2 : 1, (ghl_tensor[]){y, bias}, 0);
}

/* The bias comes with the last call. */
ghl_tensor ghl_projection_forward(ghl_emitter *em, const ghl_node *node, const ghl_projection_options *o, ghl_tensor x, ghl_window window)
{
    const ghl_weight *w = &node->weights[0], *bias = bias_of(node);
    const bool divided = responses[o->response].divided, inhibited = inhibits(o, window);
    const ghl_tensor b = bias != NULL ? ghl_emit_weight(em, bias) : GHL_NONE;
    ghl_tensor u = ghl_emit_conv(em, x, effective(em, o, ghl_emit_weight(em, w)), divided || inhibited ? GHL_NONE : b, window);
    if (divided) {
        const ghl_tensor norms = column_norms(em, x, u, window);
        ghl_emit_keep(em, node, KEPT_PRODUCTS, u);
        ghl_emit_keep(em, node, KEPT_NORMS, norms);
        u = divide_columns(em, u, norms, inhibited ? GHL_NONE : b);
    }
    if (inhibited)
        u = inhibit(em, u, b);
    ghl_emit_use(em, w, x, u, window);
    return u;
}

static ghl_tensor conv_backward_data(ghl_emitter *em, ghl_tensor e, ghl_tensor w, ghl_shape shape, ghl_window window)
{
    ghl_tensor out = GHL_NONE;
    ghl_emit(em,
             &(ghl_emission){.op = GHL_OP_conv_backward_data,
                             .attr.window = window,
                             .n_in = 2,
                             .in = (ghl_tensor[]){e, w},
                             .n_out = 1,
                             .out_shapes = &shape},
             &out);
    return out;
}

/* dL/dx through the norms of the columns, from the error at what was divided by them. */
static ghl_tensor norms_backward(ghl_emitter *em, const ghl_node *node, ghl_tensor x, ghl_tensor e, ghl_window window)
{
    const ghl_tensor norms = ghl_emit_kept(em, node, KEPT_NORMS), in[] = {e, ghl_emit_kept(em, node, KEPT_PRODUCTS), norms};
    const ghl_attributes attr = {.window = window};
    const ghl_tensor c = ghl_emit_like(em, GHL_OP_divide_columns_backward, NULL, 3, in, 2);
    return ghl_emit_like(em, GHL_OP_column_norms_backward, &attr, 2, (ghl_tensor[]){x, c}, 0);
}

ghl_tensor ghl_projection_backward(ghl_emitter *em, const ghl_node *node, const ghl_projection_options *o, ghl_tensor x, ghl_tensor e,
                                   ghl_window window)
{
    const ghl_weight *w = &node->weights[0], *bias = bias_of(node);
    const ghl_attributes attr = normalisation(o);
    ghl_tensor through_norms = GHL_NONE;
    if (bias != NULL)
        ghl_emit_vector_gradient(em, bias, ghl_emit_sum_positions(em, e, GHL_NONE));
    if (inhibits(o, window))
        e = inhibit(em, e, GHL_NONE);
    if (responses[o->response].divided) {
        through_norms = norms_backward(em, node, x, e, window);
        e = divide_columns(em, e, ghl_emit_kept(em, node, KEPT_NORMS), GHL_NONE);
    }
    ghl_emit_use_error(em, w, e);
    if (responses[o->response].normalised)
        ghl_emit_use_adjoint(em, w, GHL_OP_normalise_weight_backward, &attr);
    const ghl_tensor back = effective(em, o, ghl_emit_feedback(em, w));
    const ghl_tensor dx = conv_backward_data(em, e, back, ghl_emit_shape(em, x), window);
    return through_norms.id < 0 ? dx : ghl_emit_like(em, GHL_OP_add, NULL, 2, (ghl_tensor[]){dx, through_norms}, 0);
}
