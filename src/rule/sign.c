/* SPDX-License-Identifier: Apache-2.0
 *
 * sign.c - w <- w - lr ( sign(dL/dw) + weight_decay w ): GHL without its local magnitude (Hua et al. 2026, section 3.4 and
 * table 5).
 */
#include "rule/local.h"

typedef struct options {
    ghl_guide_options guide;
} options;

static const ghl_option rows[] = {GHL_GUIDE_ROWS(options), {0}};

static ghl_status emit(ghl_emitter *em, const ghl_weight *w, const void *settings)
{
    const options *o = settings;
    ghl_emit_direction(em, w, ghl_rule_signed(em, ghl_rule_guide(em, w, &o->guide), GHL_NONE, NULL));
    return GHL_OK;
}

const ghl_rule ghl_rule_sign = {
    .name = "sign",
    .summary = "sign of the gradient: GHL with every magnitude 1",
    .source = "Hua et al. 2026, section 3.4, table 5: w <- w - lr sign(dL/dw)",
    .options = rows,
    .options_size = sizeof(options),
    .vectors = true,
    .optimiser = "kind: sgd", /* momentum or Adam would undo the sign */
    .emit = emit,
};
