/* SPDX-License-Identifier: Apache-2.0
 *
 * report.h - what compare and reproduce share: runs that differ by their seed are a group, a group is a row of a sheet and a line of a
 * chart; sheets and charts become files.
 */
#ifndef GHL_COMMAND_REPORT_H
#define GHL_COMMAND_REPORT_H

#include "command/record.h"
#include "train/training.h"

typedef struct ghl_group {
    char name[160];
    ghl_record *records; /* [count] */
    int count, capacity;
} ghl_group;

/* What a group has a mean of. */
enum { GHL_OF_LAST, GHL_OF_BEST, GHL_OF_BEST_EPOCH, GHL_OF_EPOCHS, GHL_OF_SPEED, GHL_OF_HOURS };
enum { GHL_GROUP_FEW = 5 }; /* fewer seeds than that: preliminary */

ghl_status ghl_group_add(ghl_group *group, const char *folder, const char *phase); /* reads a run (record.h) */
void ghl_group_release(ghl_group *group);
double ghl_group_mean(const ghl_group *group, int of);      /* NAN: no run knows it */
double ghl_group_deviation(const ghl_group *group, int of); /* of the sample, n - 1; NAN: fewer than two runs */

/* The columns of a group: last, best (each with its deviation), best_epoch, epochs, n, images_per_s, hours; and its cells. */
void ghl_group_columns(ghl_sheet *sheet);
void ghl_group_cells(ghl_sheet *sheet, const ghl_group *group);
void ghl_group_notes(ghl_sheet *sheet, const ghl_group *groups, int n); /* what the columns mean, what is preliminary */
/* Charts of test accuracy and training loss over epochs, a line a group: the mean over its runs. Release the charts also after an error. */
enum { GHL_CURVES = 2 };
ghl_status ghl_group_curves(const ghl_group *groups, int n, ghl_chart charts[GHL_CURVES]);

typedef struct ghl_report {
    const char *folder, *name; /* files FOLDER/NAME.csv (of the first sheet), .md, .html, and NAME-CHART.svg */
    const char *title;
    const ghl_sheet *sheets; /* [n_sheets] */
    int n_sheets;
    const ghl_chart *charts; /* [n_charts] */
    int n_charts;
} ghl_report;
ghl_status ghl_report_write(const ghl_report *report);
/* The sheets to the host's result: text, or json of the first. */
ghl_status ghl_report_show(const ghl_report *report, bool json, const ghl_host *host);
/* What probes measured: a row a layer of each group, figures' means over epochs and seeds; to the host, and into files NAME-probes beside
 * those of the report. GHL_RUN where no run has any. */
ghl_status ghl_group_probes(const ghl_group *groups, int n, const ghl_report *beside, bool json, const ghl_host *host);

#endif
