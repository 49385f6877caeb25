/* SPDX-License-Identifier: Apache-2.0
 *
 * sinks.h - the rows of this room, and the file that grows under two of them.
 */
#ifndef GHL_METRIC_SINKS_H
#define GHL_METRIC_SINKS_H

#include "metric/metric.h"

/* A text file to which whole rows are appended. Rows that could not be written wait here for the next attempt. */
typedef struct ghl_appender {
    char path[4096];
    int64_t length;   /* bytes in the file that count */
    bool torn;        /* a failed write may have left a part of a row behind `length` */
    ghl_text waiting;
} ghl_appender;

/* Cuts folder/name back to `length`; 0: makes it anew, beginning with `head`. Proves that the file can be written. */
ghl_status ghl_appender_open(ghl_appender *a, const char *folder, const char *name, int64_t length, const char *head);
/* Takes over what is in `row` (released in any case) and writes all that waits. */
ghl_status ghl_appender_write(ghl_appender *a, ghl_text *row);
ghl_status ghl_appender_sync(ghl_appender *a);
void ghl_appender_release(ghl_appender *a);

#endif
