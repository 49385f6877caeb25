/* SPDX-License-Identifier: Apache-2.0
 *
 * ghl doctor: what this machine has for training, what is missing, and how to get it.
 */
#include <stdlib.h>

#include "cli.h"

static int run(int argc, char **argv)
{
    static const ghl_cli_syntax syntax = {
        .words = "",
        .about = "Examines processor, memory, devices, libraries and data sets, and measures the machine's peak.",
        .options = ghl_cli_json_options,
        .optional = true,
    };
    bool json = false;
    ghl_cli_words words;

    ghl_cli_parse(&ghl_command_doctor, &syntax, argc, argv, &json, &words);
    if (words.first)
        ghl_cli_refuse(NULL, "doctor: one word too many: \"%s\"", words.first);
    return ghl_cli_finish(ghl_doctor(json, ghl_cli_host()));
}

const ghl_command ghl_command_doctor = {.name = "doctor", .summary = "examines this machine; says what is missing", .run = run};
