/* SPDX-License-Identifier: Apache-2.0
 *
 * Rows of `layers` and `layers_first`: read, derived from the rules of `learn`, printed, and given to the layers while a net is built.
 */
#include "recipe/layer_rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "recipe/learn.h"
#include "recipe/sections.h"

/* ---- Reading ---- */

static ghl_status row_add(ghl_layer_rows *all, const char *key, const ghl_value *map)
{
    GHL_TRY(GHL_GROW(all->rows, all->capacity, all->count + 1));
    ghl_layer_row *row = &all->rows[all->count];
    *row = (ghl_layer_row){.rank = ghl_learn_rank(key)};
    GHL_TRY(ghl_copy_text(key, &row->key));
    all->count++;
    return ghl_value_copy(map, &row->map);
}

static bool has_option(const ghl_descriptor *kind, const char *key)
{
    for (const ghl_option *row = kind->options; row != NULL && row->name != NULL; row++)
        if (strcmp(row->name, key) == 0)
            return true;
    return false;
}

/* Keys that some layer kind has: which, a row of a name or glob knows only when the net is built. */
static ghl_status row_check(const char *section, const char *key, const ghl_value *map)
{
    ghl_key_list keys = {0};
    const ghl_descriptor *d = NULL;
    char what[300];
    if (map->kind != GHL_VALUE_MAP)
        return ghl_value_fail(map, "write it as \"conv: {padding_mode: reflect}\"", "%s.%.80s must be a map of options", section, key);
    for (int i = 0; (d = ghl_registry_at(&ghl_layers, i)) != NULL; i++)
        if (ghl_learn_rank(key) != GHL_LEARN_KIND || strcmp(d->name, key) == 0)
            ghl_key_list_rows(&keys, d->options);
    snprintf(what, sizeof what, "%s.%.255s", section, key);
    return ghl_key_list_check(&keys, map, what);
}

static bool is_empty(const ghl_value *value)
{
    return value->kind == GHL_VALUE_SCALAR && !value->quoted && value->text[0] == '\0';
}

static ghl_status section_read(const ghl_recipe *recipe, const char *section, ghl_layer_rows *all)
{
    const ghl_value *map = ghl_value_find(recipe->tree, section);
    if (map == NULL || is_empty(map))
        return GHL_OK;
    if (map->kind != GHL_VALUE_MAP)
        return ghl_value_fail(map, "write it as \"layers: {conv: {padding_mode: reflect}}\"", "%s must be a map of rows", section);
    for (int i = 0; i < map->count; i++) {
        GHL_TRY(row_check(section, map->keys[i], map->items[i]));
        GHL_TRY(row_add(all, map->keys[i], map->items[i]));
    }
    return GHL_OK;
}

/* Rows of `layers` by rank, as those of `learn`; stable. */
static void rows_sort(ghl_layer_rows *all)
{
    for (int i = 1; i < all->count; i++) {
        ghl_layer_row row = all->rows[i];
        int k = i;
        for (; k > 0 && all->rows[k - 1].rank > row.rank; k--)
            all->rows[k] = all->rows[k - 1];
        all->rows[k] = row;
    }
}

/* ---- From rules ---- */

static const char no_option[] = "auto"; /* in a row that takes back what rows before it said */

/* Two kinds share no layer. */
static bool apart(const char *a, const char *b)
{
    return ghl_learn_rank(a) == GHL_LEARN_KIND && ghl_learn_rank(b) == GHL_LEARN_KIND && strcmp(a, b) != 0;
}

static void row_release(ghl_layer_row *row)
{
    free(row->key);
    ghl_value_free(row->map);
}

static void rows_release(ghl_layer_rows *all)
{
    for (int i = 0; i < all->count; i++)
        row_release(&all->rows[i]);
    free(all->rows);
    *all = (ghl_layer_rows){0};
}

/* A later row of the same key says all that this one says. */
static void row_drop(ghl_layer_rows *all, const char *key)
{
    int kept = 0;
    for (int i = 0; i < all->count; i++)
        if (strcmp(all->rows[i].key, key) == 0)
            row_release(&all->rows[i]);
        else
            all->rows[kept++] = all->rows[i];
    all->count = kept;
}

/* Of a layer kind only what it has: a linear layer has no padding. */
static void keep_known(const char *kind, ghl_value *map)
{
    const ghl_descriptor *d = NULL;
    for (int i = 0; (d = ghl_registry_at(&ghl_layers, i)) != NULL; i++)
        for (int k = map->count - 1; strcmp(d->name, kind) == 0 && k >= 0; k--)
            if (!has_option(d, map->keys[k]))
                ghl_value_remove(map, map->keys[k]);
}

/* What the rule of a row of `learn` asks for, and "auto" for what rules of rows before it asked for and it does not. */
static ghl_status derive_row(ghl_recipe *recipe, const ghl_learn_row *row)
{
    ghl_value *map = NULL;
    ghl_layer_rows *all = &recipe->layers_first;
    GHL_TRY(ghl_value_parse_flow(row->rule->layer, recipe->origin, &map));
    ghl_status status = GHL_OK;
    for (int i = 0; i < all->count && status == GHL_OK; i++)
        for (int k = 0; k < all->rows[i].map->count && status == GHL_OK && !apart(all->rows[i].key, row->key); k++) {
            char assignment[200];
            const char *key = all->rows[i].map->keys[k];
            snprintf(assignment, sizeof assignment, "%s=%s", key, no_option);
            if (ghl_value_find(map, key) == NULL)
                status = ghl_value_override(map, assignment);
        }
    keep_known(row->key, map);
    row_drop(all, row->key);
    if (status == GHL_OK && map->count > 0)
        status = row_add(all, row->key, map);
    ghl_value_free(map);
    return status;
}

/* A frozen layer is left as it is, and so is one that no row speaks of; `norm` speaks of vectors. */
static ghl_status derive(ghl_recipe *recipe, const ghl_recipe *from)
{
    for (int i = 0; i < from->n_learn; i++) {
        const ghl_learn_row *row = &from->learn[i];
        if (ghl_value_find(row->map, "rule") != NULL && !row->rule->frozen && strcmp(row->key, "norm") != 0)
            GHL_TRY(derive_row(recipe, row));
    }
    return GHL_OK;
}

/* Phases share a net: of a layer that several train, the first says what it is. */
static ghl_status derive_all(ghl_recipe *recipe)
{
    if (recipe->n_phases == 0)
        return derive(recipe, recipe);
    for (int i = recipe->n_phases - 1; i >= 0; i--)
        GHL_TRY(derive(recipe, recipe->phases[i]));
    for (int i = 0; i < recipe->n_phases; i++) {
        ghl_layer_rows *own = &recipe->phases[i]->layers_first;
        rows_release(own);
        for (int k = 0; k < recipe->layers_first.count; k++)
            GHL_TRY(row_add(own, recipe->layers_first.rows[k].key, recipe->layers_first.rows[k].map));
    }
    return GHL_OK;
}

ghl_status ghl_layer_rows_parse(ghl_recipe *recipe)
{
    GHL_TRY(section_read(recipe, "layers", &recipe->layers));
    rows_sort(&recipe->layers);
    if (ghl_value_find(recipe->tree, "layers_first") == NULL)
        return derive_all(recipe);
    return section_read(recipe, "layers_first", &recipe->layers_first);
}

/* ---- Text ---- */

static void section_print(const char *section, const ghl_layer_rows *all, ghl_text *text)
{
    if (all->count > 0)
        ghl_text_add(text, "%s:\n", section);
    for (int i = 0; i < all->count; i++) {
        ghl_value key = {.kind = GHL_VALUE_SCALAR, .text = all->rows[i].key};
        ghl_text_add(text, "  ");
        ghl_value_print(&key, text);
        ghl_text_add(text, ":\n");
        for (int k = 0; k < all->rows[i].map->count; k++) {
            ghl_text_add(text, "    %s: ", all->rows[i].map->keys[k]);
            ghl_value_print(all->rows[i].map->items[k], text);
            ghl_text_add(text, "\n");
        }
    }
}

void ghl_layer_rows_print(const ghl_recipe *recipe, ghl_text *text)
{
    section_print("layers_first", &recipe->layers_first, text);
    section_print("layers", &recipe->layers, text);
}

void ghl_layer_rows_help(ghl_text *text)
{
    ghl_text_add(text,
                 "\nlayers: options of the net's layers, rows as in learn: {conv: {padding_mode: reflect}, conv1: {inhibition: none}}.\n"
                 "They beat what the model says. \"ghl help conv\" shows the options of layer kind conv.\n"
                 "layers_first: rows in order, for options that the model leaves open; where it is not written, what the rules of learn\n"
                 "were published with. Resolved recipes have it, so that a layer keeps its function when it is given another rule.\n");
}

void ghl_layer_rows_release(ghl_recipe *recipe)
{
    rows_release(&recipe->layers);
    rows_release(&recipe->layers_first);
}

/* ---- Building ---- */

enum { MERGED = 64 };

/* The options of the layer that is being added: a map that borrows from what the model wrote and from the rows. */
typedef struct ghl_layer_merge {
    const ghl_recipe *recipe;
    ghl_value map;
    ghl_value *items[MERGED];
    char *keys[MERGED];
    int lines[MERGED], columns[MERGED];
} ghl_layer_merge;

static int merged_at(const ghl_layer_merge *m, const char *key)
{
    int i = 0;
    while (i < m->map.count && strcmp(m->keys[i], key) != 0)
        i++;
    return i;
}

static ghl_status merged_set(ghl_layer_merge *m, char *key, ghl_value *value)
{
    const int i = merged_at(m, key);
    if (i == MERGED)
        return ghl_value_fail(value, NULL, "more than %d options of one layer", MERGED);
    m->keys[i] = key;
    m->items[i] = value;
    m->lines[i] = value->line;
    m->columns[i] = value->column;
    m->map.count += i == m->map.count;
    return GHL_OK;
}

/* By the layer's name, or the full name of its weight. */
static bool speaks_of(const ghl_layer_row *row, const char *name, const ghl_layer *kind)
{
    char full[128];
    snprintf(full, sizeof full, "%s.weight", name);
    return ghl_learn_key_matches(row->key, row->rank, name, kind->name) || ghl_learn_key_matches(row->key, row->rank, full, kind->name);
}

/* What the rows of `layers_first` say last of a key, or NULL. */
static ghl_value *first_value(const ghl_recipe *recipe, const char *name, const ghl_layer *kind, const char *key)
{
    const ghl_value *found = NULL;
    for (int i = 0; i < recipe->layers_first.count; i++) {
        const ghl_layer_row *row = &recipe->layers_first.rows[i];
        const ghl_value *value = speaks_of(row, name, kind) ? ghl_value_find(row->map, key) : NULL;
        found = value != NULL ? value : found;
    }
    return found != NULL && strcmp(found->text, no_option) != 0 ? (ghl_value *)found : NULL;
}

static ghl_status adjust(void *user, const char *name, const ghl_layer *kind, const ghl_value *written, const ghl_value **out)
{
    ghl_layer_merge *m = user;
    const ghl_recipe *recipe = m->recipe;
    m->map = (ghl_value){.kind = GHL_VALUE_MAP, .origin = written->origin, .items = m->items, .keys = m->keys, .key_lines = m->lines,
                         .key_columns = m->columns};
    *out = &m->map;
    for (const ghl_option *option = kind->options; option != NULL && option->name != NULL; option++) {
        ghl_value *value = first_value(recipe, name, kind, option->name);
        if (value != NULL)
            GHL_TRY(merged_set(m, (char *)(uintptr_t)option->name, value));
    }
    for (int i = 0; i < written->count; i++)
        GHL_TRY(merged_set(m, written->keys[i], written->items[i]));
    for (int i = 0; i < recipe->layers.count; i++) {
        ghl_layer_row *row = &recipe->layers.rows[i];
        for (int k = 0; speaks_of(row, name, kind) && k < row->map->count; k++) {
            const bool known = has_option((const ghl_descriptor *)kind, row->map->keys[k]);
            row->used = row->used || known;
            if (known || row->rank != GHL_LEARN_GLOB) /* of a name, the layer says which options it has */
                GHL_TRY(merged_set(m, row->map->keys[k], row->map->items[k]));
        }
    }
    return GHL_OK;
}

static ghl_status check_used(const ghl_recipe *recipe, const ghl_net *net)
{
    for (int i = 0; i < recipe->layers.count && !recipe->phase.branch; i++) { /* a branch may lack what the net has */
        const ghl_layer_row *row = &recipe->layers.rows[i];
        const char *names[GHL_RECIPE_KEYS], *near = NULL;
        int n = 0;
        for (; n < net->count && n < GHL_RECIPE_KEYS; n++)
            names[n] = net->nodes[n]->name;
        near = row->rank == GHL_LEARN_NAME ? ghl_nearest(row->key, names, n) : NULL;
        if (!row->used && row->map->count > 0 && row->rank != GHL_LEARN_KIND)
            return ghl_value_fail(row->map, "\"ghl plan RECIPE\" shows the layers", "layers.%s speaks of no layer of net %s%s%s%s",
                                  row->key, net->name, near != NULL ? "; did you mean \"" : "", near != NULL ? near : "",
                                  near != NULL ? "\"?" : "");
    }
    return GHL_OK;
}

ghl_status ghl_layer_rows_build(const ghl_recipe *recipe, ghl_net *net, int64_t classes)
{
    const ghl_model *model = (const ghl_model *)recipe->model_kind.kind;
    ghl_layer_merge merge = {.recipe = recipe};
    const ghl_net_adjuster adjuster = {.adjust = adjust, .user = &merge};
    net->adjuster = &adjuster;
    ghl_status status = model->build(net, classes, recipe->model_kind.options);
    net->adjuster = NULL;
    return status == GHL_OK ? check_used(recipe, net) : status;
}

/* ---- Warnings ---- */

/* "padding_mode: zero" of an options struct. */
static ghl_status option_text(const ghl_option *option, const void *options, ghl_text *text)
{
    const ghl_option one[] = {*option, {0}};
    ghl_options_print(one, options, 0, text);
    GHL_TRY(ghl_text_end(text));
    text->data[text->length - 1] = '\0'; /* the line's end */
    return GHL_OK;
}

static ghl_status warn_option(ghl_recipe *recipe, const ghl_node *node, const ghl_rule *rule, const ghl_option *option,
                              const void *published)
{
    ghl_text is = {0}, was = {0};
    ghl_status status = option_text(option, node->options, &is);
    if (status == GHL_OK)
        status = option_text(option, published, &was);
    if (status == GHL_OK && strcmp(is.data, was.data) != 0)
        status = ghl_recipe_note(recipe, "%s has %s: rule %s was published with %s", node->name, is.data, rule->name, was.data);
    ghl_text_release(&is);
    ghl_text_release(&was);
    return status;
}

static ghl_status warn_node(ghl_recipe *recipe, const ghl_node *node, const ghl_rule *rule)
{
    const ghl_descriptor *kind = (const ghl_descriptor *)node->kind;
    ghl_key_list others = {0};
    ghl_value *map = NULL;
    void *published = NULL;
    GHL_TRY(ghl_value_parse_flow(rule->layer, rule->name, &map));
    for (int i = 0; i < map->count; i++)
        ghl_key_list_add(&others, map->keys[i]); /* a linear layer has no padding */
    ghl_status status = ghl_descriptor_options(kind, map, others.names, rule->name, &published);
    for (const ghl_option *option = kind->options; option != NULL && option->name != NULL && status == GHL_OK; option++)
        if (ghl_value_find(map, option->name) != NULL)
            status = warn_option(recipe, node, rule, option, published);
    ghl_descriptor_release(kind, published);
    ghl_value_free(map);
    return status;
}

ghl_status ghl_layer_rows_warn(ghl_recipe *recipe, const ghl_net *net, const ghl_learning *weights)
{
    for (int i = 0; i < net->weights; i++) {
        const ghl_weight *w = ghl_net_weight(net, i);
        const ghl_rule *rule = w->role == GHL_MATRIX ? weights[i].rule : NULL;
        if (rule != NULL && rule->layer != NULL)
            GHL_TRY(warn_node(recipe, net->nodes[w->node], rule));
    }
    return GHL_OK;
}
