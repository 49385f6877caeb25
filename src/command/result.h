/* SPDX-License-Identifier: Apache-2.0
 *
 * result.h - what a command has found, on its way to the host.
 */
#ifndef GHL_COMMAND_RESULT_H
#define GHL_COMMAND_RESULT_H

#include "base/json.h"

/* Hands the text to the host's `result`, and releases it. `status`: of its making; returned, and nothing handed over, when not GHL_OK. */
ghl_status ghl_result_text(ghl_status status, const ghl_host *host, ghl_text *text);
/* The same for JSON, printed with two spaces a level; frees it. */
ghl_status ghl_result_json(ghl_status status, const ghl_host *host, ghl_json *json);

#endif
