/* SPDX-License-Identifier: Apache-2.0
 *
 * ghl reproduce: a published table, its missing runs trained, printed beside its numbers; the same command continues it.
 */
#include <errno.h>
#include <stdlib.h>

#include "cli.h"

enum { OPTION_SEEDS = 256, OPTION_SCALE, OPTION_DATA, OPTION_RUN, OPTION_RECIPES, OPTION_SHOW, OPTION_FRESH, OPTION_STOP_AFTER,
       OPTION_JSON };

static const struct argp_option options[] = {
    {.name = "seeds", .key = OPTION_SEEDS, .arg = "N", .doc = "Runs a row, each with its own seed (default: 1)"},
    {.name = "epochs-scale", .key = OPTION_SCALE, .arg = "F", .doc = "Shorten every schedule to that share; the table says so"},
    {.name = "data", .key = OPTION_DATA, .arg = "DIR", .doc = "Folder that the data sets' folders lie in (default: as the recipes say)"},
    {.name = "run", .key = OPTION_RUN, .arg = "DIR", .doc = "Folder of the runs and tables (default: runs/reproduce)"},
    {.name = "recipes", .key = OPTION_RECIPES, .arg = "DIR", .doc = "Folder of the recipes, with tables/ in it (default: recipes)"},
    {.name = "show", .key = OPTION_SHOW, .doc = "Train nothing: print what there is"},
    {.name = "fresh", .key = OPTION_FRESH, .doc = "Train the chosen rows anew, whatever the folder holds"},
    {.name = "stop-after", .key = OPTION_STOP_AFTER, .arg = "STEPS", .doc = "Stop, saved, after that many steps of all runs (status 75)"},
    {.name = "json", .key = OPTION_JSON, .doc = "Print the table as JSON"},
    {0},
};

static double scale(const char *text)
{
    char *end;

    errno = 0;
    double value = strtod(text, &end);
    if (errno || end == text || *end || !(value > 0))
        ghl_cli_refuse("0.1 trains a tenth of the epochs", "--epochs-scale: \"%s\" is not a positive number", text);
    return value;
}

static error_t take(int key, char *argument, void *to)
{
    ghl_reproduce_options *o = to;

    switch (key) {
    case OPTION_SEEDS:
        o->seeds = ghl_cli_number("seeds", "seeds", argument);
        return 0;
    case OPTION_SCALE:
        o->epochs_scale = scale(argument);
        return 0;
    case OPTION_DATA:
        o->data = argument;
        return 0;
    case OPTION_RUN:
        o->run = argument;
        return 0;
    case OPTION_RECIPES:
        o->recipes = argument;
        return 0;
    case OPTION_SHOW:
        o->show = true;
        return 0;
    case OPTION_FRESH:
        o->fresh = true;
        return 0;
    case OPTION_STOP_AFTER:
        o->stop_after = ghl_cli_number("stop-after", "steps", argument);
        return 0;
    case OPTION_JSON:
        o->json = true;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static int run(int argc, char **argv)
{
    static const ghl_cli_syntax syntax = {
        .words = "[TABLE[/ROW] [key=value ...]]",
        .about = "Trains the runs that a published table lacks, one after the other, and prints it beside the published numbers; CSV, "
                 "Markdown and HTML are written into the runs' folder. ROW chooses what is trained, by name or pattern (table1/deephebb-*)."
                 " Settings change every recipe. The same command again continues where it stopped. Without TABLE the tables and their "
                 "rows are listed.",
        .options = options,
        .take = take,
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
