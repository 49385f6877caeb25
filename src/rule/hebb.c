/* SPDX-License-Identifier: Apache-2.0
 *
 * hebb.c - what fires together wires together, without anything that bounds the weight:
 *
 *     d = u^T x,   w <- w + lr d / max|d|
 */
#include "ghl_ext.h"

static ghl_tensor local(ghl_emitter *em, const ghl_weight *w, const void *settings)
{
    (void)settings;
    return ghl_emit_product(em, w, ghl_emit_preactivation(em, w)); /* [K,R,S,C] */
}

const ghl_rule ghl_rule_hebb = {
    .name = "hebb",
    .summary = "plain Hebbian product of input and output, scaled by its maximum; nothing bounds the weights",
    .source = "Hebb 1949; Hua et al. 2026, section 2.2: d = sum_m u_m x_m",
    .optimiser = "kind: sgd",
    .scaled = true,
    .local = local,
};
