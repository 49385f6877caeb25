/* SPDX-License-Identifier: Apache-2.0
 *
 * phases.c - a recipe's phases, done one after the other on one net: features without labels, then a head on them.
 *
 * A phase is a recipe of its own: the tree of the whole with the phase's sections in the place of its own (`train`, `data` and `model` key
 * by key), resolved like any other. So nothing else need know of phases. An assignment of the command line speaks to every phase, unless
 * it names one: "phases.head.train.epochs=3", "phases.1.train.epochs=3".
 *
 * A phase whose model comes out as another than the recipe's is a branch: a head on a layer in the middle, say (phase.c).
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "recipe/learn.h"
#include "recipe/sections.h"

#define PHASE(member) offsetof(ghl_phase, member)

static const ghl_option phase_rows[] = {
    {.name = "name", .type = GHL_OPTION_TEXT, .offset = PHASE(name), .fallback = "",
     .help = "what figures and the command line call the phase; phase1, phase2, ... where empty"},
    {.name = "root", .type = GHL_OPTION_TEXT, .offset = PHASE(root), .fallback = "",
     .help = "layer up to which the net is computed; empty: the loss, or, where no rule asks for an error, the last layer that learns"},
    {.name = "frozen_to", .type = GHL_OPTION_TEXT, .offset = PHASE(frozen_to), .fallback = "",
     .help = "layer up to which everything is frozen and in evaluation mode, and needs no rule"},
    {0}};

/* Sections that a phase may have, those that it merges with the recipe's first. */
static const char *const merged_sections[] = {"train", "data", "model", NULL};
static const char *const phase_sections[] = {"train", "data", "model", "optimiser", "schedule", "learn", "learn_last", NULL};

static bool is_in(const char *const *list, const char *name)
{
    for (; *list != NULL; list++)
        if (strcmp(*list, name) == 0)
            return true;
    return false;
}

int ghl_recipe_phases(const ghl_recipe *recipe)
{
    return recipe->n_phases > 0 ? recipe->n_phases : 1;
}

const ghl_recipe *ghl_recipe_phase_at(const ghl_recipe *recipe, int i)
{
    return recipe->n_phases > 0 ? recipe->phases[i] : recipe;
}

int64_t ghl_recipe_epochs(const ghl_recipe *recipe, int n)
{
    int64_t sum = 0;
    for (int i = 0; i < n; i++)
        sum += ghl_recipe_phase_at(recipe, i)->train.epochs;
    return sum;
}

void ghl_recipe_hold_out(ghl_recipe *recipe, int64_t images)
{
    recipe->data.holdout = images;
    for (int i = 0; i < recipe->n_phases; i++)
        recipe->phases[i]->data.holdout = images;
}

/* The number of the phase that the `length` first bytes of `name` are the name or the number of, or -1. */
static int find_phase(const ghl_recipe *recipe, const char *name, size_t length)
{
    char *end = NULL;
    long number = isdigit((unsigned char)name[0]) ? strtol(name, &end, 10) : -1;
    for (int i = 0; i < recipe->n_phases; i++)
        if ((number == i && end == name + length) ||
            (strlen(recipe->phases[i]->phase.name) == length && strncmp(recipe->phases[i]->phase.name, name, length) == 0))
            return i;
    return -1;
}

ghl_status ghl_recipe_phase(const ghl_recipe *recipe, const char *name, const ghl_recipe **out)
{
    const int i = name == NULL ? 0 : find_phase(recipe, name, strlen(name));
    *out = recipe;
    if (i < 0)
        return ghl_fail(GHL_RECIPE, "phases are called by their name, or their number from 0 on", "%s: no phase \"%.80s\"", recipe->origin,
                        name);
    *out = ghl_recipe_phase_at(recipe, i);
    return GHL_OK;
}

/* ---- Parsing ---- */

/* "data: synthetic" is {kind: synthetic}. */
static ghl_status as_map(const ghl_value *value, ghl_value **out)
{
    if (value != NULL && value->kind == GHL_VALUE_MAP)
        return ghl_value_copy(value, out);
    GHL_TRY(ghl_value_parse_flow(NULL, "recipe", out));
    return value != NULL && value->text[0] != '\0' ? ghl_value_set(*out, "kind", value) : GHL_OK;
}

/* Key by key, unless the phase says another kind. */
static ghl_status merge_section(ghl_value *tree, const char *name, const ghl_value *section)
{
    ghl_value *merged = NULL;
    if (section->kind != GHL_VALUE_MAP || ghl_value_find(section, "kind") != NULL)
        return ghl_value_set(tree, name, section);
    ghl_status status = as_map(ghl_value_find(tree, name), &merged);
    for (int i = 0; status == GHL_OK && i < section->count; i++)
        status = ghl_value_set(merged, section->keys[i], section->items[i]);
    if (status == GHL_OK)
        status = ghl_value_set(tree, name, merged);
    ghl_value_free(merged);
    return status;
}

static ghl_status merge_phase(ghl_value *tree, const ghl_value *map)
{
    ghl_value_remove(tree, "phases");
    if (ghl_value_find(map, "learn") != NULL)
        ghl_value_remove(tree, "learn_last");
    for (int i = 0; i < map->count; i++) {
        if (is_in(merged_sections, map->keys[i]))
            GHL_TRY(merge_section(tree, map->keys[i], map->items[i]));
        else if (is_in(phase_sections, map->keys[i]))
            GHL_TRY(ghl_value_set(tree, map->keys[i], map->items[i]));
    }
    return GHL_OK;
}

/* The phase's name: one that can stand in "phases.NAME.key=value". */
static ghl_status name_phase(ghl_recipe *recipe, int number, const ghl_value *map, ghl_recipe *phase)
{
    char *name = phase->phase.name;
    if (name[0] == '\0') {
        free(name);
        phase->phase.name = NULL;
        GHL_TRY(GHL_NEW(phase->phase.name, 24));
        name = phase->phase.name;
        snprintf(name, 24, "phase%d", number + 1);
    }
    bool good = isalpha((unsigned char)name[0]) && strlen(name) < 64;
    for (const char *c = name; *c != '\0'; c++)
        good = good && (isalnum((unsigned char)*c) || *c == '_' || *c == '-');
    if (!good)
        return ghl_value_fail(ghl_value_find(map, "name"), "use a letter, then letters, digits, _ and -", "\"%.80s\" cannot name a phase",
                              name);
    if (find_phase(recipe, name, strlen(name)) >= 0)
        return ghl_value_fail(map, NULL, "two phases are named %s", name);
    return GHL_OK;
}

/* The assignments that speak to this phase, without the prefix that says so. */
static ghl_status own_overrides(const ghl_recipe *phase, int number, int n, const char *const *overrides, const char **own, int *count)
{
    static const char prefix[] = "phases.";
    for (int i = 0; i < n; i++) {
        const char *rest = overrides[i] + sizeof prefix - 1;
        if (strncmp(overrides[i], prefix, sizeof prefix - 1) != 0) {
            own[(*count)++] = overrides[i];
            continue;
        }
        const size_t length = strcspn(rest, ".=");
        char digits[16];
        const int written = snprintf(digits, sizeof digits, "%d", number);
        const bool named = strlen(phase->phase.name) == length && strncmp(rest, phase->phase.name, length) == 0;
        if (!named && !((size_t)written == length && strncmp(rest, digits, length) == 0))
            continue;
        if (rest[length] != '.')
            return ghl_fail(GHL_RECIPE, "keys of a phase are set as phases.head.train.epochs=3", "\"%.120s\" sets no key of a phase",
                            overrides[i]);
        own[(*count)++] = rest + length + 1;
    }
    return GHL_OK;
}

/* Assignments to keys of the phase itself, which are taken out of the list. Its name stays: by it they were found. */
static ghl_status set_phase_keys(ghl_recipe *phase, const ghl_value *map, const ghl_key_list *names, int *n, const char **own)
{
    const ghl_option *rows = phase_rows + 1;
    ghl_value *keys = NULL;
    int kept = 0;
    ghl_status status = ghl_value_copy(map, &keys);
    for (int i = 0; status == GHL_OK && i < *n; i++) {
        bool mine = false;
        for (const ghl_option *row = rows; row->name != NULL; row++)
            mine = mine || (strncmp(own[i], row->name, strlen(row->name)) == 0 && own[i][strlen(row->name)] == '=');
        if (mine)
            status = ghl_value_override(keys, own[i]);
        else
            own[kept++] = own[i];
    }
    *n = kept;
    ghl_options_release(rows, &phase->phase);
    if (status == GHL_OK)
        status = ghl_options_fill(rows, keys, names->names, "phase", &phase->phase);
    ghl_value_free(keys);
    return status;
}

static void print_model(const ghl_recipe *recipe, ghl_text *text)
{
    for (const ghl_section *s = ghl_recipe_sections; s->name != NULL; s++)
        if (strcmp(s->name, "model") == 0)
            ghl_section_print(recipe, s, text);
}

static ghl_status find_branch(const ghl_recipe *recipe, ghl_recipe *phase)
{
    ghl_text theirs = {0}, ours = {0};
    print_model(recipe, &theirs);
    print_model(phase, &ours);
    ghl_status status = ghl_text_end(&theirs);
    if (status == GHL_OK)
        status = ghl_text_end(&ours);
    phase->phase.branch = status == GHL_OK && strcmp(theirs.data, ours.data) != 0;
    ghl_text_release(&theirs);
    ghl_text_release(&ours);
    return status;
}

static ghl_status parse_phase(ghl_recipe *recipe, int number, const ghl_value *map, int n, const char *const *overrides)
{
    ghl_key_list keys = {0};
    ghl_key_list_rows(&keys, phase_rows);
    for (const char *const *name = phase_sections; *name != NULL; name++)
        ghl_key_list_add(&keys, *name);
    if (map->kind != GHL_VALUE_MAP)
        return ghl_value_fail(map, "write it as \"- {name: head, learn: {linear: {rule: backprop}}}\"", "a phase must be a map of keys");
    GHL_TRY(ghl_key_list_check(&keys, map, "a phase"));
    ghl_recipe *phase = NULL;
    const char **own = NULL;
    int count = 0;
    GHL_TRY(ghl_recipe_create(recipe->origin, &phase));
    ghl_status status = ghl_options_fill(phase_rows, map, keys.names, "phase", &phase->phase);
    if (status == GHL_OK)
        status = name_phase(recipe, number, map, phase);
    if (status == GHL_OK)
        status = GHL_NEW(own, n + 1);
    if (status == GHL_OK)
        status = own_overrides(phase, number, n, overrides, own, &count);
    if (status == GHL_OK)
        status = set_phase_keys(phase, map, &keys, &count, own);
    if (status == GHL_OK)
        status = ghl_value_copy(recipe->tree, &phase->tree);
    if (status == GHL_OK)
        status = merge_phase(phase->tree, map);
    if (status == GHL_OK)
        status = ghl_recipe_resolve(phase, count, own);
    if (status == GHL_OK)
        status = find_branch(recipe, phase);
    free(own);
    if (status != GHL_OK) {
        ghl_recipe_free(phase);
        return status;
    }
    recipe->phases[recipe->n_phases++] = phase;
    return GHL_OK;
}

/* An assignment to a phase that there is not. */
static ghl_status check_overrides(const ghl_recipe *recipe, int n, const char *const *overrides)
{
    for (int i = 0; i < n; i++) {
        const char *rest = strncmp(overrides[i], "phases.", 7) == 0 ? overrides[i] + 7 : NULL;
        const size_t length = rest != NULL ? strcspn(rest, ".=") : 0;
        if (rest != NULL && find_phase(recipe, rest, length) < 0)
            return ghl_fail(GHL_RECIPE, "phases are called by their name, or their number from 0 on", "%s: no phase \"%.*s\"",
                            recipe->origin, (int)(length < 80 ? length : 80), rest);
    }
    return GHL_OK;
}

ghl_status ghl_phases_parse(ghl_recipe *recipe, int n, const char *const *overrides)
{
    const ghl_value *list = ghl_value_find(recipe->tree, "phases");
    if (list != NULL && list->kind != GHL_VALUE_LIST)
        return ghl_value_fail(list, "write it as \"phases: [{name: features, ...}, {name: head, ...}]\"", "phases must be a list of maps");
    if (list != NULL && list->count == 0)
        return ghl_value_fail(list, "leave phases out where there is but one", "phases is an empty list");
    GHL_TRY(GHL_NEW(recipe->phases, list != NULL ? list->count + 1 : 1));
    bool used = ghl_value_find(recipe->tree, "learn") == NULL;
    for (int i = 0; list != NULL && i < list->count; i++) {
        GHL_TRY(parse_phase(recipe, i, list->items[i], n, overrides));
        used = used || ghl_value_find(list->items[i], "learn") == NULL;
    }
    if (list != NULL && !used)
        return ghl_value_fail(ghl_value_find(recipe->tree, "learn"), "every phase has a section learn of its own: leave this one out",
                              "no phase reads the recipe's section learn");
    return check_overrides(recipe, n, overrides);
}

/* ---- Text ---- */

/* `text`, each line after four spaces, the first after "  - ". */
static void print_item(ghl_text *item, ghl_text *text)
{
    const char *begin = "  - ";
    if (ghl_text_end(item) != GHL_OK) {
        text->failed = true;
        return;
    }
    for (const char *line = item->data; *line != '\0'; begin = "    ") {
        const size_t length = strcspn(line, "\n") + 1;
        ghl_text_add(text, "%s", begin);
        ghl_text_append(text, line, length);
        line += length;
    }
}

void ghl_phases_print(const ghl_recipe *recipe, ghl_text *text)
{
    ghl_text_add(text, "phases:\n");
    for (int i = 0; i < recipe->n_phases; i++) {
        ghl_text item = {0};
        ghl_options_print(phase_rows, &recipe->phases[i]->phase, 0, &item);
        for (const ghl_section *s = ghl_recipe_sections; s->name != NULL; s++)
            if (is_in(phase_sections, s->name) && strcmp(s->name, "model") != 0)
                ghl_section_print(recipe->phases[i], s, &item);
        if (recipe->phases[i]->phase.branch)
            print_model(recipe->phases[i], &item);
        ghl_learn_print(recipe->phases[i], &item);
        print_item(&item, text);
        ghl_text_release(&item);
    }
}

void ghl_phases_help(ghl_text *text)
{
    ghl_text_add(text, "\nphases: a list, done one after the other on the same net. A phase may have sections of its own: train, data and\n"
                       "model take the place of the recipe's key by key, optimiser, schedule and learn as a whole. Every layer up to\n"
                       "its root needs a row of learn that says a rule. A phase of another model takes what it freezes from the net,\n"
                       "by name, begins the rest anew, and the phases after it go on without it: a head on a layer in the middle.\n");
    ghl_options_help(phase_rows, 2, text);
}

void ghl_phases_release(ghl_recipe *recipe)
{
    ghl_options_release(phase_rows, &recipe->phase);
    for (int i = 0; i < recipe->n_phases; i++)
        ghl_recipe_free(recipe->phases[i]);
    free(recipe->phases);
}
