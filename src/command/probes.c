/* SPDX-License-Identifier: Apache-2.0
 *
 * What probes measured, for people: of the many columns in metrics.csv, a row a layer. See ghl_group_probes in report.h.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "command/report.h"
#include "probe/probe.h"

static const char *layer_of(const ghl_record_column *column)
{
    return strchr(column->name, '/') + 1;
}

/* Mean over the epochs that were read. */
static double over_epochs(const ghl_record *record, int column)
{
    double sum = 0;
    int n = 0;
    for (int i = 0; i < record->count; i++) {
        const double value = record->columns[column].values[i];
        sum += isnan(value) ? 0 : value;
        n += !isnan(value);
    }
    return n > 0 ? sum / n : NAN;
}

/* And over the runs of a group, whose columns are the same; those of a run without probes end before. */
static double over_runs(const ghl_group *group, int column)
{
    double sum = 0;
    int n = 0;
    for (int i = 0; i < group->count; i++) {
        const double value = column < group->records[i].n_columns ? over_epochs(&group->records[i], column) : NAN;
        sum += isnan(value) ? 0 : value;
        n += !isnan(value);
    }
    return n > 0 ? sum / n : NAN;
}

/* Figure i of all probes; NULL behind the last. */
static const char *figure_at(int i)
{
    const ghl_probe *probe;
    for (int p = 0; (probe = (const ghl_probe *)ghl_registry_at(&ghl_probes, p)) != NULL; p++)
        for (int f = 0; probe->figures[f] != NULL; f++)
            if (i-- == 0)
                return probe->figures[f];
    return NULL;
}

/* Its mean, from the columns [first, end) of a layer. */
static void add_figure(const ghl_group *group, const ghl_record *record, int first, int end, const char *figure, ghl_sheet *sheet)
{
    const size_t length = strlen(figure);
    double value = NAN;
    for (int c = first; c < end; c++)
        if (strncmp(record->columns[c].name, figure, length) == 0 && record->columns[c].name[length] == '/')
            value = over_runs(group, c);
    if (isnan(value))
        ghl_sheet_real(sheet, value, 0);
    else
        ghl_sheet_text(sheet, "%.3g", value);
}

static int add_layers(const ghl_group *group, ghl_sheet *sheet)
{
    const ghl_record *record = group->records;
    const char *figure;
    int rows = 0, end;
    for (int i = 1; i < group->count; i++)
        if (group->records[i].n_columns > record->n_columns)
            record = &group->records[i];
    for (int first = GHL_RECORD_COLUMNS; group->count > 0 && first < record->n_columns; first = end) {
        const char *name = layer_of(&record->columns[first]);
        for (end = first + 1; end < record->n_columns && strcmp(layer_of(&record->columns[end]), name) == 0;)
            end++;
        ghl_sheet_text(sheet, "%s", group->name);
        ghl_sheet_text(sheet, "%s", name);
        for (int i = 0; (figure = figure_at(i)) != NULL; i++)
            add_figure(group, record, first, end, figure, sheet);
        rows++;
    }
    return rows;
}

ghl_status ghl_group_probes(const ghl_group *groups, int n, const ghl_report *beside, bool json, const ghl_host *host)
{
    char name[200];
    int rows = 0;
    ghl_sheet sheet = {.title = "What probes measured"};
    snprintf(name, sizeof name, "%.180s-probes", beside->name);
    ghl_sheet_column(&sheet, "run", 0);
    ghl_sheet_column(&sheet, "layer", 0);
    for (int i = 0; figure_at(i) != NULL; i++)
        ghl_sheet_column(&sheet, figure_at(i), GHL_SHEET_FIGURE);
    for (int i = 0; i < n; i++)
        rows += add_layers(&groups[i], &sheet);
    ghl_sheet_note(&sheet, "means over epochs and seeds; \"ghl list probes\" says what they are");
    const ghl_report report = {.folder = beside->folder, .name = name, .title = beside->title, .sheets = &sheet, .n_sheets = 1};
    ghl_status status = rows > 0 ? ghl_report_write(&report)
                                 : ghl_fail(GHL_RUN, "train with train.probes=true", "no run has figures of probes");
    if (status == GHL_OK)
        status = ghl_report_show(&report, json, host);
    ghl_sheet_release(&sheet);
    return status;
}
