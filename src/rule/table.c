/* SPDX-License-Identifier: Apache-2.0
 *
 * table.c - the rules by name: a new one is a file here and a row below.
 */
#include "base/registry.h"
#include "rule/rules.h"

static const ghl_descriptor *const rows[] = {
    (const ghl_descriptor *)&ghl_rule_ghl,
    (const ghl_descriptor *)&ghl_rule_sign,
    (const ghl_descriptor *)&ghl_rule_softhebb,
    (const ghl_descriptor *)&ghl_rule_swta,
    (const ghl_descriptor *)&ghl_rule_hpca,
    (const ghl_descriptor *)&ghl_rule_hwta_bcm,
    (const ghl_descriptor *)&ghl_rule_oja,
    (const ghl_descriptor *)&ghl_rule_hebb,
    (const ghl_descriptor *)&ghl_rule_backprop,
    (const ghl_descriptor *)&ghl_rule_frozen,
    NULL,
};

ghl_registry ghl_rules = {.what = "rule", .plural = "rules", .builtin = rows};
