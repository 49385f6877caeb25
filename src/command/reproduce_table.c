/* SPDX-License-Identifier: Apache-2.0
 *
 * What is printed of a table: the published number, ours, the difference, and how far the row is. See reproduce.h.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "command/report.h"
#include "command/reproduce.h"

enum { CURVES_MOST = 20 }; /* more lines than that are none that anybody can tell apart */

typedef struct page {
    ghl_group *groups; /* [rows] */
    ghl_sheet sheet;
    ghl_chart *charts;
    int n_charts, capacity;
} page;

/* ---- Rows ---- */

/* The runs of a row that are over and finite. */
static ghl_status read_runs(const ghl_reproduction *r, int number, ghl_group *group)
{
    const ghl_row_state *state = &r->rows[number];
    const ghl_table_row *row = &r->table.rows[number];
    snprintf(group->name, sizeof group->name, "%s", row->row);
    for (int i = 0; i < state->count; i++) {
        char folder[4096];
        const ghl_point *point = &r->all.items[state->first + i];
        if (point->status != GHL_POINT_DONE)
            continue;
        GHL_TRY(ghl_path_join(folder, r->all.folder, point->name));
        GHL_TRY(ghl_group_add(group, folder, row->phase[0] != '\0' ? row->phase : NULL));
    }
    return GHL_OK;
}

static bool is_begun(const ghl_reproduction *r, const ghl_point *point)
{
    char folder[4096], path[4096];
    return ghl_path_join(folder, r->all.folder, point->name) == GHL_OK && ghl_path_join(path, folder, "state") == GHL_OK &&
           ghl_file_exists(path);
}

static const char *row_status(const ghl_reproduction *r, const ghl_row_state *state, int done)
{
    int nan = 0;
    bool begun = false;
    for (int i = 0; i < state->count; i++) {
        const ghl_point *point = &r->all.items[state->first + i];
        nan += point->status == GHL_POINT_NAN;
        begun = begun || (point->status == GHL_POINT_OPEN && is_begun(r, point));
    }
    if (done > 0)
        return nan > 0 ? "some are nan" : done < GHL_GROUP_FEW ? "preliminary" : "done";
    return !state->built ? "not built" : nan > 0 ? "nan" : begun ? "under way" : state->no_data ? "no data" : "not run";
}

static bool has_phases(const ghl_table *table)
{
    bool found = false;
    for (int i = 0; i < table->count; i++)
        found = found || table->rows[i].phase[0] != '\0';
    return found;
}

/* "head5"; where seeds differ in which is the best, all of them. */
static void phase_cell(ghl_sheet *sheet, const ghl_group *group)
{
    char names[200] = "";
    for (int i = 0; i < group->count; i++) {
        const char *phase = group->records[i].phase;
        const size_t n = strlen(names);
        bool again = phase == NULL;
        for (int k = 0; k < i && !again; k++)
            again = strcmp(group->records[k].phase, phase) == 0;
        if (!again)
            snprintf(names + n, sizeof names - n, "%s%s", n > 0 ? " " : "", phase);
    }
    ghl_sheet_text(sheet, "%s", names);
}

static void fill(const ghl_reproduction *r, page *p)
{
    const bool phases = has_phases(&r->table);
    ghl_sheet *sheet = &p->sheet;
    sheet->title = r->table.title;
    ghl_sheet_column(sheet, "row", 0);
    ghl_sheet_column(sheet, "network", GHL_SHEET_ASIDE);
    ghl_sheet_column(sheet, "method", GHL_SHEET_ASIDE);
    ghl_sheet_column(sheet, "data", GHL_SHEET_ASIDE);
    if (phases)
        ghl_sheet_column(sheet, "phase", 0);
    ghl_sheet_column(sheet, "paper", GHL_SHEET_FIGURE);
    ghl_group_columns(sheet);
    ghl_sheet_column(sheet, "difference", GHL_SHEET_FIGURE);
    ghl_sheet_column(sheet, "status", 0);
    for (int i = 0; i < r->table.count; i++) {
        const ghl_table_row *row = &r->table.rows[i];
        double paper = row->paper > 0 ? row->paper : NAN;
        ghl_sheet_text(sheet, "%s", row->row);
        ghl_sheet_text(sheet, "%s", row->network);
        ghl_sheet_text(sheet, "%s", row->method);
        ghl_sheet_text(sheet, "%s", row->data);
        if (phases)
            phase_cell(sheet, &p->groups[i]);
        ghl_sheet_real(sheet, paper, 2);
        ghl_group_cells(sheet, &p->groups[i]);
        ghl_sheet_real(sheet, ghl_group_mean(&p->groups[i], GHL_OF_BEST) - paper, 2);
        ghl_sheet_text(sheet, "%s", row_status(r, &r->rows[i], p->groups[i].count));
    }
}

static void add_notes(const ghl_reproduction *r, page *p)
{
    const ghl_table *table = &r->table;
    double scale = r->options->epochs_scale;
    ghl_group_notes(&p->sheet, p->groups, table->count);
    ghl_sheet_note(&p->sheet, "paper: %s; difference: best - paper", table->source);
    if (has_phases(table))
        ghl_sheet_note(&p->sheet, "phase: the row is of that phase of its run, as of a head on one of the layers; hours: of the whole");
    if (scale > 0 && scale != 1)
        ghl_sheet_note(&p->sheet, "shortened: --epochs-scale %g of the recipes' epochs; not the published schedule", scale);
    if (r->n_settings > 0) {
        ghl_text text = {0};
        for (int i = 0; i < r->n_settings; i++)
            ghl_text_add(&text, " %s", r->settings[i]);
        p->sheet.failed = ghl_text_end(&text) != GHL_OK || p->sheet.failed;
        ghl_sheet_note(&p->sheet, "changed in every recipe:%s", text.data != NULL ? text.data : "");
        ghl_text_release(&text);
    }
    for (int i = 0; i < table->count; i++)
        if (table->rows[i].note[0] != '\0')
            ghl_sheet_note(&p->sheet, "%s: %s", table->rows[i].row, table->rows[i].note);
}

/* ---- Charts ---- */

static ghl_status find_chart(const ghl_reproduction *r, page *p, const char *name, ghl_chart **out)
{
    for (int i = 0; i < p->n_charts; i++)
        if (strcmp(p->charts[i].name, name) == 0) {
            *out = &p->charts[i];
            return GHL_OK;
        }
    GHL_TRY(GHL_GROW(p->charts, p->capacity, p->n_charts + 1));
    *out = &p->charts[p->n_charts++];
    **out = (ghl_chart){.name = name, .title = name, .note = r->table.title, .x_label = r->table.axis,
                        .y_label = "best test top-1, per cent", .markers = true};
    return GHL_OK;
}

static const char *method_of(const ghl_table_row *row)
{
    return row->method;
}

/* "relu" of line "GHL relu" of method GHL. */
static const char *line_of(const ghl_table_row *row)
{
    const size_t n = strlen(row->method);
    return n > 0 && strncmp(row->line, row->method, n) == 0 && row->line[n] == ' ' ? row->line + n + 1 : row->line;
}

/* How many other values the rows of its chart have before the row's own value comes first. */
static int rank(const ghl_table *table, const ghl_table_row *row, const char *(*value)(const ghl_table_row *))
{
    int n = 0;
    for (const ghl_table_row *other = table->rows; other < row && strcmp(value(other), value(row)) != 0; other++) {
        bool first = strcmp(other->chart, row->chart) == 0;
        for (const ghl_table_row *before = table->rows; first && before < other; before++)
            first = strcmp(before->chart, row->chart) != 0 || strcmp(value(before), value(other)) != 0;
        n += first;
    }
    return n;
}

/* Lines that differ by their method alone have the same colour, those of a method the same dashes. */
static ghl_status add_charts(const ghl_reproduction *r, page *p)
{
    for (int i = 0; i < r->table.count; i++) {
        const ghl_table_row *row = &r->table.rows[i];
        ghl_chart *chart = NULL;
        ghl_series *series = NULL;
        if (row->chart[0] == '\0' || p->groups[i].count == 0)
            continue;
        GHL_TRY(find_chart(r, p, row->chart, &chart));
        GHL_TRY(ghl_chart_series(chart, row->line, &series));
        series->colour = rank(&r->table, row, line_of);
        series->dash = rank(&r->table, row, method_of);
        GHL_TRY(ghl_series_add(series, row->at, ghl_group_mean(&p->groups[i], GHL_OF_BEST)));
    }
    if (r->table.count > CURVES_MOST)
        return GHL_OK;
    GHL_TRY(GHL_GROW(p->charts, p->capacity, p->n_charts + GHL_CURVES));
    p->n_charts += GHL_CURVES;
    return ghl_group_curves(p->groups, r->table.count, p->charts + p->n_charts - GHL_CURVES);
}

/* ---- The whole ---- */

static ghl_status make_page(const ghl_reproduction *r, page *p)
{
    GHL_TRY(GHL_NEW(p->groups, r->table.count));
    for (int i = 0; i < r->table.count; i++)
        GHL_TRY(read_runs(r, i, &p->groups[i]));
    fill(r, p);
    add_notes(r, p);
    return add_charts(r, p);
}

ghl_status ghl_reproduction_report(const ghl_reproduction *r, bool show)
{
    page p = {0};
    ghl_failure failure;
    ghl_status status = make_page(r, &p);
    ghl_report report = {.folder = r->all.folder, .name = r->name, .title = r->table.title, .sheets = &p.sheet, .n_sheets = 1,
                         .charts = p.charts, .n_charts = p.n_charts};
    if (status == GHL_OK)
        status = ghl_report_write(&report);
    if (status == GHL_OK && show && r->options->probes)
        status = ghl_group_probes(p.groups, r->table.count, &report, r->options->json, r->all.host);
    else if (status == GHL_OK && show)
        status = ghl_report_show(&report, r->options->json, r->all.host);
    ghl_failure_take(&failure, status);
    for (int i = 0; p.groups != NULL && i < r->table.count; i++)
        ghl_group_release(&p.groups[i]);
    for (int i = 0; i < p.n_charts; i++)
        ghl_chart_release(&p.charts[i]);
    free(p.groups);
    free(p.charts);
    ghl_sheet_release(&p.sheet);
    return status == GHL_OK ? GHL_OK : ghl_failure_raise(&failure);
}

static ghl_status list_rows(const char *recipes, const char *name, ghl_sheet *sheet)
{
    ghl_table table;
    ghl_status status = ghl_table_read(recipes, name, &table);
    for (int i = 0; status == GHL_OK && i < table.count; i++) {
        char file[512], path[4096];
        snprintf(file, sizeof file, "%.400s.yaml", table.rows[i].recipe);
        status = ghl_path_join(path, recipes, file);
        ghl_sheet_text(sheet, "%s/%s", name, table.rows[i].row);
        ghl_sheet_real(sheet, table.rows[i].paper > 0 ? table.rows[i].paper : NAN, 2);
        ghl_sheet_text(sheet, "%s", status == GHL_OK && ghl_file_exists(path) ? path : "not built");
    }
    ghl_table_release(&table);
    return status;
}

ghl_status ghl_tables_list(const char *recipes, bool json, const ghl_host *host)
{
    char **names = NULL;
    int count = 0;
    ghl_sheet sheet = {0};
    ghl_failure failure;
    GHL_TRY(ghl_table_names(recipes, &names, &count));
    ghl_sheet_column(&sheet, "row", 0);
    ghl_sheet_column(&sheet, "paper", GHL_SHEET_FIGURE);
    ghl_sheet_column(&sheet, "recipe", 0);
    ghl_status status = GHL_OK;
    for (int i = 0; status == GHL_OK && i < count; i++)
        status = list_rows(recipes, names[i], &sheet);
    ghl_report report = {.sheets = &sheet, .n_sheets = 1};
    if (status == GHL_OK)
        status = ghl_report_show(&report, json, host);
    ghl_failure_take(&failure, status);
    ghl_sheet_release(&sheet);
    ghl_table_names_free(names, count);
    return status == GHL_OK ? GHL_OK : ghl_failure_raise(&failure);
}
