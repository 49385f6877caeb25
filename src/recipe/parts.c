/* SPDX-License-Identifier: Apache-2.0
 *
 * What the sections of a recipe share: lists of legal keys, kinds with their options, values back to YAML, notes.
 */
#include "recipe/sections.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void ghl_key_list_add(ghl_key_list *list, const char *name)
{
    if (list->count < GHL_RECIPE_KEYS)
        list->names[list->count++] = name;
}

bool ghl_key_list_has(const ghl_key_list *list, const char *name)
{
    for (int k = 0; k < list->count; k++)
        if (strcmp(list->names[k], name) == 0)
            return true;
    return false;
}

void ghl_key_list_rows(ghl_key_list *list, const ghl_option *rows)
{
    for (; rows != NULL && rows->name != NULL; rows++)
        ghl_key_list_add(list, rows->name);
}

ghl_status ghl_key_list_check(const ghl_key_list *list, const ghl_value *map, const char *what)
{
    for (int i = 0; map != NULL && i < map->count; i++) {
        if (ghl_key_list_has(list, map->keys[i]))
            continue;
        const char *near = ghl_nearest(map->keys[i], list->names, list->count);
        const char *hint = "\"ghl help recipe\" shows every key";
        if (near != NULL)
            return ghl_value_fail_key(map, i, hint, "%s has no key \"%.80s\"; did you mean \"%s\"?", what, map->keys[i], near);
        return ghl_value_fail_key(map, i, hint, "%s has no key \"%.80s\"", what, map->keys[i]);
    }
    return GHL_OK;
}

ghl_status ghl_choice_parse(ghl_choice *choice, const ghl_registry *kinds, const char *fallback, const ghl_value *value,
                            const char *const *others, const char *section)
{
    const ghl_value *map = value != NULL && value->kind == GHL_VALUE_MAP ? value : NULL;
    const ghl_value *kind = map != NULL ? ghl_value_find(map, "kind") : value;
    if (kind == NULL && fallback == NULL)
        return ghl_value_fail(value, "\"ghl list\" shows the kinds there are", "%s.kind is missing: which %s?", section, kinds->what);
    if (kind != NULL && kind->kind != GHL_VALUE_SCALAR)
        return ghl_value_fail(kind, NULL, "%s.kind must be the name of a %s", section, kinds->what);
    GHL_TRY(ghl_registry_find(kinds, kind != NULL ? kind->text : fallback, kind, &choice->kind));
    ghl_key_list keys = {0};
    for (; others != NULL && *others != NULL; others++)
        ghl_key_list_add(&keys, *others);
    ghl_key_list_add(&keys, "kind");
    ghl_key_list all = keys;
    ghl_key_list_rows(&all, choice->kind->options);
    char what[160];
    snprintf(what, sizeof what, "%s %s", kinds->what, choice->kind->name);
    GHL_TRY(ghl_key_list_check(&all, map, what));
    return ghl_descriptor_options(choice->kind, map, keys.names, what, &choice->options);
}

void ghl_choice_print(const ghl_choice *choice, int indent, ghl_text *text)
{
    ghl_text_add(text, "%*skind: %s\n", indent, "", choice->kind->name);
    if (choice->kind->options != NULL)
        ghl_options_print(choice->kind->options, choice->options, indent, text);
}

void ghl_choice_release(ghl_choice *choice)
{
    if (choice->kind != NULL)
        ghl_descriptor_release(choice->kind, choice->options);
    *choice = (ghl_choice){0};
}

static bool plain(const ghl_value *value)
{
    if (value->quoted || value->text[0] == '\0')
        return false;
    for (const char *c = value->text; *c != '\0'; c++) {
        bool word = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9');
        if (!word && strchr("_+-./", *c) == NULL)
            return false;
    }
    return strcmp(value->text, "-") != 0;
}

static void quote(const char *s, ghl_text *text)
{
    ghl_text_add(text, "\"");
    for (; *s != '\0'; s++) {
        unsigned char c = (unsigned char)*s;
        if (c == '"' || c == '\\')
            ghl_text_add(text, "\\%c", c);
        else if (c < 32 || c == 127)
            ghl_text_add(text, "\\x%02x", c);
        else
            ghl_text_append(text, s, 1);
    }
    ghl_text_add(text, "\"");
}

void ghl_value_print(const ghl_value *value, ghl_text *text)
{
    if (value->kind == GHL_VALUE_SCALAR) {
        if (plain(value))
            ghl_text_add(text, "%s", value->text);
        else
            quote(value->text, text);
        return;
    }
    bool map = value->kind == GHL_VALUE_MAP;
    ghl_text_add(text, map ? "{" : "[");
    for (int i = 0; i < value->count; i++) {
        ghl_text_add(text, "%s", i > 0 ? ", " : "");
        if (map) {
            quote(value->keys[i], text);
            ghl_text_add(text, ": ");
        }
        ghl_value_print(value->items[i], text);
    }
    ghl_text_add(text, map ? "}" : "]");
}

ghl_status ghl_recipe_note(ghl_recipe *recipe, const char *format, ...)
{
    char line[512];
    va_list list;
    va_start(list, format);
    vsnprintf(line, sizeof line, format, list);
    va_end(list);
    for (int i = 0; i < recipe->n_notes; i++)
        if (strcmp(recipe->notes[i], line) == 0)
            return GHL_OK;
    GHL_TRY(GHL_GROW(recipe->notes, recipe->notes_capacity, recipe->n_notes + 1));
    GHL_TRY(ghl_copy_text(line, &recipe->notes[recipe->n_notes]));
    recipe->n_notes++;
    return GHL_OK;
}

void ghl_recipe_tell(const ghl_recipe *recipe, const ghl_host *host)
{
    for (int i = 0; host != NULL && host->log != NULL && i < recipe->n_notes; i++)
        host->log(host->user, GHL_LEVEL_WARNING, recipe->notes[i]);
    for (int i = 0; i < recipe->n_phases; i++)
        ghl_recipe_tell(recipe->phases[i], host);
}
