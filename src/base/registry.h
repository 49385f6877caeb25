/* SPDX-License-Identifier: Apache-2.0
 *
 * registry.h - a room's table of descriptors, searched by name, longer at run time by plugins.
 */
#ifndef GHL_BASE_REGISTRY_H
#define GHL_BASE_REGISTRY_H

#include "base/options.h"

enum { GHL_REGISTRY_EXTRA = 64 };
typedef struct ghl_registry {
    const char *what;                         /* "rule" */
    const char *plural;                       /* "rules", as ghl list takes it */
    const ghl_descriptor *const *builtin;     /* NULL-ended */
    const ghl_descriptor *extra[GHL_REGISTRY_EXTRA];
    int n_extra;
} ghl_registry;

/* GHL_RECIPE "no rule "x"" with the nearest name; at `where` if that is not NULL. */
ghl_status ghl_registry_find(const ghl_registry *r, const char *name, const ghl_value *where, const ghl_descriptor **out);
ghl_status ghl_registry_add(ghl_registry *r, const ghl_descriptor *d); /* GHL_USAGE: name taken or table full */
const ghl_descriptor *ghl_registry_at(const ghl_registry *r, int i);   /* NULL past the end */

/* A room's table is a macro of rows, #define RULES(ROW) ROW(ghl_rule, ghl) ROW(ghl_rule, sign) ..., and GHL_DESCRIPTORS(rows, RULES): each
 * row declares the descriptor that its file defines, ghl_rule_sign, and puts it into array `rows`. */
#define GHL_DESCRIPTORS(array, table) \
    table(GHL_DESCRIPTOR_DECLARED) static const ghl_descriptor *const array[] = {table(GHL_DESCRIPTOR_LISTED) NULL}
#define GHL_DESCRIPTOR_DECLARED(type, name) extern const type type##_##name;
#define GHL_DESCRIPTOR_LISTED(type, name) (const ghl_descriptor *)&type##_##name,

/* The tables, each defined in its room's table.c. */
extern ghl_registry ghl_rules, ghl_layers, ghl_optimisers, ghl_schedules, ghl_models, ghl_data_formats, ghl_devices;

#endif
