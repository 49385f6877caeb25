/* SPDX-License-Identifier: Apache-2.0
 *
 * points.h - trainings that belong together (a sweep's points, the runs of a table's rows), done one after the other: each is an ordinary
 * run in a folder of its own, so that it resumes exactly, and gets a record once it is over.
 */
#ifndef GHL_COMMAND_POINTS_H
#define GHL_COMMAND_POINTS_H

#include "base/json.h"
#include "train/training.h"

/* What is known of a point. Accuracies are per cent. */
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
    const char **settings; /* as they were given; may be NULL */
    char *label, *name;    /* for people; its folder in that of all */
    ghl_recipe *recipe;
    bool left_out;         /* not to be trained */
    double work;           /* multiply-adds of an image's forward pass, times epochs: what a time to come is guessed by */
    ghl_point_status status;
    double figures[GHL_FIGURES]; /* NAN: not known */
} ghl_point;

typedef struct ghl_points {
    const char *one, *all; /* what they are called: "point" of a "sweep" */
    const ghl_host *host;
    bool fresh;
    int64_t stop_after;
    ghl_status (*trained)(void *self); /* called after each */
    void *self;
    ghl_point *items; /* [count] */
    int count, capacity;
    char folder[4096];
    int lock; /* descriptor; -1: none */
} ghl_points;

/* Reads the recipe and checks it with its net and rows of `learn`; the data are not read. The label stands before a failure's message. */
ghl_status ghl_point_load(ghl_point *point, const char *path, int n, const char *const *settings);
/* Makes and locks the folder (where `lock` is set: to train), and finds what an earlier call left of each point: nothing, a run to
 * continue, or one that is over. GHL_RECIPE where a folder holds a run of another recipe; `fresh` forgets what is there. */
ghl_status ghl_points_open(ghl_points *points, bool lock);
/* Trains those that are open and not left out. A step that is not finite ends the point, not the whole. */
ghl_status ghl_points_train(ghl_points *points);
void ghl_points_release(ghl_points *points);

extern const char *const ghl_point_status_names[]; /* open, done, nan */
typedef struct ghl_figure {
    const char *name;
    int decimals; /* 0: a whole number */
} ghl_figure;
extern const ghl_figure ghl_figures[GHL_FIGURES];
void ghl_point_add_figures(ghl_json *json, const ghl_point *point); /* status and figures */

#endif
