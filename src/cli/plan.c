/* SPDX-License-Identifier: Apache-2.0
 *
 * ghl plan: nodes, shapes, parameters, arithmetic, the program of a step, memory; nothing is trained.
 */
#include <stdlib.h>

#include "cli.h"

enum { OPTION_JSON = 256 };

static const struct argp_option options[] = {
    {.name = "json", .key = OPTION_JSON, .doc = "Print one JSON object"},
    GHL_CLI_PHASE_OPTION,
    {0},
};

typedef struct arguments {
    bool json;
    const char *phase;
} arguments;

static error_t take(int key, char *argument, void *to)
{
    arguments *a = to;

    switch (key) {
    case OPTION_JSON:
        a->json = true;
        return 0;
    case GHL_CLI_PHASE:
        a->phase = argument;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static int run(int argc, char **argv)
{
    static const ghl_cli_syntax syntax = {
        .words = "RECIPE [key=value ...]",
        .about = "Shows what RECIPE compiles to: layers with shapes and parameters, the operations of a training step, memory.",
        .options = options,
        .take = take,
        .settings = true,
    };
    arguments a = {0};
    ghl_recipe *recipe;
    const ghl_recipe *phase;
    ghl_cli_words words;

    ghl_cli_parse(&ghl_command_plan, &syntax, argc, argv, &a, &words);
    ghl_status status = ghl_cli_recipe(&words, &recipe);
    if (status == GHL_OK) {
        status = ghl_recipe_phase(recipe, a.phase, &phase);
        if (status == GHL_OK)
            status = ghl_plan_show(phase, a.json, ghl_cli_host());
        ghl_recipe_free(recipe);
    }
    free(words.settings);
    return ghl_cli_finish(status);
}

const ghl_command ghl_command_plan = {.name = "plan", .summary = "shows layers, parameters, the program of a step, memory", .run = run};
