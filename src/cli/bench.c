/* SPDX-License-Identifier: Apache-2.0
 *
 * ghl bench: how long a training step takes, on resident data.
 */
#include <stdlib.h>

#include "cli.h"

typedef struct arguments {
    ghl_bench_options options;
    const char *phase;
} arguments;

static const ghl_cli_option options[] = {
    {.name = "steps", .arg = "K", .type = GHL_CLI_COUNT, .offset = offsetof(arguments, options.steps), .about = "steps",
     .doc = "Measured steps (default: as many as make the figures steady)"},
    {.name = "profile", .type = GHL_CLI_FLAG, .offset = offsetof(arguments, options.profile),
     .doc = "A row for each operation of the step"},
    {.name = "json", .type = GHL_CLI_FLAG, .offset = offsetof(arguments, options.json), .doc = "Print one JSON object"},
    GHL_CLI_PHASE(arguments, phase),
    {0},
};

static int run(int argc, char **argv)
{
    static const ghl_cli_syntax syntax = {
        .words = "RECIPE [key=value ...]",
        .about = "Times the training step of RECIPE: images a second, milliseconds a step, share of the machine's peak.",
        .options = options,
        .settings = true,
    };
    arguments a = {0};
    ghl_recipe *recipe;
    const ghl_recipe *phase;
    ghl_cli_words words;

    ghl_cli_parse(&ghl_command_bench, &syntax, argc, argv, &a, &words);
    ghl_status status = ghl_cli_phase(&words, a.phase, &recipe, &phase);
    if (status == GHL_OK) {
        status = ghl_bench(phase, &a.options, ghl_cli_host());
        ghl_recipe_free(recipe);
    }
    free(words.settings);
    return ghl_cli_finish(status);
}

const ghl_command ghl_command_bench = {.name = "bench", .summary = "times a training step, whole or by operation", .run = run};
