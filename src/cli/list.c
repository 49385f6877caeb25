/* SPDX-License-Identifier: Apache-2.0
 *
 * ghl list: the rules, layers, models, ... that this build has.
 */
#include <stdlib.h>

#include "cli.h"

static int run(int argc, char **argv)
{
    static const ghl_cli_syntax syntax = {
        .words = "[rules|layers|models|optimisers|schedules|data|devices|sinks|ops|statuses]",
        .about = "Lists names with a line each; without a word, what can be listed.",
        .options = ghl_cli_json_options,
        .optional = true,
    };
    bool json = false;
    ghl_cli_words words;

    ghl_cli_parse(&ghl_command_list, &syntax, argc, argv, &json, &words);
    ghl_status status = ghl_list(words.first, json, ghl_cli_host());
    free(words.settings);
    return ghl_cli_finish(status);
}

const ghl_command ghl_command_list = {.name = "list", .summary = "lists rules, layers, models, data formats, devices, ...", .run = run};
