/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages of failures, one a thread, and the flag that asks trainings to stop.
 *
 * A failing function leaves its sentence here and returns a status; callers forward the status alone. The flag is a lock-free
 * atomic: C11 7.14.1.1 lets a signal handler store into it.
 */
#include "base/status.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ghl_build.h"

static _Thread_local ghl_failure last = {.message = "", .hint = ""};

_Static_assert(ATOMIC_INT_LOCK_FREE == 2, "ghl_stop must be callable from a signal handler");
static atomic_int stop;

static const struct {
    const char *name;
    int exit_status;
} statuses[] = {
#define GHL_STATUS(name, exit_status, meaning) {#name, exit_status},
    GHL_STATUS_MAP(GHL_STATUS)
#undef GHL_STATUS
};
enum { STATUSES = sizeof statuses / sizeof *statuses };

const char *ghl_version(void)
{
    return GHL_BUILD_VERSION;
}

const char *ghl_status_name(ghl_status status)
{
    return (unsigned)status < STATUSES ? statuses[status].name : "UNKNOWN";
}

int ghl_status_exit(ghl_status status)
{
    return (unsigned)status < STATUSES ? statuses[status].exit_status : statuses[GHL_INTERNAL].exit_status;
}

const char *ghl_error_message(void)
{
    return last.message;
}

const char *ghl_error_hint(void)
{
    return last.hint;
}

void ghl_free(void *text)
{
    free(text);
}

void ghl_stop(void)
{
    atomic_store_explicit(&stop, 1, memory_order_relaxed);
}

bool ghl_stop_requested(void)
{
    return atomic_load_explicit(&stop, memory_order_relaxed) != 0;
}

void ghl_stop_clear(void)
{
    atomic_store_explicit(&stop, 0, memory_order_relaxed);
}

/* `text` may be formatted from the last message, so it arrives in a buffer of its own. A message is one line whatever is quoted in it. */
static void set_message(const char *text)
{
    size_t i = 0;
    for (; text[i] != '\0' && i + 1 < sizeof last.message; i++)
        last.message[i] = (unsigned char)text[i] < ' ' || text[i] == 127 ? '?' : text[i];
    last.message[i] = '\0';
}

ghl_status ghl_fail(ghl_status status, const char *hint, const char *format, ...)
{
    char text[sizeof last.message];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    set_message(text);
    last.status = status;
    last.hint = hint != NULL ? hint : "";
    return status;
}

ghl_status ghl_fail_within(ghl_status status, const char *format, ...)
{
    char text[2 * sizeof last.message + 4]; /* context and message, both whole: set_message cuts */
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(text, sizeof last.message, format, arguments);
    va_end(arguments);
    if (n >= 0 && (size_t)n < sizeof last.message)
        snprintf(text + n, sizeof text - (size_t)n, ": %s", last.message);
    set_message(text);
    last.status = status;
    return status;
}

void ghl_failure_take(ghl_failure *failure, ghl_status status)
{
    *failure = last;
    failure->status = status;
}

ghl_status ghl_failure_raise(const ghl_failure *failure)
{
    last = *failure;
    if (last.hint == NULL)
        last.hint = "";
    return last.status;
}
