/* SPDX-License-Identifier: Apache-2.0
 *
 * catalog.h - what catalog.c and doctor.c share: results on their way to the host.
 */
#ifndef GHL_TRAIN_CATALOG_H
#define GHL_TRAIN_CATALOG_H

#include "base/json.h"
#include "base/registry.h"

/* Ends the text, hands it to the host's `result`, releases it. */
ghl_status ghl_result_text(const ghl_host *host, ghl_text *text);
/* The same for JSON, printed with two spaces a level; frees it. */
ghl_status ghl_result_json(const ghl_host *host, ghl_json *json);

#endif
