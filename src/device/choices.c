/* SPDX-License-Identifier: Apache-2.0
 *
 * choices.c - a sorted list of problems and the kernels chosen for them, to and from text. See choices.h.
 */
#include "device/choices.h"

#include <stdlib.h>
#include <string.h>

typedef struct choice {
    char *problem, *kernel;
} choice;

struct ghl_choices {
    choice *all; /* sorted by problem */
    int count, capacity;
};

/* Where the problem stands, or would. */
static int place_of(const ghl_choices *choices, const char *problem, bool *found)
{
    int low = 0, high = choices->count;
    while (low < high) {
        const int middle = (low + high) / 2;
        if (strcmp(choices->all[middle].problem, problem) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *found = low < choices->count && strcmp(choices->all[low].problem, problem) == 0;
    return low;
}

const char *ghl_choices_find(const ghl_choices *choices, const char *problem)
{
    bool found = false;
    const int at = place_of(choices, problem, &found);
    return found ? choices->all[at].kernel : NULL;
}

ghl_status ghl_choices_set(ghl_choices *choices, const char *problem, const char *kernel)
{
    bool found = false;
    const int at = place_of(choices, problem, &found);
    choice made = {NULL, NULL};
    if (found && strcmp(choices->all[at].kernel, kernel) == 0)
        return GHL_OK;
    GHL_TRY(GHL_GROW(choices->all, choices->capacity, choices->count + 1));
    GHL_TRY(ghl_copy_text(kernel, &made.kernel));
    if (found) {
        free(choices->all[at].kernel);
        choices->all[at].kernel = made.kernel;
        return GHL_OK;
    }
    ghl_status status = ghl_copy_text(problem, &made.problem);
    if (status != GHL_OK) {
        free(made.kernel);
        return status;
    }
    memmove(&choices->all[at + 1], &choices->all[at], (size_t)(choices->count - at) * sizeof *choices->all);
    choices->all[at] = made;
    choices->count++;
    return GHL_OK;
}

/* `lines` is taken apart. */
static ghl_status read_lines(ghl_choices *choices, char *lines)
{
    for (char *next, *line = lines; line != NULL; line = next) {
        next = strchr(line, '\n');
        if (next != NULL)
            *next++ = 0;
        char *colon = strstr(line, ": ");
        if (colon == NULL)
            continue;
        *colon = 0;
        GHL_TRY(ghl_choices_set(choices, line, colon + 2));
    }
    return GHL_OK;
}

ghl_status ghl_choices_create(const char *text, ghl_choices **out)
{
    char *lines = NULL;
    GHL_TRY(ghl_copy_text(text, &lines));
    ghl_status status = GHL_NEW(*out, 1);
    if (status == GHL_OK)
        status = read_lines(*out, lines);
    free(lines);
    return status; /* *out is the caller's to free, whatever it is */
}

void ghl_choices_free(ghl_choices *choices)
{
    for (int i = 0; choices != NULL && i < choices->count; i++) {
        free(choices->all[i].problem);
        free(choices->all[i].kernel);
    }
    if (choices != NULL)
        free(choices->all);
    free(choices);
}

ghl_status ghl_choices_text(const ghl_choices *choices, char **text)
{
    ghl_text all = {0};
    for (int i = 0; i < choices->count; i++)
        ghl_text_add(&all, "%s: %s\n", choices->all[i].problem, choices->all[i].kernel);
    const ghl_status status = ghl_text_end(&all);
    *text = all.data;
    return status;
}
