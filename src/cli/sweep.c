/* SPDX-License-Identifier: Apache-2.0
 *
 * ghl sweep: a grid of trainings judged on held-out training images, a table at the end; the same command continues it.
 */
#include <stdlib.h>

#include "cli.h"

static const ghl_cli_option options[] = {
    {.name = "run", .arg = "DIR", .type = GHL_CLI_TEXT, .offset = offsetof(ghl_sweep_options, run),
     .doc = "Folder of the sweep (default: runs/NAME-sweep, by the recipe's name)"},
    {.name = "fresh", .type = GHL_CLI_FLAG, .offset = offsetof(ghl_sweep_options, fresh),
     .doc = "Train every point anew, whatever the folder holds"},
    {.name = "stop-after", .arg = "STEPS", .type = GHL_CLI_COUNT, .offset = offsetof(ghl_sweep_options, stop_after), .about = "steps",
     .doc = "Stop, saved, after that many steps of all points (status 75)"},
    {.name = "json", .type = GHL_CLI_FLAG, .offset = offsetof(ghl_sweep_options, json), .doc = "Print the table as a JSON object"},
    {0},
};

static int run(int argc, char **argv)
{
    static const ghl_cli_syntax syntax = {
        .words = "RECIPE key=v1,v2,... [key=value ...]",
        .about = "Trains RECIPE once for every combination of the values, each a run in a folder of its own, and prints a table, the best "
                 "first. Brackets protect commas: model.channels=[8,16],[16,32] has two values. Accuracy is measured on training images "
                 "that are held out (data.holdout), never on the test set. The same command again continues where it stopped.",
        .options = options,
        .settings = true,
    };
    ghl_sweep_options o = {0};
    ghl_cli_words words;

    ghl_cli_parse(&ghl_command_sweep, &syntax, argc, argv, &o, &words);
    ghl_cli_catch_signals();
    ghl_status status = ghl_sweep(words.first, words.n, words.settings, &o, ghl_cli_host());
    free(words.settings);
    return ghl_cli_finish(status);
}

const ghl_command ghl_command_sweep = {.name = "sweep", .summary = "trains a grid of settings, judged on held-out images", .run = run};
