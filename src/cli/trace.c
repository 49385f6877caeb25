/* SPDX-License-Identifier: Apache-2.0
 *
 * ghl trace: one training step with every tensor named, for comparison with other programs.
 */
#include <stdlib.h>

#include "cli.h"

typedef struct arguments {
    ghl_trace_options options;
    const char *phase;
} arguments;

static const ghl_cli_option options[] = {
    {.name = "output", .arg = "FILE", .type = GHL_CLI_TEXT, .offset = offsetof(arguments, options.output),
     .doc = "Where the tensors go (safetensors)"},
    {.name = "input", .arg = "FILE", .type = GHL_CLI_TEXT, .offset = offsetof(arguments, options.input),
     .doc = "images f32 [N,C,H,W], used as they are; labels i64 [N] (safetensors)"},
    {.name = "weights", .arg = "FILE", .type = GHL_CLI_TEXT, .offset = offsetof(arguments, options.weights),
     .doc = "Weights by parameter name; those missing are drawn from the seed"},
    {.name = "fused", .type = GHL_CLI_FLAG, .offset = offsetof(arguments, options.fused),
     .doc = "Run the program as trained; fewer tensors are named"},
    {.name = "dropout", .type = GHL_CLI_FLAG, .offset = offsetof(arguments, options.dropout), .doc = "Leave dropout on"},
    {.name = "grad", .type = GHL_CLI_FLAG, .offset = offsetof(arguments, options.grad),
     .doc = "Gradients of every weight, also where no rule asks for them"},
    GHL_CLI_PHASE(arguments, phase),
    {0},
};

static int run(int argc, char **argv)
{
    static const ghl_cli_syntax syntax = {
        .words = "RECIPE [key=value ...]",
        .about = "Runs one training step of RECIPE and writes its tensors under PyTorch's names: before/, grad/, local/, direction/, "
                 "after/, out/, loss, correct.",
        .options = options,
        .settings = true,
    };
    arguments a = {0};
    ghl_recipe *recipe;
    const ghl_recipe *phase;
    ghl_cli_words words;

    ghl_cli_parse(&ghl_command_trace, &syntax, argc, argv, &a, &words);
    if (!a.options.output)
        ghl_cli_refuse("ghl trace RECIPE --output FILE", "trace: --output is missing");
    ghl_status status = ghl_cli_phase(&words, a.phase, &recipe, &phase);
    if (status == GHL_OK) {
        status = ghl_trace(phase, &a.options, ghl_cli_host());
        ghl_recipe_free(recipe);
    }
    free(words.settings);
    return ghl_cli_finish(status);
}

const ghl_command ghl_command_trace = {.name = "trace", .summary = "writes every tensor of one training step", .run = run};
