/* SPDX-License-Identifier: Apache-2.0
 *
 * ghl.c - Global-guided Hebbian Learning (Hua, Zhao, Leng, Cheng, Ma, Guo: "Hebbian Learning with Global Direction", ICASSP 2026,
 * eq. 4-6), for convolutions and linear layers:
 *
 *     r = softmax over channels of t u,   p = r^T x,   d_k = p_k - <w_k,p_k> w_k,   h = d / (max|d| + 1e-30)
 *     w <- w - lr ( |h| sign(dL/dw) + weight_decay w )
 *
 * What the two neurons that a weight joins did says how far it moves; the task says only which way. The local update d may be any other
 * rule's: option `local`.
 */
#include <string.h>

#include "base/registry.h"
#include "rule/local.h"

typedef struct options {
    double inverse_temperature;
    char *local, *local_options;
    ghl_magnitude_options magnitude;
    ghl_guide_options guide;
} options;

static const char own[] = "oja_softmax";

static const ghl_option rows[] = {
    GHL_TEMPERATURE_ROW(options),
    {.name = "local", .type = GHL_OPTION_TEXT, .offset = offsetof(options, local), .fallback = own,
     .help = "the local update whose size is taken: oja_softmax (published), or that of rule softhebb, swta, hpca, oja, hebb ..."},
    {.name = "local_options", .type = GHL_OPTION_TEXT, .offset = offsetof(options, local_options), .fallback = "",
     .help = "options of that rule, as in \"kappa: 0.05, variant: power\""},
    GHL_MAGNITUDE_ROWS(options),
    GHL_GUIDE_ROWS(options),
    {0},
};

/* The local update of the rule that option `local` names. */
static ghl_tensor borrowed(ghl_emitter *em, const ghl_weight *w, const options *o)
{
    const ghl_descriptor *found = NULL;
    ghl_value *map = NULL;
    void *settings = NULL;
    ghl_tensor d = GHL_NONE;
    ghl_status status = ghl_registry_find(&ghl_rules, o->local, NULL, &found);
    const ghl_rule *rule = (const ghl_rule *)found;
    if (status == GHL_OK && rule->local == NULL)
        status = ghl_fail(GHL_RECIPE, "ghl list rules says what each rule does", "ghl: rule %s has no local update to take", o->local);
    if (status == GHL_OK)
        status = ghl_value_parse_flow(o->local_options, "local_options", &map);
    if (status == GHL_OK)
        status = ghl_descriptor_options(found, map, NULL, "local_options", &settings);
    if (status == GHL_OK) {
        d = rule->local(em, w, settings);
        ghl_descriptor_release(found, settings);
    }
    ghl_value_free(map);
    ghl_emit_error(em, status);
    return d;
}

static ghl_tensor local(ghl_emitter *em, const ghl_weight *w, const void *settings)
{
    const options *o = settings;
    if (strcmp(o->local, own) != 0)
        return borrowed(em, w, o);
    ghl_tensor u = ghl_emit_preactivation(em, w); /* [N,P,Q,K] */
    return ghl_rule_oja_update(em, w, ghl_rule_softmax(em, w, u, o->inverse_temperature, GHL_LOSERS_SOFT)); /* [K,R,S,C] */
}

static ghl_status emit(ghl_emitter *em, const ghl_weight *w, const void *settings)
{
    const options *o = settings;
    ghl_tensor d = local(em, w, settings);
    ghl_emit_export(em, w, "local", d);
    ghl_tensor g = ghl_rule_guide(em, w, &o->guide);                     /* asking makes the error reach this layer */
    ghl_emit_direction(em, w, ghl_rule_signed(em, g, d, &o->magnitude)); /* |h|^power sign(g) */
    return GHL_OK;
}

const ghl_rule ghl_rule_ghl = {
    .name = "ghl",
    .summary = "Global-guided Hebbian Learning: local magnitude, sign of the gradient",
    .source = "Hua et al. 2026, eq. 4-6: w <- w - lr |h| sign(dL/dw), h = d / max|d|, d_k = sum_m r_mk (x_m - u_mk w_k), r = softmax(t u)",
    .options = rows,
    .options_size = sizeof(options),
    .optimiser = "kind: sgd", /* momentum or Adam would undo the sign */
    .emit = emit,
    .local = local,
};
