/* SPDX-License-Identifier: Apache-2.0
 *
 * learn.h - which rule, rate, decay, optimiser and schedule each weight of a net gets from the rows of `learn`.
 *
 * Rows are keyed by layer kind (`conv`, `linear`; `norm` for scales, shifts and all biases), glob (`layer*`) or layer name (`conv1`; a
 * weight's full name, `conv1.bias`, too). A weight takes from every row that matches it, key by key: a name beats a glob beats a kind,
 * among equals the later one, and the command line comes last of all. A row that says another rule than the rows before it does not
 * inherit their rule options. In a phase the rule must be written; what lies up to `frozen_to` or past `root` is frozen all the same.
 */
#ifndef GHL_RECIPE_LEARN_H
#define GHL_RECIPE_LEARN_H

#include "plan/plan.h"
#include "recipe/recipe.h"

/* A column of the rates: weights with the same base rate and schedule share it. */
typedef struct ghl_rate_group {
    double lr;
    const ghl_schedule *schedule;
    const void *schedule_options;
} ghl_rate_group;

typedef struct ghl_learnings {
    ghl_learning *weights; /* [net->weights] */
    bool *frozen_norm;     /* [net->count] */
    int frozen_to, root;   /* nodes that the recipe's phase names; 0: none */
    ghl_rate_group *groups;
    int n_groups, groups_capacity;
    ghl_choice *owned;     /* options parsed for single weights */
    int n_owned, owned_capacity;
} ghl_learnings;

/* GHL_RECIPE when a row matches no layer or a rule does not take the weight. Adds notes to the recipe. Release also after an error. */
ghl_status ghl_learnings_resolve(const ghl_recipe *recipe, const ghl_net *net, ghl_learnings *out);
void ghl_learnings_release(ghl_learnings *learnings);

/* For recipe.c (learn_rows.c): checks the sections `learn` and `learn_last` of the tree, applies the command line's assignments that
 * begin with "learn." and makes the rows; prints them; what a row may say. */
ghl_status ghl_learn_parse(ghl_recipe *recipe, int n, const char *const *overrides);
void ghl_learn_print(const ghl_recipe *recipe, ghl_text *text);
void ghl_learn_help(ghl_text *text);
/* How much a key counts for: GHL_LEARN_KIND, GHL_LEARN_GLOB or GHL_LEARN_NAME. And does it, with that rank, speak of the layer? */
int ghl_learn_rank(const char *key);
bool ghl_learn_key_matches(const char *key, int rank, const char *name, const char *kind);
void ghl_learn_release(ghl_recipe *recipe);

#endif
