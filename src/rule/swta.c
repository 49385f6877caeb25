/* SPDX-License-Identifier: Apache-2.0
 *
 * swta.c - soft winner-take-all of FastHebb (Lagani, Gennaro, Fassold & Amato 2022; Lagani, Falchi, Gennaro & Amato 2024): filters become
 * the means of the columns they win, by how alike they are:
 *
 *     c_mk = <w_k,x_m> / (|w_k| |x_m|),   s = ((c + 1) / 2)^2,   z_m = softmax(s_m / kappa)
 *     d_k = (sum_m z_mk^2 x_m - (sum_m z_mk^2) w_k) / sum_m z_mk,   w <- w + lr d
 *
 * The net's own output is another: its layers divide by |w_k|.
 */
#include "rule/local.h"

typedef struct options {
    double kappa, power;
    int64_t winners;
    int variant;
} options;

static const char *const variants[] = {"soft", "power", "hard", NULL}; /* in the order of GHL_SIMILARITY_* */

static const ghl_option rows[] = {
    {.name = "variant", .type = GHL_OPTION_CHOICE, .offset = offsetof(options, variant), .fallback = "soft", .choices = variants,
     .help = "z: soft: softmax of s / kappa (published); hard: 1 for the largest s; power: s to a power, over its sum"},
    {.name = "kappa", .type = GHL_OPTION_REAL, .offset = offsetof(options, kappa), .fallback = "0.02", .min = 1e-6, .max = 1e6,
     .help = "soft: temperature of the competition"},
    {.name = "winners", .type = GHL_OPTION_INT, .offset = offsetof(options, winners), .fallback = "1", .min = 1, .max = 1 << 24,
     .help = "hard: so many channels win, and all that equal the last of them (published: 1 and 5)"},
    {.name = "power", .type = GHL_OPTION_REAL, .offset = offsetof(options, power), .fallback = "20", .min = 0, .max = 1e6,
     .help = "power: the exponent (published: 1 / 0.05)"},
    {0},
};

static ghl_tensor local(ghl_emitter *em, const ghl_weight *w, const void *settings)
{
    const options *o = settings;
    const int32_t winners = (int32_t)(o->winners < w->shape.n ? o->winners : w->shape.n);
    const double strength = o->variant == GHL_SIMILARITY_POWER ? o->power : 1.0 / o->kappa;
    ghl_tensor filters[2], u = ghl_emit_dots(em, w, filters), response[3]; /* sum_m z [K], sum_m z^2 [K], z^2 [N,P,Q,K] */
    const ghl_tensor norm = ghl_emit_scale(em, filters[0], GHL_SCALE_NORM, GHL_SCOPE_NEURON);
    const ghl_tensor in[] = {u, ghl_emit_column_norms(em, w), norm, filters[1]};
    const ghl_shape each = {1, 1, 1, w->shape.n}, shapes[] = {each, each, ghl_emit_shape(em, u)};
    ghl_emit(em,
             &(ghl_emission){.op = GHL_OP_similarity_response,
                             .attr.similarity = {.variant = o->variant, .winners = winners, .strength = (float)strength},
                             .n_in = 4,
                             .in = in,
                             .n_out = 3,
                             .out_shapes = shapes},
             response);
    ghl_tensor p = ghl_emit_product(em, w, response[2]); /* [K,R,S,C] */
    return ghl_rule_instar(em, w, p, response[1], response[0]);
}

const ghl_rule ghl_rule_swta = {
    .name = "swta",
    .summary = "soft winner-take-all by cosine similarity: filters become means of the columns they win",
    .source = "Lagani et al. 2022, 2024, SWTA-FH: d_k = sum_m z_mk^2 (x_m - w_k) / sum_m z_mk",
    .options = rows,
    .options_size = sizeof(options),
    .optimiser = "kind: sgd",
    .layer = "response: unit_norm",
    .local = local,
};
