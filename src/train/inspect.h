/* SPDX-License-Identifier: Apache-2.0
 *
 * inspect.h - what plan, bench and trace share: a setup without data on disk, and results handed to the host.
 */
#ifndef GHL_TRAIN_INSPECT_H
#define GHL_TRAIN_INSPECT_H

#include "base/json.h"
#include "train/setup.h"

/* A setup for images as the recipe's data format describes them (no file needs to be there), random pixels from counters where a step
 * needs some. batch: 0: the recipe's. */
ghl_status ghl_inspect_begin(const ghl_recipe *recipe, int64_t batch, ghl_setup *setup);
/* Floating-point operations of all calls. */
double ghl_inspect_flops(const ghl_program *program);
/* The name of the rule of the first weight that is a matrix. */
const char *ghl_inspect_rule(const ghl_setup *setup);
/* Hands text, or json and a newline, to host->result, and frees it. `status`: of its making; returned when not GHL_OK. */
ghl_status ghl_inspect_result(ghl_status status, const ghl_host *host, ghl_text *text);
ghl_status ghl_inspect_json(ghl_status status, const ghl_host *host, ghl_json *json);

#endif
