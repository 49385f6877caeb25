/* SPDX-License-Identifier: Apache-2.0
 *
 * Groups of runs, their means, and the files of a report. See report.h.
 */
#include "command/report.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/files.h"
#include "command/result.h"

/* ---- Groups ---- */

ghl_status ghl_group_add(ghl_group *group, const char *folder, const char *phase)
{
    GHL_TRY(GHL_GROW(group->records, group->capacity, group->count + 1));
    return ghl_record_read(folder, phase, &group->records[group->count++]);
}

void ghl_group_release(ghl_group *group)
{
    for (int i = 0; i < group->count; i++)
        ghl_record_release(&group->records[i]);
    free(group->records);
    *group = (ghl_group){0};
}

static double figure(const ghl_record *record, int of)
{
    const double figures[] = {
        [GHL_OF_LAST] = record->last_top1,
        [GHL_OF_BEST] = record->best_top1,
        [GHL_OF_BEST_EPOCH] = record->best_epoch > 0 ? (double)record->best_epoch : NAN,
        [GHL_OF_EPOCHS] = record->count > 0 ? record->columns[GHL_RECORD_EPOCH].values[record->count - 1] : NAN,
        [GHL_OF_SPEED] = record->images_per_s,
        [GHL_OF_HOURS] = record->seconds / 3600,
    };
    return figures[of];
}

double ghl_group_mean(const ghl_group *group, int of)
{
    double sum = 0;
    int n = 0;
    for (int i = 0; i < group->count; i++) {
        double value = figure(&group->records[i], of);
        sum += isnan(value) ? 0 : value;
        n += !isnan(value);
    }
    return n > 0 ? sum / n : NAN;
}

double ghl_group_deviation(const ghl_group *group, int of)
{
    double mean = ghl_group_mean(group, of), sum = 0;
    int n = 0;
    for (int i = 0; i < group->count; i++) {
        double apart = figure(&group->records[i], of) - mean;
        sum += isnan(apart) ? 0 : apart * apart;
        n += !isnan(apart);
    }
    return n > 1 ? sqrt(sum / (n - 1)) : NAN;
}

/* ---- A row of a sheet ---- */

static const struct {
    const char *name;
    int of, decimals;
    bool deviation; /* of what stands before */
} columns[] = {
    {"last", GHL_OF_LAST, 2, false},        {"last_sd", GHL_OF_LAST, 2, true},     {"best", GHL_OF_BEST, 2, false},
    {"best_sd", GHL_OF_BEST, 2, true},      {"epoch", GHL_OF_BEST_EPOCH, 1, false}, {"epochs", GHL_OF_EPOCHS, 0, false},
    {"images_per_s", GHL_OF_SPEED, 1, false}, {"hours", GHL_OF_HOURS, 2, false},
};
enum { COLUMNS = sizeof columns / sizeof *columns };

void ghl_group_columns(ghl_sheet *sheet)
{
    for (int i = 0; i < COLUMNS; i++)
        ghl_sheet_column(sheet, columns[i].name, GHL_SHEET_FIGURE);
    ghl_sheet_column(sheet, "n", GHL_SHEET_FIGURE);
}

void ghl_group_cells(ghl_sheet *sheet, const ghl_group *group)
{
    for (int i = 0; i < COLUMNS; i++) {
        double value = (columns[i].deviation ? ghl_group_deviation : ghl_group_mean)(group, columns[i].of);
        bool whole = value == floor(value) && columns[i].of == GHL_OF_BEST_EPOCH;
        ghl_sheet_real(sheet, value, whole ? 0 : columns[i].decimals);
    }
    ghl_sheet_real(sheet, group->count, 0);
}

void ghl_group_notes(ghl_sheet *sheet, const ghl_group *groups, int n)
{
    int runs = 0, few = 0;
    for (int i = 0; i < n; i++) {
        runs += groups[i].count > 0;
        few += groups[i].count > 0 && groups[i].count < GHL_GROUP_FEW;
    }
    ghl_sheet_note(sheet, "top-1 accuracy in per cent, mean over n seeds; last: after the last epoch; best: of the best test epoch, whose "
                          "number is epoch; sd: of the sample");
    if (few > 0)
        ghl_sheet_note(sheet, "preliminary: %s of %d with results %s n < %d", few == runs ? "all" : "some", runs, few == 1 ? "has" : "have",
                       GHL_GROUP_FEW);
}

/* ---- Lines of charts ---- */

/* Mean over the runs that have the row. */
static ghl_status add_curve(const ghl_group *group, int column, ghl_chart *chart)
{
    ghl_series *series = NULL;
    int rows = 0;
    for (int i = 0; i < group->count; i++)
        rows = group->records[i].count > rows ? group->records[i].count : rows;
    if (rows > 0)
        GHL_TRY(ghl_chart_series(chart, group->name, &series));
    for (int row = 0; row < rows; row++) {
        double sum = 0, epoch = row + 1;
        int n = 0;
        for (int i = 0; i < group->count; i++) {
            const ghl_record *record = &group->records[i];
            if (row < record->count && !isnan(record->columns[column].values[row])) {
                sum += record->columns[column].values[row];
                n++;
            }
        }
        GHL_TRY(ghl_series_add(series, epoch, n > 0 ? sum / n : NAN));
    }
    return GHL_OK;
}

ghl_status ghl_group_curves(const ghl_group *groups, int n, ghl_chart charts[GHL_CURVES])
{
    static const int shown[GHL_CURVES] = {GHL_RECORD_TEST_TOP1, GHL_RECORD_TRAIN_LOSS};
    charts[0] = (ghl_chart){.name = "accuracy", .title = "Test accuracy", .x_label = "epoch", .y_label = "top-1, per cent"};
    charts[1] = (ghl_chart){.name = "loss", .title = "Training loss", .x_label = "epoch", .y_label = "cross entropy"};
    for (int c = 0; c < GHL_CURVES; c++)
        for (int i = 0; i < n; i++)
            GHL_TRY(add_curve(&groups[i], shown[c], &charts[c]));
    return GHL_OK;
}

/* ---- Files ---- */

static ghl_status write_file(const ghl_report *report, const char *suffix, ghl_status made, ghl_text *text)
{
    char name[512], path[4096];
    ghl_status status = made;
    if (status == GHL_OK)
        status = ghl_text_end(text);
    snprintf(name, sizeof name, "%s%s", report->name, suffix);
    if (status == GHL_OK)
        status = ghl_path_join(path, report->folder, name);
    if (status == GHL_OK)
        status = ghl_file_write(path, 1, &(ghl_span){.data = text->data, .size = text->length});
    ghl_text_release(text);
    return status;
}

static ghl_status print_sheets(const ghl_report *report, const char *format, int n, ghl_text *text)
{
    for (int i = 0; i < n; i++) {
        ghl_text_add(text, i > 0 ? "\n" : "");
        GHL_TRY(ghl_sheet_print(&report->sheets[i], ghl_sheet_find(format), text));
    }
    return GHL_OK;
}

ghl_status ghl_report_write(const ghl_report *report)
{
    ghl_text text = {0}, svg = {0};
    GHL_TRY(ghl_folder_make(report->folder));
    GHL_TRY(write_file(report, ".csv", print_sheets(report, "csv", 1, &text), &text));
    GHL_TRY(write_file(report, ".md", print_sheets(report, "md", report->n_sheets, &text), &text));
    ghl_page_begin(&text, report->title);
    ghl_status status = print_sheets(report, "html", report->n_sheets, &text);
    for (int i = 0; status == GHL_OK && i < report->n_charts; i++) {
        char suffix[256];
        snprintf(suffix, sizeof suffix, "-%s.svg", report->charts[i].name);
        if (!ghl_chart_svg(&report->charts[i], &svg))
            continue;
        status = ghl_text_end(&svg);
        if (status == GHL_OK)
            ghl_text_append(&text, svg.data, svg.length);
        status = write_file(report, suffix, status, &svg);
    }
    ghl_page_end(&text);
    return write_file(report, ".html", status, &text);
}

ghl_status ghl_report_show(const ghl_report *report, bool json, const ghl_host *host)
{
    ghl_text text = {0};
    ghl_status status = print_sheets(report, json ? "json" : "text", json ? 1 : report->n_sheets, &text);
    return ghl_result_text(status, host, &text);
}
