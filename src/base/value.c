/* SPDX-License-Identifier: Apache-2.0
 *
 * YAML text -> tree of values, by the event interface of libyaml.
 *
 * Recipes come from people and from the network: nesting, text and the entries of a map are capped, anchors (which can blow up
 * exponentially) and tags are refused. Every node keeps a copy of its origin, because overrides join trees of different files.
 */
#include "base/value.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

enum { DEPTH_CAP = 32, TEXT_CAP = 1 << 20, MAP_CAP = 4096 };
static const char syntax_hint[] = "quote texts that hold any of : # [ ] { } , & * ! | > @ % and indent with spaces";

/* Where the text being parsed lies in the file, and for how many bytes of the first line the caller's own prefix is to be discounted. */
typedef struct reader {
    yaml_parser_t parser;
    const char *text, *origin;
    size_t size;
    int first_column; /* added to columns of line 1 */
} reader;

static int mark_column(const reader *r, yaml_mark_t mark)
{
    long column = (long)mark.column + 1 + (mark.line == 0 ? r->first_column : 0);
    return column < 1 ? 1 : (int)(column > INT_MAX ? INT_MAX : column);
}

static ghl_status fail_at(const reader *r, yaml_mark_t mark, const char *hint, const char *message)
{
    return ghl_fail(GHL_RECIPE, hint, "%s:%d:%d: %s", r->origin, (int)mark.line + 1, mark_column(r, mark), message);
}

static ghl_status fail_parser(const reader *r)
{
    const yaml_parser_t *p = &r->parser;
    const char *problem = p->problem != NULL ? p->problem : "not YAML";
    if (p->error == YAML_MEMORY_ERROR)
        return ghl_fail(GHL_MEMORY, NULL, "out of memory while reading %s", r->origin);
    yaml_mark_t mark = p->problem_mark;
    if (p->error == YAML_READER_ERROR) { /* has an offset only */
        mark = (yaml_mark_t){0};
        for (size_t i = 0; i < p->problem_offset && i < r->size; i++) {
            mark.column++;
            if (r->text[i] == '\n')
                mark = (yaml_mark_t){.line = mark.line + 1};
        }
        return fail_at(r, mark, "recipes are UTF-8 text", problem);
    }
    char message[256];
    if (p->context != NULL)
        snprintf(message, sizeof message, "%s, %s that began in line %d", problem, p->context, (int)p->context_mark.line + 1);
    else
        snprintf(message, sizeof message, "%s", problem);
    return fail_at(r, mark, syntax_hint, message);
}

/* ---- Nodes ---- */

static ghl_status value_create(ghl_value_kind kind, const char *origin, int line, int column, ghl_value **out)
{
    ghl_value *v = NULL;
    GHL_TRY(GHL_NEW(v, 1));
    char *copy = NULL;
    ghl_status status = ghl_copy_text(origin, &copy);
    if (status != GHL_OK) {
        free(v);
        return status;
    }
    *v = (ghl_value){.kind = kind, .origin = copy, .line = line, .column = column};
    *out = v;
    return GHL_OK;
}

void ghl_value_free(ghl_value *value)
{
    if (value == NULL)
        return;
    for (int i = 0; i < value->count; i++) {
        ghl_value_free(value->items[i]);
        if (value->kind == GHL_VALUE_MAP)
            free(value->keys[i]);
    }
    free(value->items);
    free(value->keys);
    free(value->key_lines);
    free(value->key_columns);
    free(value->text);
    free((char *)value->origin);
    free(value);
}

/* Makes room for one more entry. The arrays hold a power of two (or nothing), so `count` says when they are full. */
static ghl_status value_room(ghl_value *v)
{
    if (v->count > 0 && (v->count & (v->count - 1)) != 0)
        return GHL_OK;
    size_t room = v->count > 0 ? (size_t)v->count * 2 : 1;
    void *items = realloc(v->items, room * sizeof *v->items);
    if (items != NULL)
        v->items = items;
    bool good = items != NULL;
    if (v->kind == GHL_VALUE_MAP) {
        void *keys = realloc(v->keys, room * sizeof *v->keys);
        v->keys = keys != NULL ? keys : v->keys;
        void *lines = realloc(v->key_lines, room * sizeof *v->key_lines);
        v->key_lines = lines != NULL ? lines : v->key_lines;
        void *columns = realloc(v->key_columns, room * sizeof *v->key_columns);
        v->key_columns = columns != NULL ? columns : v->key_columns;
        good = good && keys != NULL && lines != NULL && columns != NULL;
    }
    return good ? GHL_OK : ghl_fail(GHL_MEMORY, NULL, "out of memory for %zu entries", room);
}

/* Takes `item`, and `key` of maps, in every case. */
static ghl_status value_add(ghl_value *v, char *key, int line, int column, ghl_value *item)
{
    ghl_status status = value_room(v);
    if (status != GHL_OK) {
        ghl_value_free(item);
        free(key);
        return status;
    }
    v->items[v->count] = item;
    if (v->kind == GHL_VALUE_MAP) {
        v->keys[v->count] = key;
        v->key_lines[v->count] = line;
        v->key_columns[v->count] = column;
    }
    v->count++;
    return GHL_OK;
}

static int find_key(const ghl_value *map, const char *key, size_t length)
{
    for (int i = 0; i < map->count; i++)
        if (strncmp(map->keys[i], key, length) == 0 && map->keys[i][length] == '\0')
            return i;
    return -1;
}

/* ---- Parsing ---- */

static ghl_status next_event(reader *r, yaml_event_t *event)
{
    if (!yaml_parser_parse(&r->parser, event))
        return fail_parser(r);
    return GHL_OK;
}

static ghl_status copy_scalar(const reader *r, const yaml_event_t *event, char **out)
{
    const char *text = (const char *)event->data.scalar.value;
    if (memchr(text, '\0', event->data.scalar.length) != NULL)
        return fail_at(r, event->start_mark, NULL, "a text with a zero byte");
    return ghl_copy_text(text, out);
}

static ghl_status read_value(reader *r, const yaml_event_t *event, int depth, ghl_value **out);

static ghl_status read_list(reader *r, ghl_value *list, int depth)
{
    for (;;) {
        yaml_event_t event;
        GHL_TRY(next_event(r, &event));
        if (event.type == YAML_SEQUENCE_END_EVENT) {
            yaml_event_delete(&event);
            return GHL_OK;
        }
        ghl_value *item = NULL;
        ghl_status status = read_value(r, &event, depth, &item);
        yaml_event_delete(&event);
        GHL_TRY(status);
        GHL_TRY(value_add(list, NULL, 0, 0, item));
    }
}

static ghl_status check_key(reader *r, const ghl_value *map, const yaml_event_t *event)
{
    if (event->type != YAML_SCALAR_EVENT)
        return fail_at(r, event->start_mark, syntax_hint, "a key must be a word");
    if (event->data.scalar.anchor != NULL || event->data.scalar.tag != NULL)
        return fail_at(r, event->start_mark, syntax_hint, "anchors and tags are not supported");
    int twin = find_key(map, (const char *)event->data.scalar.value, strlen((const char *)event->data.scalar.value));
    if (twin >= 0) {
        char message[160];
        snprintf(message, sizeof message, "key \"%.60s\" is given twice, first in line %d", map->keys[twin], map->key_lines[twin]);
        return fail_at(r, event->start_mark, "remove one of them", message);
    }
    if (map->count == MAP_CAP)
        return fail_at(r, event->start_mark, NULL, "more than 4096 keys in one map");
    return GHL_OK;
}

static ghl_status read_map(reader *r, ghl_value *map, int depth)
{
    for (;;) {
        yaml_event_t event;
        GHL_TRY(next_event(r, &event));
        if (event.type == YAML_MAPPING_END_EVENT) {
            yaml_event_delete(&event);
            return GHL_OK;
        }
        char *key = NULL;
        ghl_status status = check_key(r, map, &event);
        if (status == GHL_OK)
            status = copy_scalar(r, &event, &key);
        int line = (int)event.start_mark.line + 1, column = mark_column(r, event.start_mark);
        yaml_event_delete(&event);
        GHL_TRY(status);

        ghl_value *item = NULL;
        status = next_event(r, &event);
        if (status == GHL_OK) {
            status = read_value(r, &event, depth, &item);
            yaml_event_delete(&event);
        }
        if (status != GHL_OK) {
            free(key);
            return status;
        }
        GHL_TRY(value_add(map, key, line, column, item));
    }
}

static ghl_status check_plain(const reader *r, const yaml_event_t *event)
{
    const yaml_char_t *anchor = NULL, *tag = NULL;
    if (event->type == YAML_ALIAS_EVENT)
        return fail_at(r, event->start_mark, syntax_hint, "aliases are not supported");
    if (event->type == YAML_SCALAR_EVENT) {
        anchor = event->data.scalar.anchor;
        tag = event->data.scalar.tag;
    } else if (event->type == YAML_SEQUENCE_START_EVENT) {
        anchor = event->data.sequence_start.anchor;
        tag = event->data.sequence_start.tag;
    } else {
        anchor = event->data.mapping_start.anchor;
        tag = event->data.mapping_start.tag;
    }
    if (anchor != NULL || tag != NULL)
        return fail_at(r, event->start_mark, syntax_hint, "anchors and tags are not supported");
    return GHL_OK;
}

/* The value that begins with `event`; a scalar, list or map begins with one of four kinds of event. */
static ghl_status read_value(reader *r, const yaml_event_t *event, int depth, ghl_value **out)
{
    GHL_TRY(check_plain(r, event));
    if (depth >= DEPTH_CAP)
        return fail_at(r, event->start_mark, NULL, "nested more than 32 levels deep");
    ghl_value_kind kind = event->type == YAML_SCALAR_EVENT           ? GHL_VALUE_SCALAR
                          : event->type == YAML_SEQUENCE_START_EVENT ? GHL_VALUE_LIST
                                                                     : GHL_VALUE_MAP;
    ghl_value *v = NULL;
    GHL_TRY(value_create(kind, r->origin, (int)event->start_mark.line + 1, mark_column(r, event->start_mark), &v));
    ghl_status status = GHL_OK;
    if (kind == GHL_VALUE_SCALAR) {
        v->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
        status = copy_scalar(r, event, &v->text);
    } else {
        status = kind == GHL_VALUE_LIST ? read_list(r, v, depth + 1) : read_map(r, v, depth + 1);
    }
    if (status != GHL_OK) {
        ghl_value_free(v);
        return status;
    }
    *out = v;
    return GHL_OK;
}

/* Reads events until one of type `last`; values between go to *out, which stays NULL where there is none. */
static ghl_status read_document(reader *r, ghl_value **out)
{
    for (;;) {
        yaml_event_t event;
        GHL_TRY(next_event(r, &event));
        yaml_event_type_t type = event.type;
        ghl_status status = GHL_OK;
        if (type == YAML_DOCUMENT_START_EVENT && *out != NULL)
            status = fail_at(r, event.start_mark, "write one document a file", "a second document");
        else if (type == YAML_SCALAR_EVENT || type == YAML_SEQUENCE_START_EVENT || type == YAML_MAPPING_START_EVENT ||
                 type == YAML_ALIAS_EVENT)
            status = read_value(r, &event, 0, out);
        yaml_event_delete(&event);
        if (status != GHL_OK || type == YAML_STREAM_END_EVENT)
            return status;
    }
}

static ghl_status read_text(const char *text, size_t size, const char *origin, int first_column, ghl_value **out)
{
    *out = NULL;
    if (size > TEXT_CAP)
        return ghl_fail(GHL_RECIPE, NULL, "%s:1:1: more than 1 MiB of text", origin);
    reader r = {.text = text, .size = size, .origin = origin, .first_column = first_column};
    if (!yaml_parser_initialize(&r.parser))
        return ghl_fail(GHL_MEMORY, NULL, "out of memory while reading %s", origin);
    yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, size);
    ghl_status status = read_document(&r, out);
    yaml_parser_delete(&r.parser);
    if (status != GHL_OK) {
        ghl_value_free(*out);
        *out = NULL;
    }
    return status;
}

ghl_status ghl_value_parse(const char *text, size_t size, const char *origin, ghl_value **out)
{
    GHL_TRY(read_text(text, size, origin, 0, out));
    bool empty = *out == NULL || ((*out)->kind == GHL_VALUE_SCALAR && (*out)->text[0] == '\0' && !(*out)->quoted);
    if (!empty)
        return GHL_OK;
    ghl_value_free(*out);
    *out = NULL;
    return value_create(GHL_VALUE_MAP, origin, 1, 1, out);
}

ghl_status ghl_value_parse_flow(const char *text, const char *origin, ghl_value **out)
{
    *out = NULL;
    const char *inside = text != NULL ? text : "";
    bool braces = inside[strspn(inside, " \t\n")] == '{';
    ghl_text wrapped = {0};
    ghl_text_add(&wrapped, braces ? "%s" : "{%s\n}", inside); /* the newline ends a comment */
    GHL_TRY(ghl_text_end(&wrapped));
    ghl_status status = read_text(wrapped.data, wrapped.length, origin, braces ? 0 : -1, out);
    ghl_text_release(&wrapped);
    return status;
}

/* ---- Use ---- */

const ghl_value *ghl_value_find(const ghl_value *map, const char *key)
{
    if (map == NULL || map->kind != GHL_VALUE_MAP)
        return NULL;
    int i = find_key(map, key, strlen(key));
    return i >= 0 ? map->items[i] : NULL;
}

ghl_status ghl_value_copy(const ghl_value *value, ghl_value **out)
{
    *out = NULL;
    ghl_value *v = NULL;
    GHL_TRY(value_create(value->kind, value->origin, value->line, value->column, &v));
    v->quoted = value->quoted;
    ghl_status status = ghl_copy_text(value->text, &v->text);
    for (int i = 0; status == GHL_OK && i < value->count; i++) {
        ghl_value *item = NULL;
        char *key = NULL;
        bool map = value->kind == GHL_VALUE_MAP;
        status = ghl_value_copy(value->items[i], &item);
        if (status == GHL_OK && map)
            status = ghl_copy_text(value->keys[i], &key);
        if (status == GHL_OK)
            status = value_add(v, key, map ? value->key_lines[i] : 0, map ? value->key_columns[i] : 0, item);
        else
            ghl_value_free(item);
    }
    if (status != GHL_OK) {
        ghl_value_free(v);
        return status;
    }
    *out = v;
    return GHL_OK;
}

static ghl_status fail_place(const char *origin, int line, int column, const char *hint, const char *format, va_list arguments)
{
    char message[480];
    vsnprintf(message, sizeof message, format, arguments);
    return ghl_fail(GHL_RECIPE, hint, "%s:%d:%d: %s", origin, line, column, message);
}

ghl_status ghl_value_fail(const ghl_value *value, const char *hint, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    if (value != NULL && value->origin != NULL) {
        fail_place(value->origin, value->line, value->column, hint, format, arguments);
    } else {
        char message[480];
        vsnprintf(message, sizeof message, format, arguments);
        ghl_fail(GHL_RECIPE, hint, "%s", message);
    }
    va_end(arguments);
    return GHL_RECIPE;
}

ghl_status ghl_value_fail_key(const ghl_value *map, int i, const char *hint, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    /* A key and its value come from the same text, which the map need not: overrides add to maps of files. */
    fail_place(map->items[i]->origin, map->key_lines[i], map->key_columns[i], hint, format, arguments);
    va_end(arguments);
    return GHL_RECIPE;
}

void ghl_value_remove(ghl_value *map, const char *key)
{
    const int i = find_key(map, key, strlen(key));
    if (i < 0)
        return;
    ghl_value_free(map->items[i]);
    free(map->keys[i]);
    for (int k = i + 1; k < map->count; k++) {
        map->items[k - 1] = map->items[k];
        map->keys[k - 1] = map->keys[k];
        map->key_lines[k - 1] = map->key_lines[k];
        map->key_columns[k - 1] = map->key_columns[k];
    }
    map->count--;
}

ghl_status ghl_value_set(ghl_value *map, const char *key, const ghl_value *value)
{
    ghl_value *copy = NULL;
    char *name = NULL;
    GHL_TRY(ghl_value_copy(value, &copy));
    ghl_status status = ghl_copy_text(key, &name);
    if (status != GHL_OK) {
        ghl_value_free(copy);
        return status;
    }
    ghl_value_remove(map, key);
    return value_add(map, name, value->line, value->column, copy);
}

/* ---- Overrides ---- */

static const char override_origin[] = GHL_COMMAND_LINE;
static const char override_hint[] = "overrides look like train.epochs=10 or learn.conv.rule=sign";

typedef struct path_part {
    const char *name;
    size_t length, used; /* used: bytes of the assignment, the dot or '=' after the name not counted */
} path_part;

/* The part of a path that begins at `text`: a name in double quotes, the longest key of the map that fits (layer names have dots),
 * or all up to the next dot. */
static path_part next_part(const ghl_value *at, const char *text, const char *end)
{
    if (*text == '"') {
        const char *close = memchr(text + 1, '"', (size_t)(end - text - 1));
        if (close != NULL)
            return (path_part){text + 1, (size_t)(close - text - 1), (size_t)(close + 1 - text)};
    }
    const char *dot = memchr(text, '.', (size_t)(end - text));
    size_t length = (size_t)((dot != NULL ? dot : end) - text);
    for (int i = 0; at->kind == GHL_VALUE_MAP && i < at->count; i++) {
        size_t n = strlen(at->keys[i]);
        if (n > length && n <= (size_t)(end - text) && strncmp(at->keys[i], text, n) == 0 && (text + n == end || text[n] == '.'))
            length = n;
    }
    return (path_part){text, length, length};
}

static ghl_status fail_override(const char *assignment, const char *message)
{
    return ghl_fail(GHL_RECIPE, override_hint, "%s: \"%.120s\": %s", override_origin, assignment, message);
}

/* A null on the way, as "learn:" with nothing after it, becomes a map. */
static void null_to_map(ghl_value *v)
{
    if (v->kind == GHL_VALUE_SCALAR && !v->quoted && (v->text == NULL || v->text[0] == '\0' || strcmp(v->text, "~") == 0)) {
        free(v->text);
        v->text = NULL;
        v->kind = GHL_VALUE_MAP;
    }
}

/* The place of a part in a map or list, made where a map lacks it (an empty map until somebody replaces it). */
static ghl_status reach(ghl_value *at, path_part part, int column, const char *assignment, int *place)
{
    null_to_map(at);
    if (at->kind == GHL_VALUE_SCALAR)
        return fail_override(assignment, "goes through a key that holds a plain value");
    if (part.length == 0)
        return fail_override(assignment, "a key is empty");
    if (at->kind == GHL_VALUE_LIST) {
        char *end = NULL;
        long number = part.length < 8 && part.name[0] >= '0' && part.name[0] <= '9' ? strtol(part.name, &end, 10) : -1;
        if (number < 0 || end != part.name + part.length || number >= at->count) {
            char message[120];
            snprintf(message, sizeof message, "a list of %d entries, counted from 0, has no \"%.*s\"", at->count,
                     (int)(part.length < 40 ? part.length : 40), part.name);
            return fail_override(assignment, message);
        }
        *place = (int)number;
        return GHL_OK;
    }
    *place = find_key(at, part.name, part.length);
    if (*place >= 0)
        return GHL_OK;
    if (at->count == MAP_CAP)
        return fail_override(assignment, "more than 4096 keys in one map");
    ghl_value *made = NULL;
    GHL_TRY(value_create(GHL_VALUE_MAP, override_origin, 1, column, &made));
    char *key = strndup(part.name, part.length);
    if (key == NULL) {
        ghl_value_free(made);
        return ghl_fail(GHL_MEMORY, NULL, "out of memory for an override");
    }
    *place = at->count;
    return value_add(at, key, 1, column, made);
}

static ghl_status override_value(const char *assignment, const char *text, ghl_value **out)
{
    GHL_TRY(read_text(text, strlen(text), override_origin, (int)(text - assignment), out));
    if (*out != NULL)
        return GHL_OK;
    GHL_TRY(value_create(GHL_VALUE_SCALAR, override_origin, 1, (int)(text - assignment) + 1, out)); /* "key=" */
    ghl_status status = ghl_copy_text("", &(*out)->text);
    if (status != GHL_OK) {
        ghl_value_free(*out);
        *out = NULL;
    }
    return status;
}

/* The '=' that ends the path: not one in double quotes. */
static const char *path_end(const char *assignment)
{
    bool quoted = false;
    for (const char *c = assignment; *c != '\0'; c++) {
        quoted = *c == '"' ? !quoted : quoted;
        if (*c == '=' && !quoted)
            return c;
    }
    return NULL;
}

static ghl_status set_path(ghl_value *map, const char *assignment, const char *end, ghl_value **value)
{
    ghl_value *at = map;
    const char *text = assignment;
    for (int depth = 0;; depth++) {
        if (depth == DEPTH_CAP)
            return fail_override(assignment, "nested more than 32 levels deep");
        path_part part = next_part(at, text, end);
        int place = 0, column = (int)(text - assignment) + 1;
        GHL_TRY(reach(at, part, column, assignment, &place));
        text += part.used;
        if (text == end) {
            ghl_value_free(at->items[place]);
            at->items[place] = *value;
            *value = NULL;
            if (at->kind == GHL_VALUE_MAP) {
                at->key_lines[place] = 1;
                at->key_columns[place] = column;
            }
            return GHL_OK;
        }
        if (*text != '.')
            return fail_override(assignment, "a dot is missing after a quoted key");
        text++;
        at = at->items[place];
    }
}

bool ghl_value_overridden(const ghl_value *value)
{
    return strcmp(value->origin, override_origin) == 0;
}

ghl_status ghl_value_override(ghl_value *map, const char *assignment)
{
    const char *end = path_end(assignment);
    if (end == NULL)
        return fail_override(assignment, "not of the form key=value");
    ghl_value *value = NULL;
    GHL_TRY(override_value(assignment, end + 1, &value));
    ghl_status status = set_path(map, assignment, end, &value);
    ghl_value_free(value);
    return status;
}

const char *ghl_yaml_version(void)
{
    return yaml_get_version_string();
}
