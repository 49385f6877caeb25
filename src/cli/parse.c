/* SPDX-License-Identifier: Apache-2.0
 *
 * Command lines, by argp: each command has its own options; what all have in common is here.
 */
#include <argp.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

enum { EXIT_USAGE = 2, FIRST_KEY = 256, OPTION_NAME = 999 };

const ghl_cli_option ghl_cli_json_options[] = {
    {.name = "json", .type = GHL_CLI_FLAG, .doc = "Print JSON"},
    {0},
};

typedef struct parsing {
    const ghl_command *command;
    const ghl_cli_syntax *syntax;
    void *to;
    ghl_cli_words *words;
    char name[64];
} parsing;

_Noreturn void ghl_cli_refuse(const char *hint, const char *format, ...)
{
    va_list list;

    fputs("ghl: ", stderr);
    va_start(list, format);
    vfprintf(stderr, format, list);
    va_end(list);
    fputc('\n', stderr);
    if (hint && hint[0])
        fprintf(stderr, "  %s\n", hint);
    exit(EXIT_USAGE);
}

/* ---- A row's value, by its type ---- */

static void take_flag(const ghl_cli_option *o, const char *text, void *field)
{
    (void)o, (void)text;
    *(bool *)field = true;
}

static void take_text(const ghl_cli_option *o, const char *text, void *field)
{
    (void)o;
    *(const char **)field = text;
}

static void take_count(const ghl_cli_option *o, const char *text, void *field)
{
    char *end;

    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (errno || end == text || *end || value < 1)
        ghl_cli_refuse("a whole number from 1 on", "--%s: \"%s\" is not a number of %s", o->name, text, o->about);
    *(int64_t *)field = value;
}

static void take_real(const ghl_cli_option *o, const char *text, void *field)
{
    char *end;

    errno = 0;
    double value = strtod(text, &end);
    if (errno || end == text || *end || !(value > 0))
        ghl_cli_refuse(o->about, "--%s: \"%s\" is not a positive number", o->name, text);
    *(double *)field = value;
}

static void (*const take_type[])(const ghl_cli_option *o, const char *text, void *field) = {
    [GHL_CLI_FLAG] = take_flag, [GHL_CLI_TEXT] = take_text, [GHL_CLI_COUNT] = take_count, [GHL_CLI_REAL] = take_real};

/* ---- The words ---- */

static void add_setting(const parsing *p, const char *word)
{
    if (!p->syntax->settings && !p->syntax->words_only)
        ghl_cli_refuse(NULL, "%s: one word too many: \"%s\"", p->command->name, word);
    const char *equals = strchr(word, '=');
    if (p->syntax->settings && (!equals || equals == word))
        ghl_cli_refuse("settings are written key=value, for instance train.epochs=4",
                       "%s: \"%s\" is not a setting", p->command->name, word);
    const char **grown = realloc(p->words->settings, (size_t)(p->words->n + 1) * sizeof *grown);
    if (!grown)
        ghl_cli_refuse(NULL, "out of memory");
    p->words->settings = grown;
    p->words->settings[p->words->n++] = word;
}

/* The row of an option is its key. */
static error_t take_own(int key, char *argument, struct argp_state *state)
{
    const parsing *p = state->input;

    if (key < FIRST_KEY || key >= FIRST_KEY + GHL_CLI_OPTIONS)
        return ARGP_ERR_UNKNOWN;
    const ghl_cli_option *o = &p->syntax->options[key - FIRST_KEY];
    take_type[o->type](o, argument, (char *)p->to + o->offset);
    return 0;
}

static error_t take_common(int key, char *argument, struct argp_state *state)
{
    parsing *p = state->input;

    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = p;
        return 0;
    case OPTION_NAME:
        state->name = p->name;
        return 0;
    case ARGP_KEY_ARG:
        if (p->words->first)
            add_setting(p, argument);
        else
            p->words->first = argument;
        return 0;
    case ARGP_KEY_END:
        if (!p->words->first && !p->syntax->optional) {
            char hint[96];
            snprintf(hint, sizeof hint, "ghl %s %s", p->command->name, p->syntax->words);
            ghl_cli_refuse(hint, "%s: %.*s is missing", p->command->name, (int)strcspn(p->syntax->words, " "), p->syntax->words);
        }
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* getopt begins its complaints with argv[0], "ghl", as all errors begin; argp calls the program so too in --help, where the command's
 * name belongs. It asks no parser before the first option, so the command's word is replaced by a hidden one that sets the name. */
static char naming[] = "--name-of-command";
static const struct argp_option common[] = {
    {.name = "name-of-command", .key = OPTION_NAME, .flags = OPTION_HIDDEN},
    {0},
};

void ghl_cli_parse(const ghl_command *command, const ghl_cli_syntax *syntax, int argc, char **argv, void *to, ghl_cli_words *words)
{
    parsing p = {.command = command, .syntax = syntax, .to = to, .words = words};
    struct argp_option rows[GHL_CLI_OPTIONS + 1] = {0};
    const struct argp own = {.options = syntax->options != NULL ? rows : NULL, .parser = take_own}; /* argp leaks an empty table's */
    const struct argp_child children[] = {{.argp = &own}, {0}};
    const struct argp argp = {.options = common, .parser = take_common, .args_doc = syntax->words, .doc = syntax->about,
                              .children = children};

    for (int i = 0; syntax->options != NULL && i < GHL_CLI_OPTIONS && syntax->options[i].name != NULL; i++)
        rows[i] = (struct argp_option){.name = syntax->options[i].name, .key = FIRST_KEY + i, .arg = syntax->options[i].arg,
                                       .doc = syntax->options[i].doc};
    *words = (ghl_cli_words){0};
    snprintf(p.name, sizeof p.name, "ghl %s", command->name);
    argp_err_exit_status = EXIT_USAGE;
    argv[1] = naming;
    argp_parse(&argp, argc, argv, 0, NULL, &p);
}
