/* SPDX-License-Identifier: Apache-2.0
 *
 * From YAML and the command line to a resolved recipe, and back to text. Order: the tree is parsed, assignments of the command line
 * are put into it (those of `learn` by learn_rows.c, where they come last of all), plugins are loaded, so that their names exist, and
 * each section fills its rows.
 */
#include "recipe/sections.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "recipe/layer_rows.h"
#include "recipe/learn.h"

enum { RECIPE_CAP = 1 << 20 };

static void *part(const ghl_recipe *recipe, size_t offset)
{
    return (char *)recipe + offset;
}

static int key_of(const ghl_value *map, const char *key)
{
    int i = map->count - 1;
    while (i >= 0 && strcmp(map->keys[i], key) != 0)
        i--;
    return i;
}

static bool sized(const ghl_section *section)
{
    return section->rows != NULL;
}

/* Keys of the kind that the file says, where the command line asks for another that has no such key. */
static ghl_status drop_foreign(ghl_recipe *recipe, const ghl_section *section, const ghl_key_list *mine)
{
    const int at = key_of(recipe->tree, section->name);
    ghl_value *map = at >= 0 ? recipe->tree->items[at] : NULL;
    const ghl_value *kind = map != NULL && map->kind == GHL_VALUE_MAP ? ghl_value_find(map, "kind") : NULL;
    const ghl_descriptor *now = NULL, *other = NULL;
    if (kind == NULL || kind->kind != GHL_VALUE_SCALAR || !ghl_value_overridden(kind))
        return GHL_OK;
    GHL_TRY(ghl_registry_find(section->kinds, kind->text, kind, &now));
    ghl_key_list known = *mine, others = {0};
    ghl_key_list_add(&known, "kind");
    ghl_key_list_rows(&known, now->options);
    for (int i = 0; (other = ghl_registry_at(section->kinds, i)) != NULL; i++)
        ghl_key_list_rows(&others, other->options);
    for (int i = map->count - 1; i >= 0; i--) {
        const char *key = map->keys[i];
        if (ghl_value_overridden(map->items[i]) || ghl_key_list_has(&known, key) || !ghl_key_list_has(&others, key))
            continue;
        GHL_TRY(ghl_recipe_note(recipe, "%s: %s is dropped: kind %s, which the command line asks for, has no such key", section->name, key,
                                now->name));
        ghl_value_remove(map, key);
    }
    return GHL_OK;
}

static ghl_status section_parse(ghl_recipe *recipe, const ghl_section *section)
{
    ghl_key_list mine = {0}, all = {0};
    if (sized(section))
        ghl_key_list_rows(&mine, section->rows);
    if (section->kinds != NULL)
        GHL_TRY(drop_foreign(recipe, section, &mine));
    const ghl_value *map = ghl_value_find(recipe->tree, section->name);
    if (map != NULL && map->kind == GHL_VALUE_SCALAR && !map->quoted && map->text[0] == '\0')
        map = NULL; /* "train:" with nothing below */
    const ghl_value *kinds_map = map;
    if (map != NULL && map->kind == GHL_VALUE_SCALAR && section->kinds != NULL)
        map = NULL; /* "model: deephebb" is its kind alone */
    else if (map != NULL && map->kind != GHL_VALUE_MAP)
        return ghl_value_fail(map, "write it as \"section: {key: value}\"", "%s must be a map of keys", section->name);
    all = mine;
    ghl_choice *choice = NULL;
    if (section->kinds != NULL) {
        choice = part(recipe, section->choice);
        GHL_TRY(ghl_choice_parse(choice, section->kinds, section->kind, kinds_map, mine.names, section->name));
        ghl_key_list_add(&all, "kind");
        ghl_key_list_rows(&all, choice->kind->options);
    }
    char what[160];
    snprintf(what, sizeof what, "%s%s%s", section->name, choice != NULL ? " " : "", choice != NULL ? choice->kind->name : "");
    GHL_TRY(ghl_key_list_check(&all, map, what));
    if (!sized(section))
        return GHL_OK;
    return ghl_options_fill(section->rows, map, all.names, section->name, part(recipe, section->offset));
}

static ghl_status plugins_parse(ghl_recipe *recipe)
{
    const ghl_value *list = ghl_value_find(recipe->tree, "plugins");
    if (list == NULL)
        return GHL_OK;
    if (list->kind != GHL_VALUE_LIST)
        return ghl_value_fail(list, "write it as \"plugins: [a.so, b.so]\"", "plugins must be a list of files");
    GHL_TRY(GHL_NEW(recipe->plugins, list->count + 1));
    for (int i = 0; i < list->count; i++) {
        if (list->items[i]->kind != GHL_VALUE_SCALAR)
            return ghl_value_fail(list->items[i], NULL, "a plugin must be the name of a file");
        GHL_TRY(ghl_copy_text(list->items[i]->text, &recipe->plugins[i]));
        recipe->n_plugins = i + 1;
        ghl_status status = ghl_plugin_load(recipe->plugins[i]);
        if (status != GHL_OK)
            return ghl_fail_within(status, "%s:%d:%d", list->items[i]->origin, list->items[i]->line, list->items[i]->column);
    }
    return GHL_OK;
}

/* The name becomes a folder. */
static ghl_status name_check(ghl_recipe *recipe)
{
    char *name = recipe->top.name;
    if (name == NULL || name[0] == '\0') {
        const char *slash = strrchr(recipe->origin, '/');
        const char *stem = slash != NULL ? slash + 1 : recipe->origin;
        free(name);
        recipe->top.name = NULL;
        GHL_TRY(ghl_copy_text(stem, &recipe->top.name));
        name = recipe->top.name;
        char *dot = strrchr(name, '.');
        if (dot != NULL && dot != name)
            *dot = '\0';
    }
    bool good = name[0] != '\0' && name[0] != '.' && strlen(name) <= 200;
    for (const char *c = name; *c != '\0'; c++)
        good = good && *c != '/' && (unsigned char)*c >= 32;
    if (good)
        return GHL_OK;
    return ghl_value_fail(ghl_value_find(recipe->tree, "name"), "the run's folder is runs/NAME: use letters, digits, dots and dashes",
                          "name \"%.80s\" cannot name a folder", name);
}

ghl_status ghl_recipe_resolve(ghl_recipe *recipe, int n, const char *const *overrides)
{
    for (int i = 0; i < n; i++) {
        if (strchr(overrides[i], '=') == NULL)
            return ghl_fail(GHL_USAGE, "overrides look like train.epochs=3", "\"%.80s\" is not key=value", overrides[i]);
        if (strncmp(overrides[i], "learn.", 6) != 0 && strncmp(overrides[i], "phases.", 7) != 0)
            GHL_TRY(ghl_value_override(recipe->tree, overrides[i]));
    }
    if (recipe->tree->kind != GHL_VALUE_MAP)
        return ghl_value_fail(recipe->tree, "a recipe begins like \"model: {kind: deephebb}\"", "a recipe must be a map of sections");
    ghl_key_list keys = {0};
    ghl_key_list_rows(&keys, ghl_recipe_top_rows);
    for (const ghl_section *s = ghl_recipe_sections; s->name != NULL; s++)
        ghl_key_list_add(&keys, s->name);
    ghl_key_list_add(&keys, "learn");
    ghl_key_list_add(&keys, "learn_last");
    ghl_key_list_add(&keys, "layers");
    ghl_key_list_add(&keys, "layers_first");
    ghl_key_list_add(&keys, "plugins");
    ghl_key_list_add(&keys, "phases");
    GHL_TRY(ghl_key_list_check(&keys, recipe->tree, "recipe"));
    GHL_TRY(ghl_options_fill(ghl_recipe_top_rows, recipe->tree, keys.names, "recipe", &recipe->top));
    GHL_TRY(name_check(recipe));
    GHL_TRY(plugins_parse(recipe));
    for (const ghl_section *s = ghl_recipe_sections; s->name != NULL; s++)
        GHL_TRY(section_parse(recipe, s));
    GHL_TRY(ghl_phases_parse(recipe, n, overrides));
    if (recipe->n_phases == 0)
        GHL_TRY(ghl_learn_parse(recipe, n, overrides));
    return ghl_layer_rows_parse(recipe);
}

ghl_status ghl_recipe_create(const char *origin, ghl_recipe **out)
{
    ghl_recipe *recipe = NULL;
    *out = NULL;
    GHL_TRY(GHL_NEW(recipe, 1));
    ghl_status status = ghl_copy_text(origin, &recipe->origin);
    if (status == GHL_OK)
        *out = recipe;
    else
        ghl_recipe_free(recipe);
    return status;
}

static ghl_status parse(const char *text, size_t size, const char *name, int n, const char *const *overrides, ghl_recipe **out)
{
    ghl_recipe *recipe = NULL;
    *out = NULL;
    GHL_TRY(ghl_recipe_create(name, &recipe));
    ghl_status status = ghl_value_parse(text, size, recipe->origin, &recipe->tree);
    if (status == GHL_OK)
        status = ghl_recipe_resolve(recipe, n, overrides);
    if (status == GHL_OK) {
        *out = recipe;
        return GHL_OK;
    }
    ghl_recipe_free(recipe);
    return status;
}

ghl_status ghl_recipe_parse(const char *text, const char *name, int n, const char *const *overrides, ghl_recipe **out)
{
    return parse(text, strlen(text), name, n, overrides, out);
}

ghl_status ghl_recipe_load(const char *path, int n, const char *const *overrides, ghl_recipe **out)
{
    char *text = NULL;
    size_t size = 0;
    *out = NULL;
    GHL_TRY(ghl_file_read(path, RECIPE_CAP, GHL_RECIPE, &text, &size));
    ghl_status status = parse(text, size, path, n, overrides, out);
    free(text);
    return status;
}

void ghl_section_print(const ghl_recipe *recipe, const ghl_section *section, ghl_text *text)
{
    ghl_text_add(text, "%s:\n", section->name);
    if (section->kinds != NULL)
        ghl_choice_print(part(recipe, section->choice), 2, text);
    if (sized(section))
        ghl_options_print(section->rows, part(recipe, section->offset), 2, text);
}

char *ghl_recipe_text(const ghl_recipe *recipe)
{
    ghl_text text = {0};
    ghl_options_print(ghl_recipe_top_rows, &recipe->top, 0, &text);
    if (recipe->n_plugins > 0) {
        ghl_text_add(&text, "plugins: ");
        ghl_value_print(ghl_value_find(recipe->tree, "plugins"), &text);
        ghl_text_add(&text, "\n");
    }
    /* Of a recipe with phases, model and data: the rest each phase has. */
    for (const ghl_section *s = ghl_recipe_sections; s->name != NULL; s++)
        if (recipe->n_phases == 0 || (s->kinds != NULL && s->kind == NULL))
            ghl_section_print(recipe, s, &text);
    ghl_layer_rows_print(recipe, &text);
    if (recipe->n_phases > 0)
        ghl_phases_print(recipe, &text);
    else
        ghl_learn_print(recipe, &text);
    if (ghl_text_end(&text) == GHL_OK)
        return text.data;
    ghl_text_release(&text);
    return NULL;
}

void ghl_recipe_help(ghl_text *text)
{
    ghl_options_help(ghl_recipe_top_rows, 0, text);
    ghl_text_add(text, "plugins  list of files, default []: shared objects that bring rules, layers, models, ... of their own\n");
    for (const ghl_section *s = ghl_recipe_sections; s->name != NULL; s++) {
        ghl_text_add(text, "\n%s: %s\n", s->name, s->help);
        if (s->kinds != NULL) {
            ghl_text_add(text, "  kind  ");
            const ghl_descriptor *d = NULL;
            for (int i = 0; (d = ghl_registry_at(s->kinds, i)) != NULL; i++)
                ghl_text_add(text, "%s%s", i > 0 ? " | " : "", d->name);
            ghl_text_add(text, "%s%s: %s\n", s->kind != NULL ? ", default " : ", must be written", s->kind != NULL ? s->kind : "",
                         s->kinds->what);
        }
        if (sized(s))
            ghl_options_help(s->rows, 2, text);
    }
    ghl_layer_rows_help(text);
    ghl_learn_help(text);
    ghl_phases_help(text);
}

void ghl_recipe_free(ghl_recipe *recipe)
{
    if (recipe == NULL)
        return;
    ghl_layer_rows_release(recipe);
    ghl_learn_release(recipe);
    ghl_phases_release(recipe);
    for (const ghl_section *s = ghl_recipe_sections; s->name != NULL; s++) {
        if (s->kinds != NULL)
            ghl_choice_release(part(recipe, s->choice));
        if (sized(s))
            ghl_options_release(s->rows, part(recipe, s->offset));
    }
    ghl_options_release(ghl_recipe_top_rows, &recipe->top);
    for (int i = 0; i < recipe->n_plugins; i++)
        free(recipe->plugins[i]);
    for (int i = 0; i < recipe->n_notes; i++)
        free(recipe->notes[i]);
    free(recipe->plugins);
    free(recipe->notes);
    ghl_value_free(recipe->tree);
    free(recipe->origin);
    free(recipe);
}
