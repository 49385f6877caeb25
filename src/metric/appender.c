/* SPDX-License-Identifier: Apache-2.0
 *
 * A file that grows by whole rows. Its length counts only rows that were written whole; after a failed write (a full disk) the rest
 * is cut off before the next one, and rows that failed are tried again, so that the file never has a torn or a missing row.
 */
#include <stdlib.h>

#include "base/files.h"
#include "metric/sinks.h"

enum { WAITING_CAP = 16 << 20 }; /* what may wait for a disk that stays full */

ghl_status ghl_appender_open(ghl_appender *a, const char *folder, const char *name, int64_t length, const char *head)
{
    *a = (ghl_appender){.length = length};
    GHL_TRY(ghl_path_join(a->path, folder, name));
    if (length == 0) {
        const ghl_span nothing = {.data = "", .size = 0};
        GHL_TRY(ghl_file_write(a->path, 1, &nothing));
        ghl_text text = {0};
        ghl_text_add(&text, "%s", head);
        return ghl_appender_write(a, &text);
    }
    GHL_TRY(ghl_file_truncate(a->path, length));
    return ghl_file_append(a->path, "", 0);
}

static ghl_status write_waiting(ghl_appender *a)
{
    if (a->waiting.length == 0)
        return GHL_OK;
    if (a->torn)
        GHL_TRY(ghl_file_truncate(a->path, a->length));
    a->torn = true;
    GHL_TRY(ghl_file_append(a->path, a->waiting.data, a->waiting.length));
    a->torn = false;
    a->length += (int64_t)a->waiting.length;
    a->waiting.length = 0;
    return GHL_OK;
}

ghl_status ghl_appender_write(ghl_appender *a, ghl_text *row)
{
    ghl_status status = ghl_text_end(row);
    if (status == GHL_OK && a->waiting.length + row->length > WAITING_CAP)
        status = ghl_fail(GHL_RUN, "make room on the disk", "%s: rows that could not be written are given up", a->path);
    if (status == GHL_OK) {
        ghl_text_append(&a->waiting, row->data, row->length);
        status = ghl_text_end(&a->waiting);
    }
    ghl_text_release(row);
    return status == GHL_OK ? write_waiting(a) : status;
}

ghl_status ghl_appender_sync(ghl_appender *a)
{
    GHL_TRY(write_waiting(a));
    return ghl_file_sync(a->path);
}

void ghl_appender_release(ghl_appender *a)
{
    ghl_text_release(&a->waiting);
}
