/* SPDX-License-Identifier: Apache-2.0
 *
 * ghl_runs_compare: runs side by side. Those whose recipes differ by nothing but the seed (and by what does not change a training's
 * outcome) are one row, with a mean; a run that tested in several phases, as with a head on each layer, is a row for each of them. The
 * settings in which rows differ stand in a second table.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command/report.h"
#include "command/result.h"
#include "recipe/sections.h"

static const char *const alike[] = {"name", "seed", "data.path", "train.device", "train.threads", "train.workers", "train.log_every",
                                    "train.save_every", "train.recompute", NULL};

typedef struct comparison {
    ghl_group *groups; /* [count] */
    int count, capacity;
    ghl_sheet sheets[2]; /* figures, settings */
    ghl_chart charts[GHL_CURVES];
} comparison;

/* ---- Which runs belong together ---- */

static void name_group(ghl_group *group, const char *folder, const char *phase)
{
    size_t length = strlen(folder), start;
    while (length > 1 && folder[length - 1] == '/')
        length--;
    for (start = length; start > 0 && folder[start - 1] != '/';)
        start--;
    snprintf(group->name, sizeof group->name, "%.*s%s%s", (int)(length - start), folder + start, phase != NULL ? " " : "",
             phase != NULL ? phase : "");
}

/* Reads the run, or a phase of it, into a group of its own, and joins it to the first that it belongs to. */
static ghl_status take(comparison *c, const char *folder, const char *phase)
{
    GHL_TRY(GHL_GROW(c->groups, c->capacity, c->count + 1));
    ghl_group *own = &c->groups[c->count++];
    name_group(own, folder, phase);
    GHL_TRY(ghl_group_add(own, folder, phase));
    for (ghl_group *group = c->groups; group < own; group++) {
        const char *theirs = group->records[0].phase;
        if (strcmp(theirs != NULL ? theirs : "", phase != NULL ? phase : "") != 0)
            continue;
        ghl_text names = {0};
        int different = 0;
        ghl_status status = ghl_recipe_difference(group->records[0].recipe, own->records[0].recipe, alike, &names, &different);
        ghl_text_release(&names);
        GHL_TRY(status);
        if (different > 0)
            continue;
        GHL_TRY(GHL_GROW(group->records, group->capacity, group->count + 1));
        group->records[group->count++] = own->records[0];
        own->count = 0;
        ghl_group_release(own);
        c->count--;
        break;
    }
    return GHL_OK;
}

static ghl_status take_run(comparison *c, const char *folder)
{
    ghl_record whole;
    int tested = 0;
    ghl_status status = ghl_record_read(folder, NULL, &whole);
    for (int i = 0; i < whole.n_phases; i++)
        tested += !isnan(whole.phases[i].best_top1);
    for (int i = 0; status == GHL_OK && tested > 1 && i < whole.n_phases; i++)
        if (!isnan(whole.phases[i].best_top1))
            status = take(c, folder, whole.phases[i].name);
    ghl_record_release(&whole);
    return status == GHL_OK && tested < 2 ? take(c, folder, NULL) : status;
}

/* ---- The settings that differ ---- */

/* Keys, as a list "a, b", in which any group differs from the first. */
static ghl_status different_keys(const comparison *c, ghl_text *keys)
{
    for (int i = 1; i < c->count; i++) {
        ghl_text names = {0};
        int n = 0;
        ghl_status status = ghl_recipe_difference(c->groups[0].records[0].recipe, c->groups[i].records[0].recipe, alike, &names, &n);
        if (status == GHL_OK)
            status = ghl_text_end(&names);
        if (status == GHL_OK)
            ghl_text_add(keys, "%s%s", keys->length > 0 && n > 0 ? ", " : "", names.data);
        ghl_text_release(&names);
        GHL_TRY(status);
    }
    return ghl_text_end(keys);
}

static ghl_status add_setting(const comparison *c, const char *key, ghl_sheet *sheet)
{
    ghl_sheet_text(sheet, "%s", key);
    for (int i = 0; i < c->count; i++) {
        ghl_text text = {0};
        const ghl_value *value = ghl_record_find(c->groups[i].records[0].tree, key);
        if (value != NULL)
            ghl_value_print(value, &text);
        GHL_TRY(ghl_text_end(&text));
        ghl_sheet_text(sheet, "%s", text.data);
        ghl_text_release(&text);
    }
    return GHL_OK;
}

static ghl_status fill_settings(const comparison *c, ghl_sheet *sheet)
{
    ghl_text keys = {0};
    ghl_status status = different_keys(c, &keys);
    sheet->title = "Settings that differ";
    ghl_sheet_column(sheet, "setting", 0);
    for (int i = 0; i < c->count; i++)
        ghl_sheet_column(sheet, c->groups[i].name, 0);
    for (char *key = keys.data, *end; status == GHL_OK && key[0] != '\0'; key = end) {
        end = key + strcspn(key, ",");
        size_t length = (size_t)(end - key);
        end += strspn(end, ", ");
        bool again = false; /* among the keys before it */
        for (const char *k = keys.data; k < key; k += strcspn(k, ","), k += strspn(k, ", "))
            again = again || (strcspn(k, ",") == length && strncmp(k, key, length) == 0);
        char *copy = NULL;
        status = again ? GHL_OK : GHL_NEW(copy, length + 1);
        if (status == GHL_OK && !again)
            status = add_setting(c, memcpy(copy, key, length), sheet);
        free(copy);
    }
    ghl_text_release(&keys);
    return status;
}

/* ---- The whole ---- */

static void fill_figures(const comparison *c, ghl_sheet *sheet)
{
    sheet->title = "Runs";
    ghl_sheet_column(sheet, "run", 0);
    ghl_group_columns(sheet);
    for (int i = 0; i < c->count; i++) {
        ghl_sheet_text(sheet, "%s", c->groups[i].name);
        ghl_group_cells(sheet, &c->groups[i]);
    }
    ghl_group_notes(sheet, c->groups, c->count);
}

static ghl_status compare(comparison *c, int n, const char *const *runs, const ghl_compare_options *options, const ghl_host *host)
{
    for (int i = 0; i < n; i++) {
        for (int k = 0; k < i; k++)
            if (strcmp(runs[i], runs[k]) == 0)
                return ghl_fail(GHL_USAGE, "name each run once", "%s is named twice", runs[i]);
        GHL_TRY(take_run(c, runs[i]));
    }
    fill_figures(c, &c->sheets[0]);
    GHL_TRY(fill_settings(c, &c->sheets[1]));
    GHL_TRY(ghl_group_curves(c->groups, c->count, c->charts));
    ghl_report report = {.folder = options->output != NULL ? options->output : "runs/compare", .name = "compare", .title = "Runs compared",
                         .sheets = c->sheets, .charts = c->charts, .n_charts = GHL_CURVES,
                         .n_sheets = c->sheets[1].n_cells > c->sheets[1].columns ? 2 : 1};
    GHL_TRY(ghl_report_write(&report));
    ghl_tell(host, GHL_LEVEL_INFO, "curves are in %s/compare.html", report.folder);
    if (options->probes)
        return ghl_group_probes(c->groups, c->count, &report, options->json, host);
    return ghl_report_show(&report, options->json, host);
}

ghl_status ghl_runs_compare(int n, const char *const *runs, const ghl_compare_options *options, const ghl_host *host)
{
    static const ghl_compare_options none = {0};
    comparison c = {0};
    ghl_failure failure;
    if (n < 1)
        return ghl_fail(GHL_USAGE, "name the folders of runs", "no run to compare");
    ghl_failure_take(&failure, compare(&c, n, runs, options != NULL ? options : &none, host));
    for (int i = 0; i < c.count; i++)
        ghl_group_release(&c.groups[i]);
    for (int i = 0; i < 2; i++)
        ghl_sheet_release(&c.sheets[i]);
    for (int i = 0; i < GHL_CURVES; i++)
        ghl_chart_release(&c.charts[i]);
    free(c.groups);
    return failure.status == GHL_OK ? GHL_OK : ghl_failure_raise(&failure);
}
