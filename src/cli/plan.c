/* SPDX-License-Identifier: Apache-2.0
 *
 * ghl plan: nodes, shapes, parameters, arithmetic, the program of a step, memory; nothing is trained.
 */
#include <stdlib.h>

#include "cli.h"

typedef struct arguments {
    bool json;
    const char *phase;
} arguments;

static const ghl_cli_option options[] = {
    {.name = "json", .type = GHL_CLI_FLAG, .offset = offsetof(arguments, json), .doc = "Print one JSON object"},
    GHL_CLI_PHASE(arguments, phase),
    {0},
};

static int run(int argc, char **argv)
{
    static const ghl_cli_syntax syntax = {
        .words = "RECIPE [key=value ...]",
        .about = "Shows what RECIPE compiles to: layers with shapes and parameters, the operations of a training step, memory.",
        .options = options,
        .settings = true,
    };
    arguments a = {0};
    ghl_recipe *recipe;
    const ghl_recipe *phase;
    ghl_cli_words words;

    ghl_cli_parse(&ghl_command_plan, &syntax, argc, argv, &a, &words);
    ghl_status status = ghl_cli_phase(&words, a.phase, &recipe, &phase);
    if (status == GHL_OK) {
        status = ghl_plan_show(phase, a.json, ghl_cli_host());
        ghl_recipe_free(recipe);
    }
    free(words.settings);
    return ghl_cli_finish(status);
}

const ghl_command ghl_command_plan = {.name = "plan", .summary = "shows layers, parameters, the program of a step, memory", .run = run};
