/* SPDX-License-Identifier: Apache-2.0
 *
 * learn_rows.h - what the rows of `learn` may say, for the two files that read them: learn_rows.c (rows of a recipe) and learn.c (what
 * follows for each weight).
 */
#ifndef GHL_RECIPE_LEARN_ROWS_H
#define GHL_RECIPE_LEARN_ROWS_H

#include "recipe/sections.h"

enum { GHL_STATISTICS_AUTO, GHL_STATISTICS_BATCH, GHL_STATISTICS_RUNNING };
/* The keys that every row has, whatever its rule. `rule`, `optimiser` and `schedule` are keys too. */
typedef struct ghl_learn_common {
    double lr, weight_decay;
    bool decoupled;
    int statistics; /* GHL_STATISTICS_* */
} ghl_learn_common;
extern const ghl_option ghl_learn_common_rows[];

bool ghl_learn_common_key(const char *key);
void ghl_learn_common_keys(ghl_key_list *keys);
bool ghl_rule_has_option(const ghl_rule *rule, const char *key);
/* The row of a key, or NULL. last: of `learn_last`. */
ghl_learn_row *ghl_learn_row_find(const ghl_recipe *recipe, const char *key, bool last);
/* What the kind row `linear` says last of a key (NULL: nothing), and its rule: what the `norm` row goes by. */
const ghl_value *ghl_learn_linear_value(const ghl_recipe *recipe, const char *key);
const ghl_rule *ghl_learn_linear_rule(const ghl_recipe *recipe);
ghl_status ghl_learn_rule_find(const char *name, const ghl_rule **out);
/* The rule of the row `norm` where it says none. */
const ghl_rule *ghl_learn_norm_rule(const ghl_recipe *recipe);
/* optimiser or schedule of a row: "auto", a name, a map. *kind stays NULL for auto and for a value that is NULL. */
ghl_status ghl_learn_choice(ghl_choice *choice, const ghl_registry *kinds, const ghl_value *value, const char *section);

#endif
