/* SPDX-License-Identifier: Apache-2.0
 *
 * ghl train: trains, or continues the run that is in the folder.
 */
#include <stdio.h>
#include <stdlib.h>

#include "cli.h"

enum { OPTION_RUN = 256, OPTION_FRESH, OPTION_STOP_AFTER };

static const struct argp_option options[] = {
    {.name = "run", .key = OPTION_RUN, .arg = "DIR", .doc = "Folder of the run (default: runs/NAME, by the recipe's name)"},
    {.name = "fresh", .key = OPTION_FRESH, .doc = "Start over, whatever the folder holds"},
    {.name = "stop-after", .key = OPTION_STOP_AFTER, .arg = "STEPS", .doc = "Stop, saved, after that many steps in all (status 75)"},
    {0},
};

static error_t take(int key, char *argument, void *to)
{
    ghl_train_options *o = to;

    switch (key) {
    case OPTION_RUN:
        o->run = argument;
        return 0;
    case OPTION_FRESH:
        o->fresh = true;
        return 0;
    case OPTION_STOP_AFTER:
        o->stop_after = ghl_cli_number("stop-after", "steps", argument);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static int run(int argc, char **argv)
{
    static const ghl_cli_syntax syntax = {
        .words = "RECIPE [key=value ...]",
        .about = "Trains what RECIPE describes. Settings override its values by their dotted paths: train.epochs=4, learn.conv.rule=sign. "
                 "The same command again continues the run in its folder, exactly.",
        .options = options,
        .take = take,
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
