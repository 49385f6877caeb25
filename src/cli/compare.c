/* SPDX-License-Identifier: Apache-2.0
 *
 * ghl compare: runs side by side.
 */
#include <stdlib.h>

#include "cli.h"

static const ghl_cli_option options[] = {
    {.name = "output", .arg = "DIR", .type = GHL_CLI_TEXT, .offset = offsetof(ghl_compare_options, output),
     .doc = "Folder of compare.html, .csv, .md and curves (default: runs/compare)"},
    {.name = "json", .type = GHL_CLI_FLAG, .offset = offsetof(ghl_compare_options, json), .doc = "Print the table as JSON"},
    {.name = "probes", .type = GHL_CLI_FLAG, .offset = offsetof(ghl_compare_options, probes),
     .doc = "Print what probes measured, by layer, in the place of accuracies"},
    {0},
};

static int run(int argc, char **argv)
{
    static const ghl_cli_syntax syntax = {
        .words = "RUN [RUN ...]",
        .about = "Prints accuracy, time and speed of runs, and the settings in which they differ; curves go into an HTML page. Runs that "
                 "differ by their seed alone are one row, a mean with its deviation.",
        .options = options,
        .words_only = true,
    };
    ghl_compare_options o = {0};
    ghl_cli_words words;

    ghl_cli_parse(&ghl_command_compare, &syntax, argc, argv, &o, &words);
    const char **runs = malloc((size_t)(words.n + 1) * sizeof *runs);
    if (!runs)
        ghl_cli_refuse(NULL, "out of memory");
    runs[0] = words.first;
    for (int i = 0; i < words.n; i++)
        runs[i + 1] = words.settings[i];
    ghl_status status = ghl_runs_compare(words.n + 1, runs, &o, ghl_cli_host());
    free(runs);
    free(words.settings);
    return ghl_cli_finish(status);
}

const ghl_command ghl_command_compare = {.name = "compare", .summary = "sets runs side by side: figures, settings, curves", .run = run};
