/* SPDX-License-Identifier: Apache-2.0
 *
 * softhebb.c - soft competition among the channels of a column, with losers that unlearn (Moraitis, Toichkin, Journe, Chua & Guo 2022;
 * Journe, Rodriguez, Guo & Moraitis 2023):
 *
 *     q = softmax(t u),   r = q at the largest u, -q elsewhere,   d_k = sum_m r_mk (x_m - u_mk w_k),   h = d / max|d|
 *     w_k <- w_k + lr (| |w_k| - 1 | + 1e-10)^rate_power h_k
 *
 * The decay drives every filter to norm 1, and its rate sinks as it comes near. With `supervised`, r is 1 at the label: a classifier.
 */
#include "rule/local.h"

typedef struct options {
    double inverse_temperature, rate_power;
    int variant;
} options;

enum { SIGNED, SOFT, HARD, SUPERVISED };
static const char *const variants[] = {"signed", "soft", "hard", "supervised", NULL};
static const int32_t losers[] = {[SIGNED] = GHL_LOSERS_NEGATIVE, [SOFT] = GHL_LOSERS_SOFT, [HARD] = GHL_LOSERS_NONE};

static const ghl_option rows[] = {
    GHL_TEMPERATURE_ROW(options),
    {.name = "variant", .type = GHL_OPTION_CHOICE, .offset = offsetof(options, variant), .fallback = "signed", .choices = variants,
     .help = "response: signed softmax (published), soft (no sign), hard (1 for the winner), supervised (1 for the label)"},
    {.name = "rate_power", .type = GHL_OPTION_REAL, .offset = offsetof(options, rate_power), .fallback = "0.5", .min = 0, .max = 10,
     .help = "each filter's rate is times | norm - 1 | to this power (published: 0.5, ImageNet 0.75); 0: all alike"},
    {0},
};

static ghl_tensor label(ghl_emitter *em, const ghl_weight *w, ghl_tensor u)
{
    ghl_shape shape = ghl_emit_shape(em, u);
    ghl_tensor in[] = {ghl_emit_external(em, GHL_EXTERNAL_LABELS), ghl_emit_external(em, GHL_EXTERNAL_CLOCK)}, r = GHL_NONE;
    if (shape.h != 1 || shape.w != 1)
        ghl_emit_error(em, ghl_fail(GHL_RECIPE, "use it for the last linear layer",
                                    "rule softhebb, variant supervised: %s has %lldx%lld outputs a channel, a label needs one", w->name,
                                    (long long)shape.h, (long long)shape.w));
    ghl_emit(em, &(ghl_emission){.op = GHL_OP_one_hot, .n_in = 2, .in = in, .n_out = 1, .out_shapes = &shape}, &r);
    return r;
}

static ghl_tensor local(ghl_emitter *em, const ghl_weight *w, const void *settings)
{
    const options *o = settings;
    ghl_tensor u = ghl_emit_preactivation(em, w); /* [N,P,Q,K] */
    ghl_tensor r = o->variant == SUPERVISED ? label(em, w, u) : ghl_rule_softmax(em, w, u, o->inverse_temperature, losers[o->variant]);
    return ghl_rule_oja_update(em, w, r); /* [K,R,S,C] */
}

static ghl_status emit(ghl_emitter *em, const ghl_weight *w, const void *settings)
{
    const options *o = settings;
    ghl_tensor d = local(em, w, settings), scale = ghl_emit_scale(em, d, GHL_SCALE_MAX, GHL_SCOPE_LAYER);
    ghl_tensor norm = ghl_emit_scale(em, ghl_emit_weight(em, w), GHL_SCALE_NORM, GHL_SCOPE_NEURON); /* [K] */
    ghl_emit_ascent(em, w, d, scale, norm, o->rate_power);
    return GHL_OK;
}

const ghl_rule ghl_rule_softhebb = {
    .name = "softhebb",
    .summary = "SoftHebb: soft winner-take-all, losers unlearn, each filter at its own rate until its norm is 1",
    .source = "Moraitis et al. 2022; Journe et al. 2023: d_k = sum_m r_mk (x_m - u_mk w_k), r = +-softmax(t u), rate | |w_k| - 1 |^q",
    .options = rows,
    .options_size = sizeof(options),
    .optimiser = "kind: sgd",
    .layer = "padding_mode: reflect",
    .emit = emit,
    .local = local,
};
