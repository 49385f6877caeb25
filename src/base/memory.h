/* SPDX-License-Identifier: Apache-2.0
 *
 * memory.h - allocation that reports, and text that grows.
 */
#ifndef GHL_BASE_MEMORY_H
#define GHL_BASE_MEMORY_H

#include <stdarg.h>

#include "base/status.h"

/* Zeroed. *out is NULL after an error (GHL_MEMORY). count * size is checked for overflow. */
ghl_status ghl_allocate(size_t count, size_t size, void **out);
#define GHL_NEW(pointer, count) ghl_allocate((size_t)(count), sizeof *(pointer), (void **)&(pointer))
/* Makes room for `need` elements in a malloc'ed array of *capacity elements (doubling); new room is zeroed. */
ghl_status ghl_grow(void **array, int *capacity, int need, size_t size);
#define GHL_GROW(array, capacity, need) ghl_grow((void **)&(array), &(capacity), (need), sizeof *(array))
ghl_status ghl_copy_text(const char *text, char **out); /* NULL becomes NULL */

/* A decimal number, "1e-3", finite or (too large) infinite; false for anything else. Independent of the locale. */
bool ghl_read_real(const char *text, double *out);

/* Text that grows; starts as {0}; `data` is NUL-ended and never NULL after ghl_text_end. Appending after a failure does nothing.
 * Numbers are printed with a decimal point in every locale. */
typedef struct ghl_text {
    char *data;
    size_t length, capacity;
    bool failed;
} ghl_text;
void ghl_text_add(ghl_text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
void ghl_text_append(ghl_text *text, const char *bytes, size_t n);
/* GHL_MEMORY if anything failed. The caller frees data with free(). */
ghl_status ghl_text_end(ghl_text *text);
/* What would move a cursor or end a line, from byte `from` on, becomes "?": names and reasons hold what files hold. */
void ghl_text_plain(ghl_text *text, size_t from);
void ghl_text_release(ghl_text *text);

#endif
