/* SPDX-License-Identifier: Apache-2.0
 *
 * table.c - the rules by name: a new one is a file here and a row below, as CONTRIBUTING.md shows.
 */
#include "base/registry.h"

#define RULES(ROW)          \
    ROW(ghl_rule, ghl)      \
    ROW(ghl_rule, sign)     \
    ROW(ghl_rule, softhebb) \
    ROW(ghl_rule, swta)     \
    ROW(ghl_rule, hpca)     \
    ROW(ghl_rule, hwta_bcm) \
    ROW(ghl_rule, oja)      \
    ROW(ghl_rule, hebb)     \
    ROW(ghl_rule, backprop) \
    ROW(ghl_rule, frozen)
GHL_DESCRIPTORS(rows, RULES);

ghl_registry ghl_rules = {.what = "rule", .plural = "rules", .builtin = rows};
