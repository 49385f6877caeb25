/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of a sweep, the best point first: sweep.csv, text, JSON.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "command/result.h"
#include "command/sweep.h"
#include "metric/sheet.h"

/* NAN and NaN points come last; among equals the grid's order. */
static bool better(const ghl_point *a, const ghl_point *b)
{
    if (a->status != b->status && (a->status == GHL_POINT_DONE || b->status == GHL_POINT_DONE))
        return a->status == GHL_POINT_DONE;
    double x = a->figures[GHL_FIGURE_BEST_TOP1], y = b->figures[GHL_FIGURE_BEST_TOP1];
    return isnan(y) ? !isnan(x) : x > y;
}

/* The points that are over, the best first. */
static int sort(const ghl_sweep_state *s)
{
    int n = 0;
    for (int i = 0; i < s->all.count; i++) {
        const ghl_point *point = &s->all.items[i];
        int k = n;
        if (point->status == GHL_POINT_OPEN)
            continue;
        for (; k > 0 && better(point, s->sorted[k - 1]); k--)
            s->sorted[k] = s->sorted[k - 1];
        s->sorted[k] = point;
        n++;
    }
    return n;
}

static const char *value_of(const ghl_sweep_state *s, const ghl_point *point, int row)
{
    return point->settings[row] + strlen(s->grid.rows[row].key) + 1;
}

/* A column for each axis, for each figure, for the status, and for the folder. */
static void fill(const ghl_sweep_state *s, int n, ghl_sheet *sheet)
{
    const ghl_grid *grid = &s->grid;
    for (int row = 0; row < grid->n; row++)
        if (grid->rows[row].count > 1)
            ghl_sheet_column(sheet, grid->rows[row].key, 0);
    for (int i = 0; i < GHL_FIGURES; i++)
        ghl_sheet_column(sheet, ghl_figures[i].name, GHL_SHEET_FIGURE);
    ghl_sheet_column(sheet, "status", 0);
    ghl_sheet_column(sheet, "folder", GHL_SHEET_ASIDE);
    sheet->marked = n > 0 && s->sorted[0]->status == GHL_POINT_DONE;
    for (int i = 0; i < n; i++) {
        const ghl_point *point = s->sorted[i];
        for (int row = 0; row < grid->n; row++)
            if (grid->rows[row].count > 1)
                ghl_sheet_text(sheet, "%s", value_of(s, point, row));
        for (int k = 0; k < GHL_FIGURES; k++)
            ghl_sheet_real(sheet, point->figures[k], ghl_figures[k].decimals);
        ghl_sheet_text(sheet, "%s", ghl_point_status_names[point->status]);
        ghl_sheet_text(sheet, "%s", point->name);
    }
    ghl_sheet_note(sheet, "accuracy on %lld held-out training images; the test set was not looked at", (long long)s->holdout);
}

static ghl_status print(const ghl_sweep_state *s, const char *format, ghl_text *text)
{
    ghl_sheet sheet = {0};
    fill(s, sort(s), &sheet);
    ghl_status status = ghl_sheet_print(&sheet, ghl_sheet_find(format), text);
    ghl_sheet_release(&sheet);
    return status;
}

ghl_status ghl_sweep_csv(const ghl_sweep_state *s)
{
    char path[4096];
    ghl_text text = {0};
    GHL_TRY(ghl_path_join(path, s->all.folder, "sweep.csv"));
    ghl_status status = print(s, "csv", &text);
    if (status == GHL_OK)
        status = ghl_text_end(&text);
    if (status == GHL_OK)
        status = ghl_file_write(path, 1, &(ghl_span){.data = text.data, .size = text.length});
    ghl_text_release(&text);
    return status;
}

static ghl_status report_json(const ghl_sweep_state *s, int n)
{
    ghl_json *json = ghl_json_create(false);
    ghl_json_add_text(json, "folder", s->all.folder);
    ghl_json_add_integer(json, "holdout", s->holdout);
    ghl_json_add_text(json, "best", n > 0 && s->sorted[0]->status == GHL_POINT_DONE ? s->sorted[0]->name : NULL);
    ghl_json *list = ghl_json_add_array(json, "points");
    for (int i = 0; i < n; i++) {
        const ghl_point *point = s->sorted[i];
        ghl_json *o = ghl_json_add_object(list, NULL), *values = NULL;
        ghl_json_add_text(o, "folder", point->name);
        values = ghl_json_add_object(o, "values");
        for (int row = 0; row < s->grid.n; row++)
            if (s->grid.rows[row].count > 1)
                ghl_json_add_text(values, s->grid.rows[row].key, value_of(s, point, row));
        ghl_point_add_figures(o, point);
    }
    return ghl_result_json(GHL_OK, s->all.host, json);
}

ghl_status ghl_sweep_report(const ghl_sweep_state *s)
{
    ghl_text text = {0};
    if (s->options->json)
        return report_json(s, sort(s));
    ghl_status status = print(s, "text", &text);
    return ghl_result_text(status, s->all.host, &text);
}
