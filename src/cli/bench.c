/* SPDX-License-Identifier: Apache-2.0
 *
 * ghl bench: how long a training step takes, on resident data.
 */
#include <stdlib.h>

#include "cli.h"

enum { OPTION_STEPS = 256, OPTION_PROFILE, OPTION_JSON };

static const struct argp_option options[] = {
    {.name = "steps", .key = OPTION_STEPS, .arg = "K", .doc = "Measured steps (default: as many as make the figures steady)"},
    {.name = "profile", .key = OPTION_PROFILE, .doc = "A row for each operation of the step"},
    {.name = "json", .key = OPTION_JSON, .doc = "Print one JSON object"},
    GHL_CLI_PHASE_OPTION,
    {0},
};

typedef struct arguments {
    ghl_bench_options options;
    const char *phase;
} arguments;

static error_t take(int key, char *argument, void *to)
{
    arguments *a = to;
    ghl_bench_options *o = &a->options;

    switch (key) {
    case OPTION_STEPS:
        o->steps = ghl_cli_number("steps", "steps", argument);
        return 0;
    case OPTION_PROFILE:
        o->profile = true;
        return 0;
    case OPTION_JSON:
        o->json = true;
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
        .about = "Times the training step of RECIPE: images a second, milliseconds a step, share of the machine's peak.",
        .options = options,
        .take = take,
        .settings = true,
    };
    arguments a = {0};
    ghl_recipe *recipe;
    const ghl_recipe *phase;
    ghl_cli_words words;

    ghl_cli_parse(&ghl_command_bench, &syntax, argc, argv, &a, &words);
    ghl_status status = ghl_cli_recipe(&words, &recipe);
    if (status == GHL_OK) {
        status = ghl_recipe_phase(recipe, a.phase, &phase);
        if (status == GHL_OK)
            status = ghl_bench(phase, &a.options, ghl_cli_host());
        ghl_recipe_free(recipe);
    }
    free(words.settings);
    return ghl_cli_finish(status);
}

const ghl_command ghl_command_bench = {.name = "bench", .summary = "times a training step, whole or by operation", .run = run};
