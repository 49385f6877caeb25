/* SPDX-License-Identifier: Apache-2.0
 *
 * status.h - messages of failures, kept per thread. ghl_fail and GHL_TRY are in ghl_ext.h; this adds what only the library needs.
 */
#ifndef GHL_BASE_STATUS_H
#define GHL_BASE_STATUS_H

#include "ghl_ext.h"

/* A failure carried from one thread to another, or kept while cleaning up. */
typedef struct ghl_failure {
    ghl_status status;
    char message[2048]; /* long enough to name all rows of a table */
    const char *hint;
} ghl_failure;

void ghl_failure_take(ghl_failure *failure, ghl_status status); /* this thread's message */
ghl_status ghl_failure_raise(const ghl_failure *failure);       /* makes it this thread's message; returns its status */
/* Puts "context: " before this thread's message; returns `status`. */
ghl_status ghl_fail_within(ghl_status status, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The flag of ghl_stop(). */
bool ghl_stop_requested(void);
void ghl_stop_clear(void);

#endif
