/* SPDX-License-Identifier: Apache-2.0
 *
 * json.h - JSON by jansson, for checkpoint headers, logs and --json output.
 *
 * Reading: ghl_json_parse, the questions below, ghl_json_free. Writing: ghl_json_create, ghl_json_add_..., ghl_json_print,
 * ghl_json_free. Only a root is freed; what get, item and add_object return is borrowed from it. Every function takes NULL for a
 * value that is absent. An allocation that failed while building is reported by this thread's next ghl_json_print.
 */
#ifndef GHL_BASE_JSON_H
#define GHL_BASE_JSON_H

#include "base/memory.h"

typedef struct ghl_json ghl_json;
typedef enum ghl_json_kind {
    GHL_JSON_NONE, /* absent */
    GHL_JSON_NULL,
    GHL_JSON_BOOL,
    GHL_JSON_INTEGER,
    GHL_JSON_REAL,
    GHL_JSON_TEXT,
    GHL_JSON_ARRAY,
    GHL_JSON_OBJECT
} ghl_json_kind;

/* Duplicate keys, nesting over 64 levels and more than four million values are refused; `failure` is the status of errors, `name`
 * stands before the message. */
ghl_status ghl_json_parse(const char *text, size_t size, ghl_status failure, const char *name, ghl_json **out);
ghl_json_kind ghl_json_what(const ghl_json *json);
int64_t ghl_json_count(const ghl_json *json); /* of an array or object, else 0 */
const ghl_json *ghl_json_get(const ghl_json *object, const char *key);
const ghl_json *ghl_json_item(const ghl_json *array, int64_t i);
/* Walks an object in order: start with *cursor = NULL; false at the end. */
bool ghl_json_next(const ghl_json *object, void **cursor, const char **key, const ghl_json **value);
bool ghl_json_integer(const ghl_json *json, int64_t *out); /* false: not an integer */
bool ghl_json_real(const ghl_json *json, double *out);     /* integers too */
const char *ghl_json_text(const ghl_json *json);           /* NULL: not a text */

const char *ghl_jansson_version(void); /* "2.14" */

ghl_json *ghl_json_create(bool array);
/* key: of an object; NULL where `into` is an array. A number that is not finite becomes null. */
ghl_json *ghl_json_add_object(ghl_json *into, const char *key);
ghl_json *ghl_json_add_array(ghl_json *into, const char *key);
void ghl_json_add_text(ghl_json *into, const char *key, const char *text); /* NULL: null. Bytes that are not UTF-8 become '?' */
void ghl_json_add_integer(ghl_json *into, const char *key, int64_t value);
void ghl_json_add_real(ghl_json *into, const char *key, double value);
void ghl_json_add_bool(ghl_json *into, const char *key, bool value);
/* Appends to text, without a newline at the end: indent 0: one line without spaces; else that many spaces a level. Keys in the order
 * they were added, reals in the shortest form that reads back. */
ghl_status ghl_json_print(const ghl_json *json, int indent, ghl_text *text);
void ghl_json_free(ghl_json *json);

#endif
