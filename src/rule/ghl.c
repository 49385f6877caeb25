/* SPDX-License-Identifier: Apache-2.0
 *
 * ghl.c - Global-guided Hebbian Learning (Hua, Zhao, Leng, Cheng, Ma, Guo: "Hebbian Learning with Global Direction", ICASSP 2026,
 * eq. 4-6), for convolutions and linear layers:
 *
 *     r = softmax over channels of t u,   p = r^T x,   d_k = p_k - <w_k,p_k> w_k,   h = d / (max|d| + 1e-30)
 *     w <- w - lr ( |h| sign(dL/dw) + weight_decay w )
 *
 * What the two neurons that a weight joins did says how far it moves; the task says only which way.
 */
#include "rule/local.h"
#include "rule/rules.h"

typedef struct options {
    double inverse_temperature;
    ghl_magnitude_options magnitude;
    ghl_guide_options guide;
} options;

static const ghl_option rows[] = {GHL_TEMPERATURE_ROW(options), GHL_MAGNITUDE_ROWS(options), GHL_GUIDE_ROWS(options), {0}};

static ghl_status emit(ghl_emitter *em, const ghl_weight *w, const void *settings)
{
    const options *o = settings;
    ghl_tensor u = ghl_emit_preactivation(em, w);                            /* [N,P,Q,K] */
    ghl_tensor r = ghl_rule_softmax(em, w, u, o->inverse_temperature);       /* [N,P,Q,K] */
    ghl_tensor p = ghl_emit_product(em, w, r);                               /* [K,R,S,C] = r^T x */
    ghl_tensor d = ghl_rule_oja(em, w, p);                                   /* p - <w,p> w, per neuron */
    ghl_emit_export(em, w, "local", d);
    ghl_tensor g = ghl_rule_guide(em, w, &o->guide);                         /* asking makes the error reach this layer */
    ghl_emit_direction(em, w, ghl_rule_signed(em, g, d, &o->magnitude));     /* |h|^power sign(g) */
    return GHL_OK;
}

const ghl_rule ghl_rule_ghl = {
    .name = "ghl",
    .summary = "Global-guided Hebbian Learning: local magnitude, sign of the gradient",
    .source = "Hua et al. 2026, eq. 4-6",
    .options = rows,
    .options_size = sizeof(options),
    .optimiser = "kind: sgd", /* momentum or Adam would undo the sign */
    .emit = emit,
};
