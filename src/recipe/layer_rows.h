/* SPDX-License-Identifier: Apache-2.0
 *
 * layer_rows.h - options that a recipe gives to layers of its net: rows of `layers`, keyed as those of `learn`.
 *
 * A rule may have been published with layers of another kind than the usual (ghl_rule.layer): those options become defaults of the layers
 * it is put on, below what the model says itself, which is below what rows of `layers` say. The resolved recipe keeps them as rows of
 * `layers_first`; where it has that section already, rules add nothing: so a layer keeps its function whatever rule it is given later.
 */
#ifndef GHL_RECIPE_LAYER_ROWS_H
#define GHL_RECIPE_LAYER_ROWS_H

#include "net/net.h"
#include "plan/plan.h"
#include "recipe/recipe.h"

/* After the rows of `learn` are known. */
ghl_status ghl_layer_rows_parse(ghl_recipe *recipe);
void ghl_layer_rows_print(const ghl_recipe *recipe, ghl_text *text);
void ghl_layer_rows_help(ghl_text *text);
void ghl_layer_rows_release(ghl_recipe *recipe);

/* Builds the recipe's model on the net's input with these options. GHL_RECIPE where a row speaks of no layer. */
ghl_status ghl_layer_rows_build(const ghl_recipe *recipe, ghl_net *net, int64_t classes);
/* Adds a note to the recipe where a layer is not what its rule was published with. */
ghl_status ghl_layer_rows_warn(ghl_recipe *recipe, const ghl_net *net, const ghl_learning *weights);

#endif
