/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON by jansson. A ghl_json is jansson's json_t under another name.
 *
 * jansson takes about fifty bytes a value, so that a hostile text could grow fiftyfold in memory: structural characters are counted
 * before it is parsed. Printing walks the tree here, because jansson prints every real with the same number of digits.
 */
#include "base/json.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { DEPTH_CAP = 64, VALUE_CAP = 4 << 20 };
static const char damaged[] = "the file is damaged, or not what it was taken for; use another";

static _Thread_local bool build_failed;

static json_t *value_of(const ghl_json *json)
{
    return (json_t *)json;
}

/* ---- Reading ---- */

static ghl_status check_caps(const char *text, size_t size, ghl_status failure, const char *name)
{
    int64_t values = 0;
    int depth = 0;
    bool quoted = false;
    for (size_t i = 0; i < size; i++) {
        char c = text[i];
        if (quoted && c == '\\')
            i++;
        else if (c == '"')
            quoted = !quoted;
        else if (!quoted) {
            depth += (c == '[' || c == '{') - (c == ']' || c == '}');
            values += c == '[' || c == '{' || c == ',' || c == ':';
            if (depth > DEPTH_CAP)
                return ghl_fail(failure, damaged, "%s: JSON nested more than %d levels deep at byte %zu", name, DEPTH_CAP, i);
            if (values > VALUE_CAP)
                return ghl_fail(failure, damaged, "%s: JSON of more than %d values", name, VALUE_CAP);
        }
    }
    return GHL_OK;
}

ghl_status ghl_json_parse(const char *text, size_t size, ghl_status failure, const char *name, ghl_json **out)
{
    *out = NULL;
    GHL_TRY(check_caps(text, size, failure, name));
    json_error_t error;
    json_t *root = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error);
    if (root == NULL && json_error_code(&error) == json_error_out_of_memory)
        return ghl_fail(GHL_MEMORY, NULL, "out of memory while reading JSON of %s", name);
    if (root == NULL)
        return ghl_fail(failure, damaged, "%s: bad JSON at byte %d: %s", name, error.position, error.text);
    *out = (ghl_json *)root;
    return GHL_OK;
}

ghl_json_kind ghl_json_what(const ghl_json *json)
{
    if (json == NULL)
        return GHL_JSON_NONE;
    switch (json_typeof(value_of(json))) {
    case JSON_OBJECT: return GHL_JSON_OBJECT;
    case JSON_ARRAY: return GHL_JSON_ARRAY;
    case JSON_STRING: return GHL_JSON_TEXT;
    case JSON_INTEGER: return GHL_JSON_INTEGER;
    case JSON_REAL: return GHL_JSON_REAL;
    case JSON_TRUE:
    case JSON_FALSE: return GHL_JSON_BOOL;
    default: return GHL_JSON_NULL;
    }
}

int64_t ghl_json_count(const ghl_json *json)
{
    const json_t *v = value_of(json);
    return (int64_t)(json_is_array(v) ? json_array_size(v) : json_is_object(v) ? json_object_size(v) : 0);
}

const ghl_json *ghl_json_get(const ghl_json *object, const char *key)
{
    return (const ghl_json *)json_object_get(value_of(object), key);
}

const ghl_json *ghl_json_item(const ghl_json *array, int64_t i)
{
    return i < 0 ? NULL : (const ghl_json *)json_array_get(value_of(array), (size_t)i);
}

bool ghl_json_next(const ghl_json *object, void **cursor, const char **key, const ghl_json **value)
{
    json_t *v = value_of(object);
    *cursor = *cursor == NULL ? json_object_iter(v) : json_object_iter_next(v, *cursor);
    if (*cursor == NULL)
        return false;
    *key = json_object_iter_key(*cursor);
    *value = (const ghl_json *)json_object_iter_value(*cursor);
    return true;
}

bool ghl_json_integer(const ghl_json *json, int64_t *out)
{
    if (!json_is_integer(value_of(json)))
        return false;
    *out = (int64_t)json_integer_value(value_of(json));
    return true;
}

bool ghl_json_real(const ghl_json *json, double *out)
{
    if (!json_is_number(value_of(json)))
        return false;
    *out = json_number_value(value_of(json));
    return true;
}

const char *ghl_json_text(const ghl_json *json)
{
    return json_string_value(value_of(json));
}

/* ---- Building ---- */

ghl_json *ghl_json_create(bool array)
{
    json_t *v = array ? json_array() : json_object();
    build_failed = build_failed || v == NULL;
    return (ghl_json *)v;
}

/* Takes `v`. */
static ghl_json *add(ghl_json *into, const char *key, json_t *v)
{
    json_t *parent = value_of(into);
    int result = key != NULL ? json_object_set_new(parent, key, v) : json_array_append_new(parent, v);
    if (result != 0)
        build_failed = true;
    return result == 0 ? (ghl_json *)v : NULL;
}

ghl_json *ghl_json_add_object(ghl_json *into, const char *key)
{
    return add(into, key, json_object());
}

ghl_json *ghl_json_add_array(ghl_json *into, const char *key)
{
    return add(into, key, json_array());
}

void ghl_json_add_text(ghl_json *into, const char *key, const char *text)
{
    if (text == NULL) {
        add(into, key, json_null());
        return;
    }
    json_t *v = json_string(text);
    char *copy = v == NULL ? strdup(text) : NULL;
    if (copy != NULL) { /* not UTF-8: paths may hold any bytes */
        for (char *c = copy; *c != '\0'; c++)
            *c = (unsigned char)*c >= 0x80 ? '?' : *c;
        v = json_string(copy);
        free(copy);
    }
    add(into, key, v);
}

void ghl_json_add_integer(ghl_json *into, const char *key, int64_t value)
{
    add(into, key, json_integer(value));
}

void ghl_json_add_real(ghl_json *into, const char *key, double value)
{
    add(into, key, isfinite(value) ? json_real(value) : json_null());
}

void ghl_json_add_bool(ghl_json *into, const char *key, bool value)
{
    add(into, key, json_boolean(value));
}

/* ---- Printing ---- */

static bool reads_back(const char *digits, double value)
{
    double back = 0;
    return ghl_read_real(digits, &back) && back == value;
}

static void print_scalar(json_t *v, ghl_text *text)
{
    if (json_is_real(v)) {
        size_t start = text->length;
        ghl_text_add(text, "%.15g", json_real_value(v));
        if (!text->failed && !reads_back(text->data + start, json_real_value(v))) {
            text->length = start;
            ghl_text_add(text, "%.17g", json_real_value(v));
        }
        if (!text->failed && strpbrk(text->data + start, ".e") == NULL)
            ghl_text_append(text, ".0", 2); /* a real stays a real for the reader */
        return;
    }
    char *printed = json_dumps(v, JSON_ENCODE_ANY);
    if (printed == NULL)
        text->failed = true;
    else
        ghl_text_append(text, printed, strlen(printed));
    free(printed);
}

static void print_break(int indent, int depth, ghl_text *text)
{
    if (indent > 0)
        ghl_text_add(text, "\n%*s", indent * depth, "");
}

static void print_value(json_t *v, int indent, int depth, ghl_text *text);

static void print_object(json_t *v, int indent, int depth, ghl_text *text)
{
    const char *key;
    json_t *item;
    const char *comma = "";
    ghl_text_append(text, "{", 1);
    json_object_foreach(v, key, item)
    {
        ghl_text_add(text, "%s", comma);
        comma = ",";
        print_break(indent, depth + 1, text);
        json_t *name = json_string(key);
        if (name != NULL)
            print_scalar(name, text);
        else
            text->failed = true;
        json_decref(name);
        ghl_text_append(text, ": ", indent > 0 ? 2 : 1);
        print_value(item, indent, depth + 1, text);
    }
    if (json_object_size(v) > 0)
        print_break(indent, depth, text);
    ghl_text_append(text, "}", 1);
}

static void print_array(json_t *v, int indent, int depth, ghl_text *text)
{
    ghl_text_append(text, "[", 1);
    for (size_t i = 0; i < json_array_size(v); i++) {
        ghl_text_append(text, ",", i > 0);
        print_break(indent, depth + 1, text);
        print_value(json_array_get(v, i), indent, depth + 1, text);
    }
    if (json_array_size(v) > 0)
        print_break(indent, depth, text);
    ghl_text_append(text, "]", 1);
}

static void print_value(json_t *v, int indent, int depth, ghl_text *text)
{
    if (json_is_object(v))
        print_object(v, indent, depth, text);
    else if (json_is_array(v))
        print_array(v, indent, depth, text);
    else
        print_scalar(v, text);
}

ghl_status ghl_json_print(const ghl_json *json, int indent, ghl_text *text)
{
    if (build_failed || json == NULL) {
        build_failed = false;
        return ghl_fail(GHL_MEMORY, NULL, "out of memory for JSON");
    }
    print_value(value_of(json), indent, 0, text);
    if (text->failed)
        return ghl_fail(GHL_MEMORY, NULL, "out of memory for JSON");
    return GHL_OK;
}

void ghl_json_free(ghl_json *json)
{
    json_decref(value_of(json));
}

const char *ghl_jansson_version(void)
{
    return JANSSON_VERSION;
}
