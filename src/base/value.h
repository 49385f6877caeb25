/* SPDX-License-Identifier: Apache-2.0
 *
 * value.h - what a YAML text says, as a tree that remembers line and column of every key and value.
 */
#ifndef GHL_BASE_VALUE_H
#define GHL_BASE_VALUE_H

#include "base/memory.h"

typedef enum ghl_value_kind { GHL_VALUE_SCALAR, GHL_VALUE_LIST, GHL_VALUE_MAP } ghl_value_kind;

typedef struct ghl_value ghl_value;
struct ghl_value {
    ghl_value_kind kind;
    const char *origin; /* file name or GHL_COMMAND_LINE, owned by the node */
    int line, column;   /* 1-based */
    char *text;         /* scalar */
    bool quoted;        /* scalar in quotes: never a number or a bool */
    ghl_value **items;  /* list, map */
    char **keys;        /* map; unique */
    int *key_lines, *key_columns;
    int count;
};

const char *ghl_yaml_version(void); /* of libyaml, "0.2.5" */
/* YAML 1.1 by libyaml, one document; anchors and aliases are refused, duplicate keys too, nesting over 32 levels, text over 1 MiB.
 * GHL_RECIPE with origin:line:column. An empty text is an empty map. */
ghl_status ghl_value_parse(const char *text, size_t size, const char *origin, ghl_value **out);
/* The inside of a flow map, "a: 1, b: [2, 3]"; NULL: an empty map. */
ghl_status ghl_value_parse_flow(const char *text, const char *origin, ghl_value **out);
/* Sets "a.b.c=value" in a map; maps on the way are made; list entries by number ("phases.0.lr=..."). */
ghl_status ghl_value_override(ghl_value *map, const char *assignment);
#define GHL_COMMAND_LINE "command line" /* the origin of values that come so */
bool ghl_value_overridden(const ghl_value *value);
const ghl_value *ghl_value_find(const ghl_value *map, const char *key); /* NULL: absent */
ghl_status ghl_value_copy(const ghl_value *value, ghl_value **out);
/* A copy of `value` in the place of the map's key, or as a new one; the key taken away, where there is one. */
ghl_status ghl_value_set(ghl_value *map, const char *key, const ghl_value *value);
void ghl_value_remove(ghl_value *map, const char *key);
void ghl_value_free(ghl_value *value);
/* GHL_RECIPE: "origin:line:column: message". */
ghl_status ghl_value_fail(const ghl_value *value, const char *hint, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* The same at the key number i of a map. */
ghl_status ghl_value_fail_key(const ghl_value *map, int i, const char *hint, const char *format, ...) __attribute__((format(printf, 4, 5)));

#endif
