/* SPDX-License-Identifier: Apache-2.0
 *
 * From the rows of `learn` to one ghl_learning a weight. Rows come in ascending rank; a weight takes each key from the last row that
 * matches it and says the key.
 */
#include "recipe/learn.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "recipe/layer_rows.h"
#include "recipe/learn_rows.h"

enum { MERGED = 64 };

/* The keys that a weight has taken so far: a map that borrows from the rows. */
typedef struct merged {
    const ghl_rule *rule;
    bool rule_written, named; /* named: the rule comes from a row with the weight's full name */
    int statistics;
    ghl_value *items[MERGED];
    char *keys[MERGED];
    const char *rows[MERGED]; /* where each came from */
    int count;
} merged;

static const ghl_value *merged_find(const merged *m, const char *key)
{
    for (int i = 0; i < m->count; i++)
        if (strcmp(m->keys[i], key) == 0)
            return m->items[i];
    return NULL;
}

static ghl_status merged_set(merged *m, const char *key, const ghl_value *value, const char *row)
{
    int i = 0;
    while (i < m->count && strcmp(m->keys[i], key) != 0)
        i++;
    if (i == MERGED)
        return ghl_value_fail(value, NULL, "more than %d keys for one weight", MERGED);
    m->items[i] = (ghl_value *)value;
    m->keys[i] = (char *)key;
    m->rows[i] = row;
    m->count += i == m->count;
    return GHL_OK;
}

static void merged_drop_options(merged *m)
{
    int kept = 0;
    for (int i = 0; i < m->count; i++) {
        if (!ghl_learn_common_key(m->keys[i]))
            continue;
        m->items[kept] = m->items[i];
        m->keys[kept] = m->keys[i];
        m->rows[kept++] = m->rows[i];
    }
    m->count = kept;
}

static ghl_status merge_row(merged *m, const ghl_learn_row *row)
{
    const ghl_value *rule = ghl_value_find(row->map, "rule");
    if (row->rule != NULL && row->rule != m->rule) {
        merged_drop_options(m);
        m->rule = row->rule;
    }
    if (rule != NULL) {
        m->rule_written = true;
        m->statistics = GHL_STATISTICS_AUTO;
    }
    for (int i = 0; i < row->map->count; i++)
        if (strcmp(row->map->keys[i], "rule") != 0)
            GHL_TRY(merged_set(m, row->map->keys[i], row->map->items[i], row->key));
    const ghl_value *statistics = ghl_value_find(row->map, "statistics");
    if (statistics != NULL) {
        const ghl_option *o = ghl_learn_common_rows;
        while (o->type != GHL_OPTION_CHOICE)
            o++;
        for (int i = 0; o->choices[i] != NULL; i++)
            if (strcmp(o->choices[i], statistics->text) == 0 && i != GHL_STATISTICS_AUTO)
                m->statistics = i;
    }
    return GHL_OK;
}

/* ---- Matching ---- */

static bool has_matrix(const ghl_node *node)
{
    for (int i = 0; i < node->n_weights; i++)
        if (node->weights[i].role == GHL_MATRIX)
            return true;
    return false;
}

/* "*.bias": a glob speaks of full names when it ends in a suffix without wildcards that the weight has. */
static bool glob_matches_full(const char *glob, const char *full)
{
    const char *a = strrchr(glob, '.'), *b = strrchr(full, '.');
    return a != NULL && b != NULL && strcmp(a, b) == 0 && fnmatch(glob, full, 0) == 0;
}

bool ghl_learn_key_matches(const char *key, int rank, const char *name, const char *kind)
{
    if (rank == GHL_LEARN_KIND)
        return strcmp(key, kind) == 0;
    return rank == GHL_LEARN_GLOB ? fnmatch(key, name, 0) == 0 : strcmp(key, name) == 0;
}

/* Does the row speak of the node itself: by its name, or a glob on it, or its layer kind? */
static bool matches_node(const ghl_learn_row *row, const ghl_node *node)
{
    return ghl_learn_key_matches(row->key, row->rank % GHL_LEARN_LAST, node->name, node->kind->name);
}

static bool matches_full(const ghl_learn_row *row, const ghl_weight *w)
{
    int rank = row->rank % GHL_LEARN_LAST;
    return rank == GHL_LEARN_GLOB ? glob_matches_full(row->key, w->name) : rank == GHL_LEARN_NAME && strcmp(row->key, w->name) == 0;
}

/* A matrix goes by its layer; a vector by `norm`, and by its layer where that has no matrix. */
static bool matches(const ghl_learn_row *row, const ghl_node *node, const ghl_weight *w)
{
    if (matches_full(row, w))
        return true;
    if (w->role == GHL_MATRIX)
        return matches_node(row, node);
    bool norm = row->rank % GHL_LEARN_LAST == GHL_LEARN_KIND && strcmp(row->key, "norm") == 0;
    return norm || (!has_matrix(node) && matches_node(row, node));
}

/* ---- One weight ---- */

static ghl_status merge_start(const ghl_recipe *recipe, const ghl_node *node, const ghl_weight *w, merged *m)
{
    if (w->role == GHL_MATRIX) {
        /* Layer kinds that bring matrices of their own learn as linear layers do, unless a row says otherwise. */
        const ghl_learn_row *linear = ghl_learn_row_find(recipe, "linear", false);
        bool known = ghl_learn_row_find(recipe, node->kind->name, false) != NULL;
        return known ? GHL_OK : merge_row(m, linear);
    }
    static const char *const followed[] = {"lr", "decoupled", "optimiser", "schedule"};
    for (int i = 0; i < 4; i++) {
        const ghl_value *value = ghl_learn_linear_value(recipe, followed[i]);
        if (value != NULL)
            GHL_TRY(merged_set(m, followed[i], value, "linear"));
    }
    m->rule = ghl_learn_norm_rule(recipe);
    return GHL_OK;
}

static ghl_status merge(const ghl_recipe *recipe, const ghl_node *node, const ghl_weight *w, merged *m)
{
    GHL_TRY(merge_start(recipe, node, w, m));
    for (int i = 0; i < recipe->n_learn; i++) {
        const ghl_learn_row *row = &recipe->learn[i];
        if (!matches(row, node, w))
            continue;
        GHL_TRY(merge_row(m, row));
        if (row->rule != NULL)
            m->named = matches_full(row, w);
    }
    return GHL_OK;
}

static ghl_status own(ghl_learnings *out, ghl_choice choice)
{
    ghl_status status = GHL_GROW(out->owned, out->owned_capacity, out->n_owned + 1);
    if (status != GHL_OK) {
        ghl_choice_release(&choice);
        return status;
    }
    out->owned[out->n_owned++] = choice;
    return GHL_OK;
}

static ghl_status rule_options(ghl_recipe *recipe, const ghl_weight *w, const merged *m, ghl_learnings *out, ghl_learning *learning)
{
    ghl_value *items[MERGED];
    char *keys[MERGED];
    int lines[MERGED], columns[MERGED];
    ghl_value map = {.kind = GHL_VALUE_MAP, .origin = recipe->origin, .items = items, .keys = keys, .key_lines = lines,
                     .key_columns = columns};
    for (int i = 0; i < m->count; i++) {
        if (ghl_learn_common_key(m->keys[i]))
            continue;
        if (!ghl_rule_has_option(m->rule, m->keys[i])) {
            GHL_TRY(ghl_recipe_note(recipe, "learn.%s: %s is dropped for %s: its rule %s has no such option", m->rows[i], m->keys[i],
                                    w->name,
                                    m->rule->name));
            continue;
        }
        items[map.count] = m->items[i];
        keys[map.count] = m->keys[i];
        lines[map.count] = m->items[i]->line;
        columns[map.count++] = m->items[i]->column;
    }
    ghl_choice choice = {.kind = (const ghl_descriptor *)m->rule};
    char what[160];
    snprintf(what, sizeof what, "rule %s", m->rule->name);
    GHL_TRY(ghl_descriptor_options(choice.kind, &map, NULL, what, &choice.options));
    learning->rule = m->rule;
    learning->rule_options = choice.options;
    return own(out, choice);
}

static ghl_status optimiser(const ghl_recipe *recipe, const merged *m, ghl_learnings *out, ghl_learning *learning)
{
    ghl_choice choice = {0};
    GHL_TRY(ghl_learn_choice(&choice, &ghl_optimisers, merged_find(m, "optimiser"), "optimiser"));
    if (choice.kind == NULL && m->rule->optimiser != NULL) {
        ghl_value *map = NULL;
        GHL_TRY(ghl_value_parse_flow(m->rule->optimiser, "rule", &map));
        ghl_status status = ghl_choice_parse(&choice, &ghl_optimisers, NULL, map, NULL, "optimiser");
        ghl_value_free(map);
        GHL_TRY(status);
    }
    const ghl_choice *used = choice.kind != NULL ? &choice : &recipe->optimiser;
    learning->optimiser = (const ghl_optimiser *)used->kind;
    learning->optimiser_options = used->options;
    return choice.kind != NULL ? own(out, choice) : GHL_OK;
}

static bool same_options(const ghl_rate_group *group, const ghl_choice *schedule)
{
    if ((const ghl_descriptor *)group->schedule != schedule->kind)
        return false;
    ghl_choice other = {.kind = schedule->kind, .options = (void *)group->schedule_options};
    ghl_text a = {0}, b = {0};
    ghl_choice_print(&other, 0, &a);
    ghl_choice_print(schedule, 0, &b);
    bool same = ghl_text_end(&a) == GHL_OK && ghl_text_end(&b) == GHL_OK && strcmp(a.data, b.data) == 0;
    ghl_text_release(&a);
    ghl_text_release(&b);
    return same;
}

static ghl_status rate_group(const ghl_recipe *recipe, const merged *m, double lr, ghl_learnings *out, int *group)
{
    ghl_choice choice = {0};
    GHL_TRY(ghl_learn_choice(&choice, &ghl_schedules, merged_find(m, "schedule"), "schedule"));
    const ghl_choice *used = choice.kind != NULL ? &choice : &recipe->schedule;
    for (int i = 0; i < out->n_groups; i++) {
        if (out->groups[i].lr == lr && same_options(&out->groups[i], used)) {
            ghl_choice_release(&choice);
            *group = i;
            return GHL_OK;
        }
    }
    ghl_rate_group made = {.lr = lr, .schedule = (const ghl_schedule *)used->kind, .schedule_options = used->options};
    if (choice.kind != NULL)
        GHL_TRY(own(out, choice));
    GHL_TRY(GHL_GROW(out->groups, out->groups_capacity, out->n_groups + 1));
    *group = out->n_groups;
    out->groups[out->n_groups++] = made;
    return GHL_OK;
}

/* Outside of what the phase computes and changes. */
static bool is_outside(const ghl_learnings *l, const ghl_weight *w)
{
    return w->node <= l->frozen_to || (l->root > 0 && w->node > l->root);
}

/* In a phase nothing learns by a default that nobody wrote. */
static ghl_status check_written(const ghl_recipe *recipe, const ghl_node *node, const ghl_weight *w, const merged *m)
{
    if (recipe->phase.name == NULL || w->role != GHL_MATRIX || m->rule_written)
        return GHL_OK;
    return ghl_fail(GHL_RECIPE, "write a row of learn for it (rule: frozen keeps it), or a root before it",
                    "%s: phase %s leaves layer %s without a rule: it has no row for %s or %s", recipe->origin, recipe->phase.name,
                    node->name, node->kind->name, node->name);
}

static ghl_status resolve_weight(ghl_recipe *recipe, const ghl_node *node, const ghl_weight *w, ghl_learnings *out)
{
    merged m = {0};
    if (is_outside(out, w)) {
        GHL_TRY(ghl_learn_rule_find("frozen", &m.rule));
    } else {
        GHL_TRY(merge(recipe, node, w, &m));
        GHL_TRY(check_written(recipe, node, w, &m));
    }
    /* A frozen layer keeps its bias too, unless a row speaks of the bias by name. */
    for (int i = 0; w->role == GHL_VECTOR && !m.named && i < node->n_weights; i++) {
        const ghl_rule *rule = node->weights[i].role == GHL_MATRIX ? out->weights[node->weights[i].index].rule : NULL;
        if (rule != NULL && rule->frozen && m.rule != rule) {
            merged_drop_options(&m);
            m.rule = rule;
        }
    }
    if (w->role == GHL_VECTOR && !m.rule->vectors && !m.rule->frozen)
        return ghl_fail(GHL_RECIPE, "use rule backprop or frozen in the row that speaks of it",
                        "%s: rule %s does not take biases, scales and shifts: %s", recipe->origin, m.rule->name, w->name);
    ghl_learning *learning = &out->weights[w->index];
    ghl_value map = {.kind = GHL_VALUE_MAP, .origin = recipe->origin, .items = m.items, .keys = m.keys, .count = m.count};
    ghl_key_list keys = {0};
    for (int i = 0; i < m.count; i++)
        ghl_key_list_add(&keys, m.keys[i]);
    ghl_learn_common common = {0};
    GHL_TRY(ghl_options_fill(ghl_learn_common_rows, &map, keys.names, "learn", &common));
    learning->step = (ghl_step_settings){.weight_decay = common.weight_decay, .decoupled = common.decoupled};
    GHL_TRY(rule_options(recipe, w, &m, out, learning));
    GHL_TRY(optimiser(recipe, &m, out, learning));
    return rate_group(recipe, &m, common.lr, out, &learning->step.group);
}

/* ---- The net ---- */

static ghl_status resolve_statistics(const ghl_recipe *recipe, const ghl_node *node, bool *frozen)
{
    merged m = {0};
    for (int i = 0; i < recipe->n_learn; i++) {
        const ghl_learn_row *row = &recipe->learn[i];
        bool norm = row->rank % GHL_LEARN_LAST == GHL_LEARN_KIND && strcmp(row->key, "norm") == 0;
        if (row->written && (norm || matches_node(row, node)))
            GHL_TRY(merge_row(&m, row));
    }
    *frozen = m.statistics == GHL_STATISTICS_RUNNING ||
              (m.statistics == GHL_STATISTICS_AUTO && m.rule_written && m.rule != NULL && m.rule->frozen);
    return GHL_OK;
}

/* Has the node what the rule could learn, or, with a rule for vectors, statistics? */
static bool is_taught(const ghl_node *node, const ghl_rule *rule)
{
    return has_matrix(node) || (node->n_weights > 0 && rule->vectors) || rule->frozen;
}

/* A row that puts a rule on layers must find something to learn in one of them; one of a kind that the net lacks may stand. */
static ghl_status check_meaning(const ghl_net *net, const ghl_learn_row *row)
{
    const ghl_node *idle = NULL;
    for (int i = 0; i < net->count; i++) {
        if (!matches_node(row, net->nodes[i]))
            continue;
        if (is_taught(net->nodes[i], row->rule))
            return GHL_OK;
        idle = net->nodes[i];
    }
    if (idle == NULL)
        return GHL_OK;
    return ghl_value_fail(row->map, "\"ghl plan RECIPE\" shows the layers",
                          "learn.%s: rule %s has nothing to learn in %s, a layer of kind %s", row->key, row->rule->name, idle->name,
                          idle->kind->name);
}

/* A row with a name or glob must speak of something. */
static ghl_status check_used(const ghl_net *net, const ghl_learn_row *row)
{
    if (row->written && row->rule != NULL)
        GHL_TRY(check_meaning(net, row));
    if (row->rank % GHL_LEARN_LAST == GHL_LEARN_KIND)
        return GHL_OK;
    ghl_key_list names = {0};
    for (int i = 0; i < net->count; i++) {
        const ghl_node *node = net->nodes[i];
        if (matches_node(row, node))
            return GHL_OK;
        ghl_key_list_add(&names, node->name);
        for (int k = 0; k < node->n_weights; k++)
            if (matches_full(row, &node->weights[k]))
                return GHL_OK;
    }
    const char *near = ghl_nearest(row->key, names.names, names.count);
    return ghl_value_fail(row->map, "\"ghl plan RECIPE\" shows the layers", "learn.%s speaks of no layer of net %s%s%s%s", row->key,
                          net->name,
                          near != NULL ? "; did you mean \"" : "", near != NULL ? near : "", near != NULL ? "\"?" : "");
}

/* The number of the node that a phase names; 0 where it names none. */
static ghl_status find_node(const ghl_recipe *recipe, const ghl_net *net, const char *key, const char *name, int *out)
{
    ghl_key_list names = {0};
    if (name == NULL || name[0] == '\0')
        return GHL_OK;
    for (int i = 1; i < net->count; i++) {
        if (strcmp(net->nodes[i]->name, name) == 0)
            *out = i;
        ghl_key_list_add(&names, net->nodes[i]->name);
    }
    const char *near = ghl_nearest(name, names.names, names.count);
    if (*out > 0)
        return GHL_OK;
    return ghl_fail(GHL_RECIPE, "\"ghl plan RECIPE\" shows the layers", "%s: phase %s: %s: net %s has no layer \"%.80s\"%s%s%s",
                    recipe->origin, recipe->phase.name, key, net->name, name, near != NULL ? "; did you mean \"" : "",
                    near != NULL ? near : "", near != NULL ? "\"?" : "");
}

static ghl_status find_limits(const ghl_recipe *recipe, const ghl_net *net, ghl_learnings *out)
{
    GHL_TRY(find_node(recipe, net, "frozen_to", recipe->phase.frozen_to, &out->frozen_to));
    GHL_TRY(find_node(recipe, net, "root", recipe->phase.root, &out->root));
    if (out->root == 0 || out->frozen_to < out->root)
        return GHL_OK;
    return ghl_fail(GHL_RECIPE, "name a root past it", "%s: phase %s: everything up to its root %s is frozen", recipe->origin,
                    recipe->phase.name, recipe->phase.root);
}

ghl_status ghl_learnings_resolve(const ghl_recipe *recipe, const ghl_net *net, ghl_learnings *out)
{
    ghl_recipe *noted = (ghl_recipe *)recipe; /* only its notes grow */
    *out = (ghl_learnings){0};
    GHL_TRY(GHL_NEW(out->weights, net->weights + 1));
    GHL_TRY(GHL_NEW(out->frozen_norm, net->count + 1));
    GHL_TRY(find_limits(recipe, net, out));
    for (int i = 0; i < recipe->n_learn; i++)
        GHL_TRY(check_used(net, &recipe->learn[i]));
    for (int pass = 0; pass < 2; pass++) { /* matrices first: biases go by them */
        for (int i = 0; i < net->count; i++) {
            for (int k = 0; k < net->nodes[i]->n_weights; k++) {
                const ghl_weight *w = &net->nodes[i]->weights[k];
                if (w->role == (pass == 0 ? GHL_MATRIX : GHL_VECTOR))
                    GHL_TRY(resolve_weight(noted, net->nodes[i], w, out));
            }
        }
    }
    for (int i = 0; i < net->count; i++)
        GHL_TRY(resolve_statistics(recipe, net->nodes[i], &out->frozen_norm[i]));
    return ghl_layer_rows_warn(noted, net, out->weights);
}

void ghl_learnings_release(ghl_learnings *learnings)
{
    for (int i = 0; i < learnings->n_owned; i++)
        ghl_choice_release(&learnings->owned[i]);
    free(learnings->owned);
    free(learnings->groups);
    free(learnings->weights);
    free(learnings->frozen_norm);
    *learnings = (ghl_learnings){0};
}
