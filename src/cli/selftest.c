/* SPDX-License-Identifier: Apache-2.0
 *
 * ghl selftest: does a device compute on this machine what the reference computes?
 */
#include <stdlib.h>

#include "cli.h"

typedef struct arguments {
    const char *device;
    bool json;
} arguments;

static const ghl_cli_option options[] = {
    {.name = "device", .arg = "DEVICE", .type = GHL_CLI_TEXT, .offset = offsetof(arguments, device),
     .doc = "ref, cpu, cuda, cuda:N (default: auto, the fastest there is)"},
    {.name = "json", .type = GHL_CLI_FLAG, .offset = offsetof(arguments, json), .doc = "Print JSON"},
    {0},
};

static int run(int argc, char **argv)
{
    static const ghl_cli_syntax syntax = {
        .words = "",
        .about = "Runs every operation and a training step by every rule on a device of this machine, and compares them with device ref. "
                 "Exit status 5 where they differ.",
        .options = options,
        .optional = true,
    };
    arguments a = {0};
    ghl_cli_words words;

    ghl_cli_parse(&ghl_command_selftest, &syntax, argc, argv, &a, &words);
    if (words.first)
        ghl_cli_refuse("--device says which device", "selftest: one word too many: \"%s\"", words.first);
    return ghl_cli_finish(ghl_selftest(a.device, a.json, ghl_cli_host()));
}

const ghl_command ghl_command_selftest = {.name = "selftest", .summary = "compares a device with the reference", .run = run};
