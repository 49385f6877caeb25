/* SPDX-License-Identifier: Apache-2.0
 *
 * The command `ghl`: the first word says which command, and that command reads the rest. Exit statuses are those of ghl.h.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

static void print_usage(FILE *to)
{
    fputs("Usage: ghl COMMAND [ARGUMENT ...]\n\nTrains deep networks with Global-guided Hebbian Learning.\n\n", to);
    for (int i = 0; ghl_commands[i]; i++)
        fprintf(to, "  %-9s %s\n", ghl_commands[i]->name, ghl_commands[i]->summary);
    fputs("\n`ghl COMMAND --help` explains a command, `ghl help TOPIC` a key, rule, layer, model, ...; `ghl --version` says the version.\n"
          "Exit status: 0 done, 1 internal error, 2 wrong usage or recipe, 3 data, checkpoint or run folder unusable, 4 not a number,\n"
          "5 device, library or memory missing, 75 interrupted with the state saved: run the same command again.\n",
          to);
}

/* Near in spelling: the same first letter and at most two letters apart in length will do for so few words. */
static const char *similar(const char *word)
{
    for (int i = 0; ghl_commands[i]; i++) {
        const char *name = ghl_commands[i]->name;
        long apart = (long)strlen(name) - (long)strlen(word);
        if (name[0] == word[0] && apart <= 2 && apart >= -2)
            return name;
    }
    return NULL;
}

/* Where libraries of the GPU may lie: what the user names, and the Python that is in use. The library reads no environment. */
static void name_folders(void)
{
    static const struct {
        const char *variable, *below;
    } places[] = {{"GHL_CUDNN_PATH", ""}, {"GHL_CUDNN_PATH", "/lib"}, {"GHL_CUDNN_PATH", "/nvidia/*/lib"}, {"CONDA_PREFIX", "/lib"},
                  {"VIRTUAL_ENV", "/lib/python3*/site-packages/nvidia/*/lib"}, {"CONDA_PREFIX", "/lib/python3*/site-packages/nvidia/*/lib"},
                  {"HOME", "/.local/lib/python3*/site-packages/nvidia/*/lib"}};
    static char folders[4096];
    size_t used = 0;

    for (size_t i = 0; i < sizeof places / sizeof *places && used < sizeof folders; i++) {
        const char *value = getenv(places[i].variable);
        if (value != NULL && value[0] != 0)
            used += (size_t)snprintf(folders + used, sizeof folders - used, "%s%s%s", used > 0 ? ":" : "", value, places[i].below);
    }
    ghl_cuda_folders(folders);
}

/* $XDG_CACHE_HOME/ghl, or ~/.cache/ghl. The XDG specification says that a relative path is to be passed over. */
static void name_cache(void)
{
    static char folder[4096];
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");

    if (cache != NULL && cache[0] == '/')
        snprintf(folder, sizeof folder, "%s/ghl", cache);
    else if (home != NULL && home[0] == '/')
        snprintf(folder, sizeof folder, "%s/.cache/ghl", home);
    ghl_cache_folder(folder);
}

int main(int argc, char **argv)
{
    static char name[] = "ghl";

    signal(SIGXFSZ, SIG_IGN); /* a file-size limit is a save that failed (status 3), not the end of the program */
    if (argc < 1)
        return ghl_status_exit(GHL_USAGE);
    name_folders();
    name_cache();
    argv[0] = name;
    if (argc < 2) {
        print_usage(stderr);
        return ghl_status_exit(GHL_USAGE);
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "-?") == 0) {
        print_usage(stdout);
        return ghl_cli_finish(GHL_OK);
    }
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
        printf("ghl %s\n", ghl_version());
        return ghl_cli_finish(GHL_OK);
    }
    const ghl_command *command = ghl_command_find(argv[1]);
    if (!command) {
        const char *near = similar(argv[1]);
        ghl_cli_refuse("ghl --help lists the commands", "there is no command \"%s\"%s%s%s", argv[1], near ? "; did you mean \"" : "",
                   near ? near : "", near ? "\"?" : "");
    }
    return command->run(argc, argv);
}
