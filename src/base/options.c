/* SPDX-License-Identifier: Apache-2.0
 *
 * Typed rows fill an options struct from a map, print it, and explain themselves. What a type is, option_types.c knows.
 */
#include "base/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/option_types.h"

static const char help_hint[] = "ghl help recipe lists every key with its type and range";

/* Most defaults are a single word: no need of the YAML parser for them. */
static ghl_status read_default(const ghl_field *f)
{
    const char *text = f->row->fallback != NULL ? f->row->fallback : "";
    if (text[0] == '\0') { /* zero, but texts are never NULL */
        ghl_value empty = {.kind = GHL_VALUE_SCALAR, .text = (char *)""};
        return f->row->type == GHL_OPTION_TEXT ? ghl_types[GHL_OPTION_TEXT].read(f, &empty) : GHL_OK;
    }
    if (strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+-./") == strlen(text)) {
        ghl_value word = {.kind = GHL_VALUE_SCALAR, .text = (char *)text};
        return ghl_types[f->row->type].read(f, &word);
    }
    ghl_value *v = NULL;
    GHL_TRY(ghl_value_parse(text, strlen(text), "default", &v));
    ghl_status status = ghl_types[f->row->type].read(f, v);
    ghl_value_free(v);
    return status;
}

static const ghl_option *find_row(const ghl_option *rows, const char *name)
{
    for (const ghl_option *row = rows; row != NULL && row->name != NULL; row++)
        if (strcmp(row->name, name) == 0)
            return row;
    return NULL;
}

static bool listed(const char *const *names, const char *name)
{
    for (; names != NULL && *names != NULL; names++)
        if (strcmp(*names, name) == 0)
            return true;
    return false;
}

static ghl_status fail_unknown(const ghl_option *rows, const ghl_value *map, int i, const char *const *others, const char *what)
{
    const char *names[512];
    int n = 0;
    for (const ghl_option *row = rows; row != NULL && row->name != NULL && n < 512; row++)
        names[n++] = row->name;
    for (; others != NULL && *others != NULL && n < 512; others++)
        names[n++] = *others;
    const char *near = ghl_nearest(map->keys[i], names, n);
    const char *in = what != NULL && what[0] != '\0' ? " in " : "";
    what = what != NULL ? what : "";
    if (near != NULL)
        return ghl_value_fail_key(map, i, help_hint, "unknown key \"%.60s\"%s%.60s; did you mean \"%s\"?", map->keys[i], in, what, near);
    ghl_text all = {0};
    for (int k = 0; k < n; k++)
        ghl_text_add(&all, "%s%s", k > 0 ? ", " : "", names[k]);
    GHL_TRY(ghl_text_end(&all));
    if (n == 0)
        ghl_value_fail_key(map, i, help_hint, "unknown key \"%.60s\"%s%.60s, which has no keys", map->keys[i], in, what);
    else
        ghl_value_fail_key(map, i, help_hint, "unknown key \"%.60s\"%s%.60s; known: %.200s", map->keys[i], in, what, all.data);
    ghl_text_release(&all);
    return GHL_RECIPE;
}

static ghl_status fill_defaults(const ghl_option *rows, const char *what, void *options)
{
    for (const ghl_option *row = rows; row != NULL && row->name != NULL; row++) {
        ghl_field f = {.row = row, .what = what, .at = (char *)options + row->offset};
        if (read_default(&f) == GHL_OK)
            continue;
        char name[120], reason[300];
        snprintf(reason, sizeof reason, "%s", ghl_error_message());
        return ghl_fail(GHL_INTERNAL, "correct the option row", "the default of %s is not legal: %s", ghl_field_name(&f, name), reason);
    }
    return GHL_OK;
}

static ghl_status fill_given(const ghl_option *rows, const ghl_value *map, const char *const *others, const char *what, void *options)
{
    if (map == NULL || (map->kind == GHL_VALUE_SCALAR && map->text[0] == '\0' && !map->quoted))
        return GHL_OK;
    if (map->kind != GHL_VALUE_MAP)
        return ghl_value_fail(map, "write {key: value, ...} or indented lines of key: value", "%s must be a map of keys, not %s",
                              what != NULL && what[0] != '\0' ? what : "this",
                              map->kind == GHL_VALUE_LIST ? "a list" : "a plain value");
    for (int i = 0; i < map->count; i++) {
        const ghl_option *row = find_row(rows, map->keys[i]);
        if (row == NULL && listed(others, map->keys[i]))
            continue;
        if (row == NULL)
            return fail_unknown(rows, map, i, others, what);
        ghl_field f = {.row = row, .what = what, .at = (char *)options + row->offset};
        GHL_TRY(ghl_types[row->type].read(&f, map->items[i]));
    }
    return GHL_OK;
}

ghl_status ghl_options_fill(const ghl_option *rows, const ghl_value *map, const char *const *others, const char *what, void *options)
{
    ghl_status status = fill_defaults(rows, what, options);
    if (status == GHL_OK)
        status = fill_given(rows, map, others, what, options);
    if (status != GHL_OK)
        ghl_options_release(rows, options);
    return status;
}

void ghl_options_release(const ghl_option *rows, void *options)
{
    for (const ghl_option *row = rows; row != NULL && row->name != NULL; row++)
        if (ghl_types[row->type].release != NULL)
            ghl_types[row->type].release((char *)options + row->offset);
}

void ghl_options_print(const ghl_option *rows, const void *options, int indent, ghl_text *text)
{
    for (const ghl_option *row = rows; row != NULL && row->name != NULL; row++) {
        ghl_text_add(text, "%*s%s: ", indent, "", row->name);
        ghl_types[row->type].print(row, (const char *)options + row->offset, text);
        ghl_text_append(text, "\n", 1);
    }
}

void ghl_options_help(const ghl_option *rows, int indent, ghl_text *text)
{
    int width = 0;
    for (const ghl_option *row = rows; row != NULL && row->name != NULL; row++)
        width = (int)strlen(row->name) > width ? (int)strlen(row->name) : width;
    for (const ghl_option *row = rows; row != NULL && row->name != NULL; row++) {
        ghl_text_add(text, "%*s%-*s  %s", indent, "", width, row->name, ghl_types[row->type].name);
        for (int i = 0; row->type == GHL_OPTION_CHOICE && row->choices[i] != NULL; i++)
            ghl_text_add(text, "%s%s", i > 0 ? " | " : " ", row->choices[i]);
        if (ghl_option_bounded(row)) {
            char range[80];
            ghl_option_range(row, range);
            ghl_text_add(text, ", %s", range);
        }
        const char *fallback = row->fallback != NULL && row->fallback[0] != '\0' ? row->fallback : NULL;
        if (fallback != NULL)
            ghl_text_add(text, " (default %s)", fallback);
        ghl_text_add(text, ": %s\n", row->help != NULL ? row->help : "");
    }
}

ghl_status ghl_descriptor_options(const ghl_descriptor *d, const ghl_value *map, const char *const *others, const char *what,
                                  void **options)
{
    *options = NULL;
    void *filled = NULL;
    GHL_TRY(ghl_allocate(1, d->options_size, &filled));
    ghl_status status = ghl_options_fill(d->options, map, others, what, filled);
    if (status != GHL_OK) {
        free(filled);
        return status;
    }
    *options = filled;
    return GHL_OK;
}

void ghl_descriptor_release(const ghl_descriptor *d, void *options)
{
    if (options == NULL)
        return;
    ghl_options_release(d->options, options);
    free(options);
}
