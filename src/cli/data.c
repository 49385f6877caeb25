/* SPDX-License-Identifier: Apache-2.0
 *
 * ghl data: what a data set is, whether it is whole, how fast it can be read; photographs into one file. A second word says which.
 */
#include <stdlib.h>
#include <string.h>

#include "cli.h"

typedef struct arguments {
    ghl_pack_options pack;
    bool json;
} arguments;

static const ghl_cli_option options[] = {
    {.name = "json", .type = GHL_CLI_FLAG, .offset = offsetof(arguments, json), .doc = "Of info, check, bench: print one JSON object"},
    {.name = "size", .arg = "PIXELS", .type = GHL_CLI_COUNT, .offset = offsetof(arguments, pack.size), .about = "pixels",
     .doc = "Of pack: shorter side of the copies, where the photograph's is longer (default: 256)"},
    {.name = "raw", .type = GHL_CLI_FLAG, .offset = offsetof(arguments, pack.raw),
     .doc = "Of pack: pixels, not JPEG; ten times the space, and several times as fast to read"},
    {.name = "quality", .arg = "Q", .type = GHL_CLI_COUNT, .offset = offsetof(arguments, pack.quality), .about = "quality",
     .doc = "Of pack: of JPEG, 1 to 100 (default: 90)"},
    {.name = "orientation", .type = GHL_CLI_FLAG, .offset = offsetof(arguments, pack.orientation),
     .doc = "Of pack: turn photographs as their EXIF data say"},
    {0},
};

static ghl_status info(const char *const *words, const arguments *a)
{
    return ghl_data_info(words[0], a->json, ghl_cli_host());
}

static ghl_status check(const char *const *words, const arguments *a)
{
    return ghl_data_check(words[0], a->json, ghl_cli_host());
}

static ghl_status pack(const char *const *words, const arguments *a)
{
    return ghl_data_pack(words[0], words[1], &a->pack, ghl_cli_host());
}

static ghl_status bench(const char *const *words, const arguments *a)
{
    return ghl_data_bench(words[0], a->json, ghl_cli_host());
}

static const struct subject {
    const char *name, *words;
    int n;          /* words */
    bool packs;     /* takes pack's options; the others take --json */
    ghl_status (*run)(const char *const *words, const arguments *a);
} subjects[] = {
    {"info", "PATH", 1, false, info},
    {"check", "PATH", 1, false, check},
    {"pack", "FOLDER FILE", 2, true, pack},
    {"bench", "PATH", 1, false, bench},
};
enum { SUBJECTS = sizeof subjects / sizeof *subjects };

static const struct subject *find(const char *name)
{
    for (int i = 0; i < SUBJECTS; i++)
        if (strcmp(subjects[i].name, name) == 0)
            return &subjects[i];
    ghl_cli_refuse("info, check, pack or bench", "data: there is no \"%s\"", name);
}

static void check_words(const struct subject *s, const ghl_cli_words *words, const arguments *a)
{
    const bool packing = a->pack.size > 0 || a->pack.quality > 0 || a->pack.raw || a->pack.orientation;

    if (words->n != s->n)
        ghl_cli_refuse(NULL, "data %s: takes %s, not %d words", s->name, s->words, words->n);
    if (s->packs ? a->json : packing)
        ghl_cli_refuse("ghl data --help says which options are whose", "data %s: %s", s->name,
                       s->packs ? "--json is not for it" : "--size, --raw, --quality and --orientation are not for it");
}

static int run(int argc, char **argv)
{
    static const ghl_cli_syntax syntax = {
        .words = "info|check|bench PATH, or pack FOLDER FILE",
        .about = "PATH is a folder of class folders, of the files of idx, cifar10 or cifar100, or a packed file. info describes it; check "
                 "reads every image and lists the damaged ones, status 3; bench times reading. pack puts a folder of photographs into one "
                 "file, for data.kind=packed: the same command again continues where it stopped.",
        .options = options,
        .words_only = true,
    };
    arguments a = {0};
    ghl_cli_words words;

    ghl_cli_parse(&ghl_command_data, &syntax, argc, argv, &a, &words);
    const struct subject *subject = find(words.first);
    check_words(subject, &words, &a);
    ghl_cli_catch_signals();
    const ghl_status status = subject->run(words.settings, &a);
    free(words.settings);
    return ghl_cli_finish(status);
}

const ghl_command ghl_command_data = {.name = "data", .summary = "describes, checks, packs and times data sets", .run = run};
