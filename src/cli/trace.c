/* SPDX-License-Identifier: Apache-2.0
 *
 * ghl trace: one training step with every tensor named, for comparison with other programs.
 */
#include <stdlib.h>

#include "cli.h"

enum { OPTION_INPUT = 256, OPTION_WEIGHTS, OPTION_OUTPUT, OPTION_FUSED, OPTION_DROPOUT, OPTION_GRAD };

static const struct argp_option options[] = {
    {.name = "output", .key = OPTION_OUTPUT, .arg = "FILE", .doc = "Where the tensors go (safetensors)"},
    {.name = "input", .key = OPTION_INPUT, .arg = "FILE", .doc = "images f32 [N,C,H,W], used as they are; labels i64 [N] (safetensors)"},
    {.name = "weights", .key = OPTION_WEIGHTS, .arg = "FILE", .doc = "Weights by parameter name; those missing are drawn from the seed"},
    {.name = "fused", .key = OPTION_FUSED, .doc = "Run the program as trained; fewer tensors are named"},
    {.name = "dropout", .key = OPTION_DROPOUT, .doc = "Leave dropout on"},
    {.name = "grad", .key = OPTION_GRAD, .doc = "Gradients of every weight, also where no rule asks for them"},
    GHL_CLI_PHASE_OPTION,
    {0},
};

typedef struct arguments {
    ghl_trace_options options;
    const char *phase;
} arguments;

static error_t take(int key, char *argument, void *to)
{
    arguments *a = to;
    ghl_trace_options *o = &a->options;

    switch (key) {
    case OPTION_INPUT:
        o->input = argument;
        return 0;
    case OPTION_WEIGHTS:
        o->weights = argument;
        return 0;
    case OPTION_OUTPUT:
        o->output = argument;
        return 0;
    case OPTION_FUSED:
        o->fused = true;
        return 0;
    case OPTION_DROPOUT:
        o->dropout = true;
        return 0;
    case OPTION_GRAD:
        o->grad = true;
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
        .about = "Runs one training step of RECIPE and writes its tensors under PyTorch's names: before/, grad/, local/, direction/, "
                 "after/, out/, loss, correct.",
        .options = options,
        .take = take,
        .settings = true,
    };
    arguments a = {0};
    ghl_recipe *recipe;
    const ghl_recipe *phase;
    ghl_cli_words words;

    ghl_cli_parse(&ghl_command_trace, &syntax, argc, argv, &a, &words);
    if (!a.options.output)
        ghl_cli_refuse("ghl trace RECIPE --output FILE", "trace: --output is missing");
    ghl_status status = ghl_cli_recipe(&words, &recipe);
    if (status == GHL_OK) {
        status = ghl_recipe_phase(recipe, a.phase, &phase);
        if (status == GHL_OK)
            status = ghl_trace(phase, &a.options, ghl_cli_host());
        ghl_recipe_free(recipe);
    }
    free(words.settings);
    return ghl_cli_finish(status);
}

const ghl_command ghl_command_trace = {.name = "trace", .summary = "writes every tensor of one training step", .run = run};
