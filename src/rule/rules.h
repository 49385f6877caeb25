/* SPDX-License-Identifier: Apache-2.0
 *
 * rules.h - the rules of the room; table.c lists them.
 */
#ifndef GHL_RULE_RULES_H
#define GHL_RULE_RULES_H

#include "ghl_ext.h"

extern const ghl_rule ghl_rule_ghl, ghl_rule_sign, ghl_rule_softhebb, ghl_rule_swta, ghl_rule_hpca, ghl_rule_hwta_bcm, ghl_rule_oja,
    ghl_rule_hebb, ghl_rule_backprop, ghl_rule_frozen;

#endif
