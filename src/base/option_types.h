/* SPDX-License-Identifier: Apache-2.0
 *
 * option_types.h - one row of functions a type of option; for options.c only.
 */
#ifndef GHL_BASE_OPTION_TYPES_H
#define GHL_BASE_OPTION_TYPES_H

#include "base/options.h"

/* What is being filled. */
typedef struct ghl_field {
    const ghl_option *row;
    const char *what; /* the section, for messages */
    void *at;         /* the field in the caller's struct */
} ghl_field;

typedef struct ghl_type {
    const char *name;
    ghl_status (*read)(const ghl_field *f, const ghl_value *v);
    void (*print)(const ghl_option *row, const void *at, ghl_text *text);
    void (*release)(void *at); /* NULL: nothing owned */
} ghl_type;
extern const ghl_type ghl_types[]; /* by ghl_option_type */

const char *ghl_field_name(const ghl_field *f, char out[120]); /* "train.threads" */
bool ghl_option_bounded(const ghl_option *row);
void ghl_option_range(const ghl_option *row, char out[80]); /* "0 .. 1024" */

#endif
