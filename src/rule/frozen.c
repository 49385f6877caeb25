/* SPDX-License-Identifier: Apache-2.0
 *
 * frozen.c - the weight stays as it is; no decay, no optimiser.
 */
#include "ghl_ext.h"

const ghl_rule ghl_rule_frozen = {
    .name = "frozen",
    .summary = "weights stay as they are",
    .source = "w <- w",
    .vectors = true,
    .frozen = true,
};
