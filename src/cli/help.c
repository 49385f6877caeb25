/* SPDX-License-Identifier: Apache-2.0
 *
 * ghl help: of a command, the same as its --help; of a topic, what the library knows about it; without a word, both lists.
 */
#include <stdio.h>
#include <stdlib.h>

#include "cli.h"

static int run(int argc, char **argv)
{
    static const ghl_cli_syntax syntax = {
        .words = "[COMMAND|TOPIC]",
        .about = "Explains a command, \"recipe\" (all its keys), or any name that ghl list shows: a rule, layer, model, optimiser, ...",
        .optional = true,
    };
    static char ask[] = "--help";
    ghl_cli_words words;

    ghl_cli_parse(&ghl_command_help, &syntax, argc, argv, NULL, &words);
    free(words.settings);
    const ghl_command *command = words.first ? ghl_command_find(words.first) : NULL;
    if (command) {
        char *asked[] = {argv[0], argv[0], ask, NULL};
        return command->run(3, asked);
    }
    if (!words.first) {
        puts("Commands:");
        for (int i = 0; ghl_commands[i]; i++)
            printf("  %-10s  %s\n", ghl_commands[i]->name, ghl_commands[i]->summary);
        puts("`ghl COMMAND --help` explains one.\n");
    }
    return ghl_cli_finish(ghl_help(words.first, ghl_cli_host()));
}

const ghl_command ghl_command_help = {.name = "help", .summary = "explains a command, a recipe's keys, or any listed name", .run = run};
