/* SPDX-License-Identifier: Apache-2.0
 *
 * chart.h - a line chart as SVG, and the HTML page that tables and charts stand on.
 */
#ifndef GHL_METRIC_CHART_H
#define GHL_METRIC_CHART_H

#include "metric/sheet.h"

/* A line through points; NAN in y leaves a gap. */
typedef struct ghl_series {
    char name[160];
    int colour, dash; /* numbers; until they are set, a line has a pair of its own */
    double *x, *y;    /* [count] */
    int count, x_capacity, y_capacity;
} ghl_series;

typedef struct ghl_chart {
    const char *name, *title, *x_label, *y_label; /* borrowed; name: of its file */
    const char *note;                      /* beside the title, where there is room; NULL: none */
    bool markers;                          /* a dot at each point: for few of them */
    ghl_series *series;
    int count, capacity;
} ghl_chart;

/* The series of that name, made where there is none; GHL_MEMORY. */
ghl_status ghl_chart_series(ghl_chart *chart, const char *name, ghl_series **out);
ghl_status ghl_series_add(ghl_series *series, double x, double y);
/* Points that are not finite are left out; a chart without any point prints nothing and returns false. */
bool ghl_chart_svg(const ghl_chart *chart, ghl_text *text);
void ghl_chart_release(ghl_chart *chart);

/* A page with its own style: nothing else is fetched. */
void ghl_page_begin(ghl_text *text, const char *title);
void ghl_page_end(ghl_text *text);

#endif
