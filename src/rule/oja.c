/* SPDX-License-Identifier: Apache-2.0
 *
 * oja.c - the Hebbian product with the decay that leads every filter to the first principal component, at norm 1 (Oja 1982):
 *
 *     d_k = sum_m u_mk (x_m - u_mk w_k),   w <- w + lr d / max|d|
 */
#include "rule/local.h"

static ghl_tensor local(ghl_emitter *em, const ghl_weight *w, const void *settings)
{
    (void)settings;
    return ghl_rule_oja_update(em, w, ghl_emit_preactivation(em, w)); /* [K,R,S,C] */
}

const ghl_rule ghl_rule_oja = {
    .name = "oja",
    .summary = "Oja's rule: Hebbian product with decay, scaled by its maximum",
    .source = "Oja 1982; Hua et al. 2026, eq. 2-3: d_k = sum_m u_mk (x_m - u_mk w_k)",
    .optimiser = "kind: sgd",
    .scaled = true,
    .local = local,
};
