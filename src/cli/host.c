/* SPDX-License-Identifier: Apache-2.0
 *
 * The library's words on a terminal: results on standard output, all else on standard error; a bar only where somebody sees it.
 * And the words to the library: stop.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli.h"

static bool bar_shown;

static void wipe(void)
{
    if (bar_shown)
        fputs("\r\033[K", stderr);
    bar_shown = false;
}

static void show_log(void *user, ghl_level level, const char *line)
{
    (void)user;
    wipe();
    fprintf(stderr, "%s%s\n", level == GHL_LEVEL_WARNING ? "ghl: warning: " : "", line);
}

static void show_progress(void *user, const char *line)
{
    (void)user;
    wipe();
    fputs(line, stderr);
    bar_shown = line[0] != '\0';
    fflush(stderr);
}

static void show_result(void *user, const char *text, size_t bytes)
{
    (void)user;
    wipe();
    fwrite(text, 1, bytes, stdout);
}

static void on_signal(int number)
{
    (void)number;
    ghl_stop();
}

void ghl_cli_catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND | SA_RESTART};

    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

/* 0 where no bar can be drawn. */
static int terminal_columns(void)
{
    struct winsize size;
    const char *kind = getenv("TERM");

    if (!isatty(STDERR_FILENO) || !kind || strcmp(kind, "dumb") == 0)
        return 0;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
        return 80;
    return size.ws_col;
}

const ghl_host *ghl_cli_host(void)
{
    static ghl_host host = {.log = show_log, .progress = show_progress, .result = show_result};

    host.columns = terminal_columns();
    return &host;
}

int ghl_cli_finish(ghl_status status)
{
    wipe();
    if (status != GHL_OK) {
        fprintf(stderr, "ghl: %s\n", ghl_error_message());
        if (ghl_error_hint()[0])
            fprintf(stderr, "  %s\n", ghl_error_hint());
    }
    if (fflush(stdout) != 0 || ferror(stdout)) {
        perror("ghl: standard output");
        return status == GHL_OK ? ghl_status_exit(GHL_INTERNAL) : ghl_status_exit(status);
    }
    return ghl_status_exit(status);
}

ghl_status ghl_cli_recipe(const ghl_cli_words *words, ghl_recipe **out)
{
    return ghl_recipe_load(words->first, words->n, words->settings, out);
}

ghl_status ghl_cli_phase(const ghl_cli_words *words, const char *name, ghl_recipe **whole, const ghl_recipe **phase)
{
    ghl_status status = ghl_cli_recipe(words, whole);
    if (status != GHL_OK)
        return status;
    status = ghl_recipe_phase(*whole, name, phase);
    if (status != GHL_OK)
        ghl_recipe_free(*whole);
    return status;
}
