/* SPDX-License-Identifier: Apache-2.0
 *
 * backprop.c - the gradient itself: w <- w - lr ( dL/dw + weight_decay w ), or whatever the optimiser makes of it.
 */
#include "ghl_ext.h"

static ghl_status emit(ghl_emitter *em, const ghl_weight *w, const void *settings)
{
    (void)settings;
    ghl_emit_direction(em, w, ghl_emit_gradient(em, w));
    return GHL_OK;
}

const ghl_rule ghl_rule_backprop = {
    .name = "backprop",
    .summary = "the gradient",
    .source = "Rumelhart, Hinton & Williams 1986: w <- w - lr dL/dw",
    .vectors = true,
    .emit = emit,
};
