/* SPDX-License-Identifier: Apache-2.0
 *
 * cli.h - the commands of `ghl`, a row each, and what they share. This room knows the library by its public headers only.
 *
 * A command parses its own arguments with argp, which ends the program for --help and for options that it does not know (status 2).
 */
#ifndef GHL_CLI_CLI_H
#define GHL_CLI_CLI_H

#include <stddef.h>

#include "ghl.h"

typedef struct ghl_command {
    const char *name;
    const char *summary;
    int (*run)(int argc, char **argv); /* argv[0]: "ghl"; argv[1]: the command's name. Returns the exit status */
} ghl_command;

/* A row each; `ghl help` lists them in this order. */
#define GHL_COMMANDS(ROW) \
    ROW(train)            \
    ROW(sweep)            \
    ROW(compare)          \
    ROW(reproduce)        \
    ROW(eval)             \
    ROW(predict)          \
    ROW(bench)            \
    ROW(trace)            \
    ROW(plan)             \
    ROW(data)             \
    ROW(list)             \
    ROW(doctor)           \
    ROW(selftest)         \
    ROW(help)
#define GHL_COMMAND_DECLARED(name) extern const ghl_command ghl_command_##name;
GHL_COMMANDS(GHL_COMMAND_DECLARED)
extern const ghl_command *const ghl_commands[]; /* ends with NULL */
const ghl_command *ghl_command_find(const char *name);  /* NULL: none */

/* The words of a command line that are no options: the first (RECIPE, RUN, ...), then settings "key=value". */
typedef struct ghl_cli_words {
    const char *first;
    const char **settings;
    int n;
} ghl_cli_words;

/* An option is a row: where its value goes, in a field of the type named. */
typedef enum ghl_cli_type {
    GHL_CLI_FLAG,  /* bool, no value */
    GHL_CLI_TEXT,  /* const char * */
    GHL_CLI_COUNT, /* int64_t from 1 on */
    GHL_CLI_REAL   /* double above 0 */
} ghl_cli_type;

typedef struct ghl_cli_option {
    const char *name, *arg, *doc; /* arg: NULL for a flag */
    ghl_cli_type type;
    size_t offset;                /* in the struct that ghl_cli_parse fills */
    const char *about;            /* COUNT: what is counted, "steps"; REAL: a hint where it is no number */
} ghl_cli_option;                 /* a table of rows ends with {0} */

enum { GHL_CLI_OPTIONS = 16 };    /* rows of a command at most */

/* For commands that look at one phase of a recipe. */
#define GHL_CLI_PHASE(owner, member) \
    {.name = "phase", .arg = "NAME", .type = GHL_CLI_TEXT, .offset = offsetof(owner, member), \
     .doc = "Of a recipe with phases (default: the first)"}

/* A command line. */
typedef struct ghl_cli_syntax {
    const char *words;       /* "RECIPE [key=value ...]" */
    const char *about;       /* what --help says below the usage */
    const ghl_cli_option *options; /* NULL: none */
    bool settings;           /* words after the first may stand, and are key=value */
    bool words_only;         /* words after the first may stand, and are anything */
    bool optional;           /* the first word may be left out */
} ghl_cli_syntax;

/* For commands whose one option is --json: `to` is a bool. */
extern const ghl_cli_option ghl_cli_json_options[];

/* Parses into `to` (the command's own struct) and words. Ends the program on wrong usage. words->settings is freed by the caller. */
void ghl_cli_parse(const ghl_command *command, const ghl_cli_syntax *syntax, int argc, char **argv, void *to, ghl_cli_words *words);
/* "ghl: MESSAGE" and a line of hint; ends the program with status 2. */
_Noreturn void ghl_cli_refuse(const char *hint, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Where the library's words go: results to standard output, all else to standard error, a bar if that is a terminal. */
const ghl_host *ghl_cli_host(void);
/* From now on SIGINT and SIGTERM let a training save and end with status 75; a second one ends the program at once. */
void ghl_cli_catch_signals(void);
/* Says what failed, if anything, on standard error; checks that standard output took everything. Returns the exit status. */
int ghl_cli_finish(ghl_status status);
/* Reads a recipe with the command line's settings; with a name (NULL: the first), picks one of its phases, which lives like the whole. */
ghl_status ghl_cli_recipe(const ghl_cli_words *words, ghl_recipe **out);
ghl_status ghl_cli_phase(const ghl_cli_words *words, const char *name, ghl_recipe **whole, const ghl_recipe **phase);

#endif
