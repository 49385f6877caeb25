/* SPDX-License-Identifier: Apache-2.0
 *
 * frozen.c - the weight stays as it is; no decay, no optimiser.
 */
#include "ghl_ext.h"

static ghl_status emit(ghl_emitter *em, const ghl_weight *w, const void *settings)
{
    (void)em, (void)w, (void)settings;
    return GHL_OK;
}

const ghl_rule ghl_rule_frozen = {
    .name = "frozen",
    .summary = "weights stay as they are",
    .source = "w <- w",
    .vectors = true,
    .frozen = true,
    .emit = emit,
};
