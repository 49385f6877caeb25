/* SPDX-License-Identifier: Apache-2.0
 *
 * ghl reproduce: a published table, its missing runs trained, printed beside its numbers; the same command continues it.
 */
#include <stdlib.h>

#include "cli.h"

static const ghl_cli_option options[] = {
    {.name = "seeds", .arg = "N", .type = GHL_CLI_COUNT, .offset = offsetof(ghl_reproduce_options, seeds), .about = "seeds",
     .doc = "Runs a row, each with its own seed (default: 1)"},
    {.name = "epochs-scale", .arg = "F", .type = GHL_CLI_REAL, .offset = offsetof(ghl_reproduce_options, epochs_scale),
     .about = "0.1 trains a tenth of the epochs", .doc = "Shorten every schedule to that share; the table says so"},
    {.name = "data", .arg = "DIR", .type = GHL_CLI_TEXT, .offset = offsetof(ghl_reproduce_options, data),
     .doc = "Folder that the data sets' folders lie in (default: as the recipes say)"},
    {.name = "run", .arg = "DIR", .type = GHL_CLI_TEXT, .offset = offsetof(ghl_reproduce_options, run),
     .doc = "Folder of the runs and tables (default: runs/reproduce)"},
    {.name = "recipes", .arg = "DIR", .type = GHL_CLI_TEXT, .offset = offsetof(ghl_reproduce_options, recipes),
     .doc = "Folder of the recipes, with tables/ in it (default: recipes)"},
    {.name = "show", .type = GHL_CLI_FLAG, .offset = offsetof(ghl_reproduce_options, show), .doc = "Train nothing: print what there is"},
    {.name = "fresh", .type = GHL_CLI_FLAG, .offset = offsetof(ghl_reproduce_options, fresh),
     .doc = "Train the chosen rows anew, whatever the folder holds"},
    {.name = "stop-after", .arg = "STEPS", .type = GHL_CLI_COUNT, .offset = offsetof(ghl_reproduce_options, stop_after), .about = "steps",
     .doc = "Stop, saved, after that many steps of all runs (status 75)"},
    {.name = "json", .type = GHL_CLI_FLAG, .offset = offsetof(ghl_reproduce_options, json), .doc = "Print the table as JSON"},
    {.name = "probes", .type = GHL_CLI_FLAG, .offset = offsetof(ghl_reproduce_options, probes),
     .doc = "Print what probes measured, by layer, in the place of accuracies"},
    {0},
};

static int run(int argc, char **argv)
{
    static const ghl_cli_syntax syntax = {
        .words = "[TABLE[/ROW] [key=value ...]]",
        .about = "Trains the runs that a published table lacks, one after the other, and prints it beside the published numbers; CSV, "
                 "Markdown and HTML are written into the runs' folder. ROW chooses what is trained, by name or pattern (table1/deephebb-*)."
                 " Settings change every recipe. The same command again continues where it stopped. Without TABLE the tables and their "
                 "rows are listed.",
        .options = options,
        .settings = true,
        .optional = true,
    };
    ghl_reproduce_options o = {0};
    ghl_cli_words words;

    ghl_cli_parse(&ghl_command_reproduce, &syntax, argc, argv, &o, &words);
    ghl_cli_catch_signals();
    ghl_status status = ghl_reproduce(words.first, words.n, words.settings, &o, ghl_cli_host());
    free(words.settings);
    return ghl_cli_finish(status);
}

const ghl_command ghl_command_reproduce = {.name = "reproduce", .summary = "trains the rows of a published table and compares", .run = run};
