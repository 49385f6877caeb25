/* SPDX-License-Identifier: Apache-2.0
 *
 * recipe.h - a recipe, resolved: every key checked against a row, every default in place. Load, parse, text and free are in ghl.h.
 *
 * A recipe is a list of sections (sections.c): a section is a row that names its option rows and, where it has a `kind`, the
 * table of descriptors that the kind is looked up in, whose own rows then belong to the section too. Adding a section is adding a row.
 * `learn` has a shape of its own: see learn.h; `phases` are recipes of their own.
 *
 * Ownership: everything reached from a ghl_recipe lives as long as it. Errors: GHL_RECIPE with origin:line:column.
 */
#ifndef GHL_RECIPE_RECIPE_H
#define GHL_RECIPE_RECIPE_H

#include "base/registry.h"

/* A `kind` and the options of its descriptor. */
typedef struct ghl_choice {
    const ghl_descriptor *kind; /* a ghl_model, ghl_data_format, ghl_optimiser, ghl_schedule */
    void *options;
} ghl_choice;

typedef struct ghl_recipe_top {
    char *name;
    int64_t seed;
} ghl_recipe_top;

typedef struct ghl_recipe_model {
    int64_t classes; /* 0: the data's */
} ghl_recipe_model;

enum { GHL_NORMALISE_HALF, GHL_NORMALISE_MEAN_STD, GHL_NORMALISE_NONE, GHL_NORMALISE_IMAGENET };
enum { GHL_WHITEN_NONE, GHL_WHITEN_ZCA, GHL_WHITEN_ZCA_COR };
enum { GHL_RECIPE_AUGMENT_NONE, GHL_RECIPE_AUGMENT_FLIP, GHL_RECIPE_AUGMENT_CROP_FLIP };
typedef struct ghl_recipe_data {
    char *path;
    int normalise, whiten, augment; /* GHL_NORMALISE_*, GHL_WHITEN_*, GHL_RECIPE_AUGMENT_* */
    double whiten_smoothing, error_budget;
    int64_t crop_padding, holdout, limit;
} ghl_recipe_data;

enum { GHL_FEATURES_AUTO, GHL_FEATURES_MEMORY, GHL_FEATURES_FILE, GHL_FEATURES_NONE };
enum { GHL_RESIDENT_AUTO, GHL_RESIDENT_ALWAYS, GHL_RESIDENT_NONE };
enum { GHL_RECIPE_F32, GHL_RECIPE_BF16, GHL_RECIPE_TF32 };
typedef struct ghl_recipe_train {
    int64_t epochs, batch, threads, workers, save_every, log_every;
    char *device, *init;
    int dtype; /* GHL_RECIPE_F32 ... */
    int nan;   /* ghl_nan_policy */
    int recompute; /* 0: none */
    int features;  /* GHL_FEATURES_* */
    int resident;  /* GHL_RESIDENT_* */
    double label_smoothing, ema;
    bool probes, deterministic;
} ghl_recipe_train;

/* One row of `learn`, as written (checked, command line applied); rows are put together per weight by learn.h. */
enum { GHL_LEARN_KIND, GHL_LEARN_GLOB, GHL_LEARN_NAME, GHL_LEARN_LAST = 3 };
typedef struct ghl_learn_row {
    char *key;            /* "conv", "norm", "conv*", "layer1.0.conv1" */
    int rank;             /* GHL_LEARN_*; + GHL_LEARN_LAST for a row of `learn_last`, which beats all of `learn` */
    ghl_value *map;
    bool written;         /* false: a default row that the recipe does not have */
    const ghl_rule *rule; /* NULL: not said here */
} ghl_learn_row;

/* What a phase says of itself, beside its sections. */
typedef struct ghl_phase {
    char *name, *root, *frozen_to; /* of no phase: NULL */
    bool branch; /* its model is not the recipe's */
} ghl_phase;

/* One row of `layers` or `layers_first`: options of layers (layer_rows.h). */
typedef struct ghl_layer_row {
    char *key;
    int rank; /* GHL_LEARN_* */
    ghl_value *map;
    bool used; /* a layer took an option of it */
} ghl_layer_row;
typedef struct ghl_layer_rows {
    ghl_layer_row *rows;
    int count, capacity;
} ghl_layer_rows;

struct ghl_recipe {
    ghl_recipe_top top;
    ghl_recipe_model model;
    ghl_recipe_data data;
    ghl_recipe_train train;
    ghl_choice model_kind, data_kind, optimiser, schedule;
    ghl_learn_row *learn; /* in the order in which they are applied: ranks ascending, then as written */
    int n_learn, learn_capacity;
    ghl_phase phase;      /* of one of a recipe's phases */
    ghl_recipe **phases;  /* each a recipe of its own (phases.c); the whole has model and data, and no rows of learn, then */
    int n_phases;
    ghl_layer_rows layers, layers_first;
    char **plugins;
    int n_plugins;
    char **notes; /* what the user should be told: options dropped, ... */
    int n_notes, notes_capacity;
    char *origin;    /* the file's name in messages */
    ghl_value *tree; /* as written, command line applied but for `learn` */
};

/* A recipe without phases is its own and only one. */
int ghl_recipe_phases(const ghl_recipe *recipe);
const ghl_recipe *ghl_recipe_phase_at(const ghl_recipe *recipe, int i);
void ghl_recipe_hold_out(ghl_recipe *recipe, int64_t images); /* data.holdout, in every phase */
int64_t ghl_recipe_epochs(const ghl_recipe *recipe, int n); /* of the first n phases */
/* One line a key: name, type, range, default, help; for `ghl help recipe`. */
void ghl_recipe_help(ghl_text *text);
ghl_status ghl_recipe_note(ghl_recipe *recipe, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Tells the host the notes. */
void ghl_recipe_tell(const ghl_recipe *recipe, const ghl_host *host);
/* Appends the names of the keys in which two resolved texts differ, "train.batch, learn.conv.lr", except those in `ignored`
 * (NULL-ended; may be NULL). *count: how many. */
ghl_status ghl_recipe_difference(const char *text_a, const char *text_b, const char *const *ignored, ghl_text *names, int *count);

#endif
