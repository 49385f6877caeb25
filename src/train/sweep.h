/* SPDX-License-Identifier: Apache-2.0
 *
 * sweep.h - a grid of trainings, for the files that share it: sweep.c (from start to end), sweep_grid.c (settings become points),
 * sweep_table.c (what is known of a point: on disk, as a table, as JSON).
 *
 * A setting with several values is an axis; a point is one value of each. Points are numbered with the last axis fastest.
 */
#ifndef GHL_TRAIN_SWEEP_H
#define GHL_TRAIN_SWEEP_H

#include "train/training.h"

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

/* What is known of a point. Accuracies are per cent of the hold-out. */
enum {
    GHL_FIGURE_BEST_TOP1,
    GHL_FIGURE_BEST_EPOCH,
    GHL_FIGURE_LAST_TOP1,
    GHL_FIGURE_TRAIN_LOSS,
    GHL_FIGURE_IMAGES_PER_S,
    GHL_FIGURE_EPOCHS,
    GHL_FIGURE_STEPS,
    GHL_FIGURES
};
typedef enum ghl_point_status { GHL_POINT_OPEN, GHL_POINT_DONE, GHL_POINT_NAN } ghl_point_status;

typedef struct ghl_point {
    const char **settings; /* [grid.n] */
    char *label, *name;    /* for people; its folder in the sweep's */
    ghl_recipe *recipe;
    ghl_point_status status;
    double figures[GHL_FIGURES]; /* NAN: not known */
} ghl_point;

typedef struct ghl_sweep_state {
    const ghl_sweep_options *options;
    const ghl_host *host;
    ghl_grid grid;
    ghl_point *points;        /* [grid.points] */
    const ghl_point **sorted; /* [grid.points] room for the tables */
    char folder[4096];
    int lock;                 /* descriptor; -1: none */
    int64_t holdout;          /* images that judge every point */
} ghl_sweep_state;

void ghl_point_figures(ghl_point *point, const ghl_train_result *result);
/* FOLDER/point.json: the status and figures of a point that is over. A record of another number of epochs leaves it open. */
ghl_status ghl_point_write(const ghl_point *point, const char *folder);
ghl_status ghl_point_read(ghl_point *point, const char *folder);
/* FOLDER/sweep.csv of the points that are over. */
ghl_status ghl_sweep_csv(const ghl_sweep_state *s);
/* The table of all points, the best first, to the host. */
ghl_status ghl_sweep_report(const ghl_sweep_state *s);

#endif
