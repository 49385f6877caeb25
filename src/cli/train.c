/* SPDX-License-Identifier: Apache-2.0
 *
 * ghl train: trains, or continues the run that is in the folder.
 */
#include <stdio.h>
#include <stdlib.h>

#include "cli.h"

static const ghl_cli_option options[] = {
    {.name = "run", .arg = "DIR", .type = GHL_CLI_TEXT, .offset = offsetof(ghl_train_options, run),
     .doc = "Folder of the run (default: runs/NAME, by the recipe's name)"},
    {.name = "fresh", .type = GHL_CLI_FLAG, .offset = offsetof(ghl_train_options, fresh), .doc = "Start over, whatever the folder holds"},
    {.name = "stop-after", .arg = "STEPS", .type = GHL_CLI_COUNT, .offset = offsetof(ghl_train_options, stop_after), .about = "steps",
     .doc = "Stop, saved, after that many steps in all (status 75)"},
    {0},
};

static int run(int argc, char **argv)
{
    static const ghl_cli_syntax syntax = {
        .words = "RECIPE [key=value ...]",
        .about = "Trains what RECIPE describes. Settings override its values by their dotted paths: train.epochs=4, learn.conv.rule=sign. "
                 "The same command again continues the run in its folder, exactly.",
        .options = options,
        .settings = true,
    };
    ghl_train_options o = {0};
    ghl_train_result result;
    ghl_recipe *recipe;
    ghl_cli_words words;

    ghl_cli_parse(&ghl_command_train, &syntax, argc, argv, &o, &words);
    ghl_status status = ghl_cli_recipe(&words, &recipe);
    if (status == GHL_OK) {
        ghl_cli_catch_signals();
        status = ghl_train(recipe, &o, ghl_cli_host(), &result);
        ghl_recipe_free(recipe);
    }
    if (status == GHL_OK)
        printf("test_top1 %.2f  best_top1 %.2f  best_epoch %lld  epoch %lld  step %lld\n", result.test_top1, result.best_top1,
               (long long)result.best_epoch, (long long)result.epoch, (long long)result.step);
    free(words.settings);
    return ghl_cli_finish(status);
}

const ghl_command ghl_command_train = {.name = "train", .summary = "trains, or continues a run exactly", .run = run};
