/* SPDX-License-Identifier: Apache-2.0
 *
 * result.c - what a command has found goes to the host's `result`, as text or as JSON; see result.h.
 */
#include "command/result.h"

ghl_status ghl_result_text(ghl_status status, const ghl_host *host, ghl_text *text)
{
    if (status == GHL_OK)
        status = ghl_text_end(text);
    if (status == GHL_OK && host != NULL && host->result != NULL)
        host->result(host->user, text->data, text->length);
    ghl_text_release(text);
    return status;
}

ghl_status ghl_result_json(ghl_status status, const ghl_host *host, ghl_json *json)
{
    ghl_text text = {0};
    if (status == GHL_OK)
        status = ghl_json_print(json, 2, &text);
    ghl_text_add(&text, "\n");
    ghl_json_free(json);
    return ghl_result_text(status, host, &text);
}
