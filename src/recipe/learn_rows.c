/* SPDX-License-Identifier: Apache-2.0
 *
 * The rows of `learn`: read, joined with the command line, checked, printed.
 *
 * The command line comes last of all. Mostly that is the row of its name with a key replaced; but where a more special row of the file
 * says the same key, the assignment would lose against it: then all of them go to rows of their own, `learn_last`, which beat every row
 * of `learn`. The resolved text has that section too, so that it says the same when it is read again.
 */
#include "recipe/learn_rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "recipe/learn.h"

static const char *const statistics_names[] = {"auto", "batch", "running", NULL};
const ghl_option ghl_learn_common_rows[] = {
    {.name = "lr", .type = GHL_OPTION_REAL, .offset = offsetof(ghl_learn_common, lr), .fallback = "0.01", .min = 0, .max = 1e6,
     .help = "learning rate; norm: the linear row's"},
    {.name = "weight_decay", .type = GHL_OPTION_REAL, .offset = offsetof(ghl_learn_common, weight_decay), .fallback = "0", .min = 0,
     .max = 1e6, .help = "share of the weight that is added to its direction"},
    {.name = "decoupled", .type = GHL_OPTION_BOOL, .offset = offsetof(ghl_learn_common, decoupled), .fallback = "false",
     .help = "decay acts on the weight itself, outside momentum and Adam's scaling"},
    {.name = "statistics", .type = GHL_OPTION_CHOICE, .offset = offsetof(ghl_learn_common, statistics), .fallback = "auto",
     .choices = statistics_names,
     .help = "of batch norm in training; auto: the running ones, unchanged, where rule: frozen is written for it, else the batch's"},
    {0}};

static const char *const other_keys[] = {"rule", "optimiser", "schedule"};
static const char *const base_kinds[] = {"conv", "linear", "norm"};
enum { BASES = 3 };

void ghl_learn_common_keys(ghl_key_list *keys)
{
    for (size_t i = 0; i < sizeof other_keys / sizeof *other_keys; i++)
        ghl_key_list_add(keys, other_keys[i]);
    ghl_key_list_rows(keys, ghl_learn_common_rows);
}

bool ghl_learn_common_key(const char *key)
{
    ghl_key_list keys = {0};
    ghl_learn_common_keys(&keys);
    for (int i = 0; i < keys.count; i++)
        if (strcmp(keys.names[i], key) == 0)
            return true;
    return false;
}

bool ghl_rule_has_option(const ghl_rule *rule, const char *key)
{
    for (const ghl_option *row = rule->options; row != NULL && row->name != NULL; row++)
        if (strcmp(row->name, key) == 0)
            return true;
    return false;
}

static bool any_rule_has(const char *key)
{
    const ghl_descriptor *d = NULL;
    for (int i = 0; (d = ghl_registry_at(&ghl_rules, i)) != NULL; i++)
        if (ghl_rule_has_option((const ghl_rule *)d, key))
            return true;
    return false;
}

ghl_learn_row *ghl_learn_row_find(const ghl_recipe *recipe, const char *key, bool last)
{
    for (int i = 0; i < recipe->n_learn; i++)
        if (strcmp(recipe->learn[i].key, key) == 0 && (recipe->learn[i].rank >= GHL_LEARN_LAST) == last)
            return &recipe->learn[i];
    return NULL;
}

const ghl_value *ghl_learn_linear_value(const ghl_recipe *recipe, const char *key)
{
    for (int last = 1; last >= 0; last--) {
        const ghl_learn_row *row = ghl_learn_row_find(recipe, "linear", last != 0);
        const ghl_value *value = row != NULL ? ghl_value_find(row->map, key) : NULL;
        if (value != NULL)
            return value;
    }
    return NULL;
}

const ghl_rule *ghl_learn_linear_rule(const ghl_recipe *recipe)
{
    const ghl_learn_row *last = ghl_learn_row_find(recipe, "linear", true);
    if (last != NULL && last->rule != NULL)
        return last->rule;
    return ghl_learn_row_find(recipe, "linear", false)->rule;
}

ghl_status ghl_learn_rule_find(const char *name, const ghl_rule **out)
{
    const ghl_descriptor *d = NULL;
    GHL_TRY(ghl_registry_find(&ghl_rules, name, NULL, &d));
    *out = (const ghl_rule *)d;
    return GHL_OK;
}

const ghl_rule *ghl_learn_norm_rule(const ghl_recipe *recipe)
{
    const ghl_rule *rule = ghl_learn_linear_rule(recipe);
    if (rule->frozen)
        return rule;
    return ghl_learn_rule_find("backprop", &rule) == GHL_OK ? rule : NULL;
}

ghl_status ghl_learn_choice(ghl_choice *choice, const ghl_registry *kinds, const ghl_value *value, const char *section)
{
    if (value == NULL || (value->kind == GHL_VALUE_SCALAR && strcmp(value->text, "auto") == 0))
        return GHL_OK;
    return ghl_choice_parse(choice, kinds, NULL, value, NULL, section);
}

/* ---- Rows ---- */

int ghl_learn_rank(const char *key)
{
    if (strcmp(key, "norm") == 0)
        return GHL_LEARN_KIND;
    const ghl_descriptor *d = NULL;
    for (int i = 0; (d = ghl_registry_at(&ghl_layers, i)) != NULL; i++)
        if (strcmp(d->name, key) == 0)
            return GHL_LEARN_KIND;
    return strpbrk(key, "*?[") != NULL ? GHL_LEARN_GLOB : GHL_LEARN_NAME;
}

/* Takes a copy of `map`; NULL: an empty one. */
static ghl_status row_add(ghl_recipe *recipe, const char *key, bool last, const ghl_value *map, ghl_learn_row **out)
{
    GHL_TRY(GHL_GROW(recipe->learn, recipe->learn_capacity, recipe->n_learn + 1));
    ghl_learn_row *row = &recipe->learn[recipe->n_learn];
    *row = (ghl_learn_row){.rank = ghl_learn_rank(key) + (last ? GHL_LEARN_LAST : 0), .written = map != NULL};
    GHL_TRY(ghl_copy_text(key, &row->key));
    recipe->n_learn++;
    bool empty = map == NULL || map->kind == GHL_VALUE_SCALAR;
    GHL_TRY(empty ? ghl_value_parse_flow(NULL, recipe->origin, &row->map) : ghl_value_copy(map, &row->map));
    if (out != NULL)
        *out = row;
    return GHL_OK;
}

static bool is_empty(const ghl_value *value)
{
    return value->kind == GHL_VALUE_SCALAR && !value->quoted && value->text[0] == '\0';
}

static ghl_status rows_read(ghl_recipe *recipe, const char *section, bool last)
{
    const ghl_value *map = ghl_value_find(recipe->tree, section);
    if (map == NULL || is_empty(map))
        return GHL_OK;
    if (map->kind != GHL_VALUE_MAP)
        return ghl_value_fail(map, "write it as \"learn: {conv: {rule: ghl}}\"", "%s must be a map of rows", section);
    for (int i = 0; i < map->count; i++) {
        const ghl_value *row = map->items[i];
        if (row->kind != GHL_VALUE_MAP && !is_empty(row))
            return ghl_value_fail(row, "write it as \"conv: {rule: ghl, lr: 1e-2}\"", "%s.%s must be a map of keys", section,
                                  map->keys[i]);
        GHL_TRY(row_add(recipe, map->keys[i], last, row, NULL));
    }
    return GHL_OK;
}

/* ---- Command line ---- */

typedef struct assignment {
    char row[256];      /* "conv" */
    char key[64];       /* "rule"; "" when the whole row is assigned */
    const char *suffix; /* "rule=sign", "optimiser.kind=adam"; "={...}" for the whole row */
} assignment;

static const char *last_dot(const char *begin, const char *end)
{
    while (end > begin)
        if (*--end == '.')
            return end;
    return NULL;
}

/* "learn.ROW.KEY=VALUE": ROW may have dots; KEY has one only below optimiser and schedule. */
static ghl_status assignment_split(const char *text, assignment *a)
{
    const char *row = text + strlen("learn."), *row_end = NULL, *key = NULL;
    const char *end = strchr(text, '=');
    if (*row == '"' && (row_end = strchr(row + 1, '"')) != NULL) {
        row++;
        key = row_end[1] == '.' ? row_end + 2 : row_end + 1;
    } else {
        const char *dot = last_dot(row, end);
        const char *before = dot != NULL ? last_dot(row, dot) : NULL;
        if (before != NULL && (strncmp(before, ".optimiser.", 11) == 0 || strncmp(before, ".schedule.", 10) == 0))
            dot = before;
        row_end = dot != NULL ? dot : end;
        key = dot != NULL ? dot + 1 : end;
    }
    size_t n = (size_t)(row_end - row), k = strcspn(key, ".=");
    if (n == 0 || n >= sizeof a->row || k >= sizeof a->key || strchr(key, '=') == NULL)
        return ghl_fail(GHL_RECIPE, "rows are set as learn.conv.lr=0.01", "command line: \"%.120s\" does not name a row and a key", text);
    memcpy(a->row, row, n);
    a->row[n] = '\0';
    memcpy(a->key, key, k);
    a->key[k] = '\0';
    a->suffix = key;
    return GHL_OK;
}

/* Does a row of the file say the key with more weight than the row that the assignment names? */
static bool outranked(const ghl_recipe *recipe, int n_file, const assignment *a)
{
    int rank = ghl_learn_rank(a->row), place = n_file;
    for (int i = 0; i < n_file; i++)
        if (strcmp(recipe->learn[i].key, a->row) == 0 && recipe->learn[i].rank < GHL_LEARN_LAST)
            place = i;
    for (int i = 0; i < n_file; i++) {
        const ghl_learn_row *row = &recipe->learn[i];
        if (i != place && (row->rank > rank || (row->rank == rank && i > place)) && ghl_value_find(row->map, a->key) != NULL)
            return true;
    }
    return false;
}

static ghl_status assignment_apply(ghl_recipe *recipe, const assignment *a, bool last)
{
    ghl_learn_row *row = ghl_learn_row_find(recipe, a->row, last);
    if (row == NULL)
        GHL_TRY(row_add(recipe, a->row, last, NULL, &row));
    row->written = true;
    if (a->key[0] != '\0')
        return ghl_value_override(row->map, a->suffix);
    ghl_value *whole = NULL;
    GHL_TRY(ghl_value_parse(a->suffix + 1, strlen(a->suffix + 1), GHL_COMMAND_LINE, &whole));
    if (whole->kind != GHL_VALUE_MAP) {
        ghl_status status = ghl_value_fail(whole, "a row is set as learn.conv.rule=sign", "learn.%s must be a map of keys", a->row);
        ghl_value_free(whole);
        return status;
    }
    ghl_value_free(row->map);
    row->map = whole;
    return GHL_OK;
}

static ghl_status assignments_apply(ghl_recipe *recipe, int n, const char *const *overrides)
{
    int n_file = recipe->n_learn;
    bool last = false;
    assignment a;
    for (int i = 0; i < n; i++) {
        if (strncmp(overrides[i], "learn.", 6) != 0)
            continue;
        GHL_TRY(assignment_split(overrides[i], &a));
        last = last || outranked(recipe, n_file, &a);
    }
    for (int i = 0; i < n; i++) {
        if (strncmp(overrides[i], "learn.", 6) != 0)
            continue;
        GHL_TRY(assignment_split(overrides[i], &a));
        GHL_TRY(assignment_apply(recipe, &a, last));
    }
    return GHL_OK;
}

/* ---- Checks ---- */

/* Options that the rule of the command line does not know and the rule of the file did. */
static ghl_status foreign_drop(ghl_recipe *recipe, ghl_learn_row *row)
{
    const ghl_value *rule = ghl_value_find(row->map, "rule");
    if (rule == NULL || !ghl_value_overridden(rule))
        return GHL_OK;
    for (int i = row->map->count - 1; i >= 0; i--) {
        const char *key = row->map->keys[i];
        bool mine = ghl_learn_common_key(key) || ghl_rule_has_option(row->rule, key);
        if (mine || ghl_value_overridden(row->map->items[i]) || !any_rule_has(key))
            continue;
        GHL_TRY(ghl_recipe_note(recipe, "learn.%s: %s is dropped: rule %s, which the command line asks for, has no such option", row->key,
                                key, row->rule->name));
        ghl_value_remove(row->map, key);
    }
    return GHL_OK;
}

static ghl_status row_check_keys(const ghl_learn_row *row, ghl_key_list *keys)
{
    char what[400];
    ghl_learn_common_keys(keys);
    if (row->rule != NULL) {
        ghl_key_list_rows(keys, row->rule->options);
        snprintf(what, sizeof what, "learn.%.255s (rule %.80s)", row->key, row->rule->name);
        return ghl_key_list_check(keys, row->map, what);
    }
    const ghl_descriptor *d = NULL;
    for (int i = 0; (d = ghl_registry_at(&ghl_rules, i)) != NULL; i++)
        ghl_key_list_rows(keys, d->options);
    snprintf(what, sizeof what, "learn.%.255s", row->key);
    return ghl_key_list_check(keys, row->map, what);
}

static ghl_status row_check(ghl_recipe *recipe, ghl_learn_row *row)
{
    GHL_TRY(foreign_drop(recipe, row));
    ghl_key_list keys = {0}, common = {0};
    GHL_TRY(row_check_keys(row, &keys));
    char what[300];
    snprintf(what, sizeof what, "learn.%.255s", row->key);
    ghl_learn_common values = {0};
    GHL_TRY(ghl_options_fill(ghl_learn_common_rows, row->map, keys.names, what, &values));
    ghl_learn_common_keys(&common);
    if (row->rule != NULL) {
        void *options = NULL;
        GHL_TRY(ghl_descriptor_options((const ghl_descriptor *)row->rule, row->map, common.names, what, &options));
        ghl_descriptor_release((const ghl_descriptor *)row->rule, options);
    }
    ghl_choice choice = {0};
    GHL_TRY(ghl_learn_choice(&choice, &ghl_optimisers, ghl_value_find(row->map, "optimiser"), "optimiser"));
    ghl_choice_release(&choice);
    GHL_TRY(ghl_learn_choice(&choice, &ghl_schedules, ghl_value_find(row->map, "schedule"), "schedule"));
    ghl_choice_release(&choice);
    return GHL_OK;
}

static ghl_status row_rule(ghl_learn_row *row)
{
    const ghl_value *rule = ghl_value_find(row->map, "rule");
    if (rule == NULL)
        return GHL_OK;
    if (rule->kind != GHL_VALUE_SCALAR)
        return ghl_value_fail(rule, NULL, "learn.%s.rule must be the name of a rule", row->key);
    const ghl_descriptor *d = NULL;
    GHL_TRY(ghl_registry_find(&ghl_rules, rule->text, rule, &d));
    row->rule = (const ghl_rule *)d;
    return GHL_OK;
}

/* Every base kind has a rule; the one of `norm` depends on the row `linear`. */
static ghl_status default_rules(ghl_recipe *recipe)
{
    static const char *const names[] = {"ghl", "backprop"};
    for (int i = 0; i < 2; i++) {
        ghl_learn_row *row = ghl_learn_row_find(recipe, base_kinds[i], false);
        if (row->rule == NULL)
            GHL_TRY(ghl_learn_rule_find(names[i], &row->rule));
    }
    ghl_learn_row *norm = ghl_learn_row_find(recipe, "norm", false);
    if (norm->rule == NULL)
        norm->rule = ghl_learn_norm_rule(recipe);
    return norm->rule != NULL ? GHL_OK : ghl_fail(GHL_INTERNAL, NULL, "the table of rules has no rule backprop");
}

/* Insertion sort: stable, and there are few rows. */
static void rows_sort(ghl_recipe *recipe)
{
    for (int i = 1; i < recipe->n_learn; i++) {
        ghl_learn_row row = recipe->learn[i];
        int k = i;
        for (; k > 0 && recipe->learn[k - 1].rank > row.rank; k--)
            recipe->learn[k] = recipe->learn[k - 1];
        recipe->learn[k] = row;
    }
}

ghl_status ghl_learn_parse(ghl_recipe *recipe, int n, const char *const *overrides)
{
    /* The base rows first, whatever their place in the file, so that `batch_norm` beats `norm` and the text has one order. */
    const ghl_value *map = ghl_value_find(recipe->tree, "learn");
    for (int i = 0; i < BASES; i++)
        if (map == NULL || map->kind != GHL_VALUE_MAP || ghl_value_find(map, base_kinds[i]) == NULL)
            GHL_TRY(row_add(recipe, base_kinds[i], false, NULL, NULL));
    GHL_TRY(rows_read(recipe, "learn", false));
    GHL_TRY(rows_read(recipe, "learn_last", true));
    GHL_TRY(assignments_apply(recipe, n, overrides));
    rows_sort(recipe);
    for (int i = 0; i < recipe->n_learn; i++)
        GHL_TRY(row_rule(&recipe->learn[i]));
    GHL_TRY(default_rules(recipe));
    for (int i = 0; i < recipe->n_learn; i++)
        GHL_TRY(row_check(recipe, &recipe->learn[i]));
    return GHL_OK;
}

/* ---- Text ---- */

static void choice_text(const char *name, const ghl_registry *kinds, const ghl_value *value, ghl_text *text)
{
    ghl_choice choice = {0};
    if (ghl_learn_choice(&choice, kinds, value, name) != GHL_OK) /* it was read before: only memory can fail */
        text->failed = true;
    else if (choice.kind == NULL)
        ghl_text_add(text, "    %s: auto\n", name);
    else {
        ghl_text_add(text, "    %s:\n", name);
        ghl_choice_print(&choice, 6, text);
    }
    ghl_choice_release(&choice);
}

/* What a base row says of a key; `norm` goes by the row `linear` but for decay and statistics. */
static const ghl_value *base_value(const ghl_recipe *recipe, const ghl_learn_row *row, const char *key)
{
    const ghl_value *value = ghl_value_find(row->map, key);
    bool follows = strcmp(row->key, "norm") == 0 && strcmp(key, "weight_decay") != 0 && strcmp(key, "statistics") != 0;
    return value == NULL && follows ? ghl_learn_linear_value(recipe, key) : value;
}

static ghl_status base_common(const ghl_recipe *recipe, const ghl_learn_row *row, ghl_learn_common *values)
{
    ghl_value *items[8];
    char *keys[8];
    ghl_value map = {.kind = GHL_VALUE_MAP, .origin = row->map->origin, .items = items, .keys = keys};
    for (const ghl_option *o = ghl_learn_common_rows; o->name != NULL; o++) {
        const ghl_value *value = base_value(recipe, row, o->name);
        if (value == NULL)
            continue;
        items[map.count] = (ghl_value *)value;
        keys[map.count++] = (char *)o->name;
    }
    GHL_TRY(ghl_options_fill(ghl_learn_common_rows, &map, NULL, "learn", values));
    /* A norm row that is frozen only because the linear row is keeps the batch's statistics: written out, it must say so. */
    if (row->rule->frozen && ghl_value_find(row->map, "rule") == NULL && values->statistics == GHL_STATISTICS_AUTO)
        values->statistics = GHL_STATISTICS_BATCH;
    return GHL_OK;
}

/* A base row says everything. */
static void base_print(const ghl_recipe *recipe, const ghl_learn_row *row, ghl_text *text)
{
    const ghl_descriptor *rule = (const ghl_descriptor *)row->rule;
    ghl_key_list common = {0};
    ghl_learn_common_keys(&common);
    ghl_learn_common values = {0};
    void *options = NULL;
    if (base_common(recipe, row, &values) != GHL_OK ||
        ghl_descriptor_options(rule, row->map, common.names, "learn", &options) != GHL_OK) {
        text->failed = true; /* the row was checked before: only memory can fail */
        return;
    }
    ghl_text_add(text, "    rule: %s\n", rule->name);
    ghl_options_print(ghl_learn_common_rows, &values, 4, text);
    choice_text("optimiser", &ghl_optimisers, base_value(recipe, row, "optimiser"), text);
    choice_text("schedule", &ghl_schedules, base_value(recipe, row, "schedule"), text);
    if (rule->options != NULL)
        ghl_options_print(rule->options, options, 4, text);
    ghl_descriptor_release(rule, options);
}

static void row_print(const ghl_recipe *recipe, const ghl_learn_row *row, ghl_text *text)
{
    ghl_value key = {.kind = GHL_VALUE_SCALAR, .text = row->key};
    ghl_text_add(text, "  ");
    ghl_value_print(&key, text);
    bool base = false;
    for (int i = 0; i < BASES; i++)
        base = base || (row->rank == GHL_LEARN_KIND && strcmp(base_kinds[i], row->key) == 0);
    ghl_text_add(text, base || row->map->count > 0 ? ":\n" : ": {}\n");
    if (base) {
        base_print(recipe, row, text);
        return;
    }
    for (int i = 0; i < row->map->count; i++) {
        ghl_text_add(text, "    %s: ", row->map->keys[i]);
        ghl_value_print(row->map->items[i], text);
        ghl_text_add(text, "\n");
    }
}

void ghl_learn_print(const ghl_recipe *recipe, ghl_text *text)
{
    ghl_text_add(text, "learn:\n");
    bool last = false;
    for (int i = 0; i < recipe->n_learn; i++) {
        if (recipe->learn[i].rank >= GHL_LEARN_LAST && !last)
            ghl_text_add(text, "learn_last:\n");
        last = recipe->learn[i].rank >= GHL_LEARN_LAST;
        row_print(recipe, &recipe->learn[i], text);
    }
}

void ghl_learn_help(ghl_text *text)
{
    ghl_text_add(text,
                 "\nlearn: rows by layer kind (conv, linear; norm: scales, shifts and all biases), glob (layer*) or layer name (conv1).\n"
                       "A name beats a glob beats a kind, among equals the later one; the command line comes last of all.\n"
                       "learn_last: the same, read after all rows of learn.\n"
                       "  rule  a rule (conv: ghl, linear and norm: backprop); further keys are the rule's: ghl help NAME\n");
    ghl_options_help(ghl_learn_common_rows, 2, text);
    ghl_text_add(text, "  optimiser  as the section optimiser, default auto: the rule's own, else the recipe's\n"
                       "  schedule  as the section schedule, default auto: the recipe's\n");
}

void ghl_learn_release(ghl_recipe *recipe)
{
    for (int i = 0; i < recipe->n_learn; i++) {
        free(recipe->learn[i].key);
        ghl_value_free(recipe->learn[i].map);
    }
    free(recipe->learn);
    recipe->learn = NULL;
    recipe->n_learn = recipe->learn_capacity = 0;
}
