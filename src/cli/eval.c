/* SPDX-License-Identifier: Apache-2.0
 *
 * ghl eval: test loss and accuracies of a checkpoint, or of the best one of a run.
 */
#include <stdlib.h>

#include "cli.h"

static int run(int argc, char **argv)
{
    static const ghl_cli_syntax syntax = {
        .words = "RUN|CHECKPOINT [key=value ...]",
        .about = "Evaluates a checkpoint file, or best.safetensors of a run's folder, on the test images of its own recipe. Settings "
                 "override that recipe, for instance data.path=FOLDER.",
        .options = ghl_cli_json_options,
        .settings = true,
    };
    bool json = false;
    ghl_cli_words words;

    ghl_cli_parse(&ghl_command_eval, &syntax, argc, argv, &json, &words);
    ghl_status status = ghl_evaluate(words.first, words.n, words.settings, json, ghl_cli_host());
    free(words.settings);
    return ghl_cli_finish(status);
}

const ghl_command ghl_command_eval = {.name = "eval", .summary = "tests a checkpoint or a run's best one", .run = run};
