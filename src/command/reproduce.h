/* SPDX-License-Identifier: Apache-2.0
 *
 * reproduce.h - a published table under way, for the files that share it: reproduce.c (from start to end), reproduce_runs.c (rows become
 * runs), reproduce_table.c (what is printed).
 */
#ifndef GHL_COMMAND_REPRODUCE_H
#define GHL_COMMAND_REPRODUCE_H

#include "command/points.h"
#include "command/table_file.h"

/* A row: its points are those from `first` on in ghl_reproduction.all. */
typedef struct ghl_row_state {
    char recipe[4096];   /* its file */
    bool built, chosen;  /* the recipe exists; its runs are to be trained */
    bool no_data;        /* and cannot be, for want of data */
    int first, count;
} ghl_row_state;

/* Where rows take their images from: read once, to see whether they are there. */
typedef struct ghl_data_source {
    const ghl_descriptor *kind;
    char *path;
    ghl_failure failure;
} ghl_data_source;

typedef struct ghl_reproduction {
    const ghl_reproduce_options *options;
    const char *recipes, *pattern; /* folder; which rows: NULL: all */
    const char *const *settings;   /* [n_settings] of all recipes */
    int n_settings;
    ghl_table table;
    ghl_row_state *rows; /* [table.count] */
    ghl_points all;
    ghl_data_source *sources;
    int n_sources, sources_capacity;
    char *name; /* of the table's files: "table1", and what was changed in its recipes */
} ghl_reproduction;

/* reproduce_runs.c */
ghl_status ghl_reproduction_load(ghl_reproduction *r);   /* rows and points, every recipe checked */
ghl_status ghl_reproduction_sources(ghl_reproduction *r); /* leaves out rows without data, with a warning for each data set */

/* reproduce_table.c */
ghl_status ghl_reproduction_report(const ghl_reproduction *r, bool show); /* writes the files; show: and hands the table to the host */
ghl_status ghl_tables_list(const char *recipes, bool json, const ghl_host *host);

#endif
