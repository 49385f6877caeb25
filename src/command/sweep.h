/* SPDX-License-Identifier: Apache-2.0
 *
 * sweep.h - a grid of trainings, for the files that share it: sweep.c (from start to end), sweep_grid.c (settings become points),
 * sweep_table.c (the table).
 *
 * A setting with several values is an axis; a point is one value of each. Points are numbered with the last axis fastest.
 */
#ifndef GHL_COMMAND_SWEEP_H
#define GHL_COMMAND_SWEEP_H

#include "command/points.h"

enum { GHL_GRID_POINTS = 4096 }; /* most of a grid */

/* A setting as it was given. */
typedef struct ghl_axis {
    char *key;
    char **settings; /* [count] "key=value" */
    int count, capacity;
} ghl_axis;

typedef struct ghl_grid {
    ghl_axis *rows;   /* [n] all settings, in their order; those with count > 1 are the axes */
    int n, axes, points;
} ghl_grid;

/* Commas separate values, but within brackets and double quotes. GHL_USAGE names key and value. Release also after an error. */
ghl_status ghl_grid_parse(int n, const char *const *settings, ghl_grid *out);
void ghl_grid_point(const ghl_grid *grid, int number, const char **settings); /* [grid->n], borrowed */
/* Appends the axes' settings of a point, "learn.conv.lr=1e-2 train.batch=32" with between = " ". */
void ghl_grid_label(const ghl_grid *grid, const char *const *settings, const char *between, ghl_text *text);
/* Appends a label's folder name: what is not safe in one is dropped, what is too long cut; a hash tells such names apart. */
void ghl_grid_folder(const char *label, ghl_text *text);
void ghl_grid_release(ghl_grid *grid);

typedef struct ghl_sweep_state {
    const ghl_sweep_options *options;
    ghl_grid grid;
    ghl_points all;           /* [grid.points]; accuracies are those of the hold-out */
    const ghl_point **sorted; /* [grid.points] room for the tables */
    int64_t holdout;          /* images that judge every point */
} ghl_sweep_state;

/* FOLDER/sweep.csv of the points that are over. */
ghl_status ghl_sweep_csv(const ghl_sweep_state *s);
/* The table of all points, the best first, to the host. */
ghl_status ghl_sweep_report(const ghl_sweep_state *s);

#endif
