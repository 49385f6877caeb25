/* SPDX-License-Identifier: Apache-2.0
 *
 * From the settings of a command line to the points of a grid, and their names.
 */
#include <stdlib.h>
#include <string.h>

#include "command/sweep.h"

enum { NAME_MOST = 150 }; /* bytes of a folder's name before its hash; file systems take 255 */

static const char usage[] = "several values make a grid: ghl sweep RECIPE learn.conv.lr=1e-2,3e-2 train.batch=32,64";

/* The first `stop` outside brackets and double quotes, or the end. *whole: every bracket and quote before it is closed. */
static const char *scan(const char *text, char stop, bool *whole)
{
    int depth = 0;
    bool quoted = false;
    for (; *text != '\0' && (*text != stop || depth > 0 || quoted); text++) {
        quoted = *text == '"' ? !quoted : quoted;
        depth += quoted ? 0 : (*text == '[' || *text == '{') - (*text == ']' || *text == '}');
        if (depth < 0)
            break;
    }
    *whole = depth == 0 && !quoted;
    return text;
}

/* The value is the text from `from` up to `end`. */
static ghl_status value_add(ghl_axis *axis, const char *from, const char *end)
{
    ghl_text text = {0};
    GHL_TRY(GHL_GROW(axis->settings, axis->capacity, axis->count + 1));
    ghl_text_add(&text, "%s=", axis->key);
    ghl_text_append(&text, from, (size_t)(end - from));
    GHL_TRY(ghl_text_end(&text));
    axis->settings[axis->count++] = text.data;
    for (int i = 0; i + 1 < axis->count; i++)
        if (strcmp(axis->settings[i], text.data) == 0)
            return ghl_fail(GHL_USAGE, "give each value once", "%.200s is given twice", text.data);
    return GHL_OK;
}

static ghl_status axis_parse(const char *setting, ghl_axis *axis)
{
    bool whole = true, more = true;
    const char *equals = scan(setting, '=', &whole);
    if (*equals != '=' || equals == setting)
        return ghl_fail(GHL_USAGE, usage, "\"%.200s\" is not key=value", setting);
    GHL_TRY(ghl_copy_text(setting, &axis->key));
    axis->key[equals - setting] = '\0';
    for (const char *from = equals + 1, *comma; more; from = comma + 1) {
        comma = scan(from, ',', &whole);
        if (!whole)
            return ghl_fail(GHL_USAGE, "lists look like model.channels=[8,16],[16,32]", "%.200s: a bracket or a quote without its other",
                            setting);
        more = *comma == ',';
        const char *end = comma;
        while (from < end && *from == ' ')
            from++;
        while (end > from && end[-1] == ' ')
            end--;
        if (from == end && (more || axis->count > 0))
            return ghl_fail(GHL_USAGE, "one comma between two values", "%.200s: value %d is empty", setting, axis->count + 1);
        GHL_TRY(value_add(axis, from, end));
    }
    return GHL_OK;
}

ghl_status ghl_grid_parse(int n, const char *const *settings, ghl_grid *out)
{
    *out = (ghl_grid){.n = n, .points = 1};
    GHL_TRY(GHL_NEW(out->rows, n + 1));
    for (int i = 0; i < n; i++) {
        ghl_axis *row = &out->rows[i];
        GHL_TRY(axis_parse(settings[i], row));
        for (int k = 0; k < i; k++)
            if (strcmp(out->rows[k].key, row->key) == 0)
                return ghl_fail(GHL_USAGE, "write its values after one =, with commas", "%.200s: the key is given twice", settings[i]);
        out->axes += row->count > 1;
        if (row->count > GHL_GRID_POINTS / out->points)
            return ghl_fail(GHL_USAGE, "sweep a part of it first", "%.200s: the grid has more than %d points", settings[i],
                            GHL_GRID_POINTS);
        out->points *= row->count;
    }
    return out->axes > 0 ? GHL_OK : ghl_fail(GHL_USAGE, usage, "no key has several values: there is nothing to sweep over");
}

void ghl_grid_point(const ghl_grid *grid, int number, const char **settings)
{
    for (int i = grid->n - 1; i >= 0; i--) {
        settings[i] = grid->rows[i].settings[number % grid->rows[i].count];
        number /= grid->rows[i].count;
    }
}

void ghl_grid_label(const ghl_grid *grid, const char *const *settings, const char *between, ghl_text *text)
{
    const char *before = "";
    for (int i = 0; i < grid->n; i++) {
        if (grid->rows[i].count == 1)
            continue;
        ghl_text_add(text, "%s%s", before, settings[i]);
        before = between;
    }
}

void ghl_grid_folder(const char *label, ghl_text *text)
{
    static const char safe[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._=+,-";
    uint32_t hash = 2166136261u; /* FNV-1a of the whole label */
    size_t kept = 0, length = strlen(label);
    for (size_t i = 0; i < length; i++) {
        hash = (hash ^ (unsigned char)label[i]) * 16777619u;
        if (strchr(safe, label[i]) != NULL && kept < NAME_MOST) {
            ghl_text_append(text, &label[i], 1);
            kept++;
        }
    }
    if (kept < length)
        ghl_text_add(text, "-%08x", (unsigned)hash);
}

void ghl_grid_release(ghl_grid *grid)
{
    for (int i = 0; grid->rows != NULL && i < grid->n; i++) {
        for (int k = 0; k < grid->rows[i].count; k++)
            free(grid->rows[i].settings[k]);
        free(grid->rows[i].settings);
        free(grid->rows[i].key);
    }
    free(grid->rows);
    *grid = (ghl_grid){0};
}
