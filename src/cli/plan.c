/* SPDX-License-Identifier: Apache-2.0
 *
 * ghl plan: nodes, shapes, parameters, arithmetic, the program of a step, memory; nothing is trained.
 */
#include <stdlib.h>

#include "cli.h"

static int run(int argc, char **argv)
{
    static const ghl_cli_syntax syntax = {
        .words = "RECIPE [key=value ...]",
        .about = "Shows what RECIPE compiles to: layers with shapes and parameters, the operations of a training step, memory.",
        .options = ghl_cli_json_options,
        .take = ghl_cli_json_take,
        .settings = true,
    };
    bool json = false;
    ghl_recipe *recipe;
    ghl_cli_words words;

    ghl_cli_parse(&ghl_command_plan, &syntax, argc, argv, &json, &words);
    ghl_status status = ghl_cli_recipe(&words, &recipe);
    if (status == GHL_OK) {
        status = ghl_plan_show(recipe, json, ghl_cli_host());
        ghl_recipe_free(recipe);
    }
    free(words.settings);
    return ghl_cli_finish(status);
}

const ghl_command ghl_command_plan = {.name = "plan", .summary = "shows layers, parameters, the program of a step, memory", .run = run};
