/* SPDX-License-Identifier: Apache-2.0
 *
 * setup.h - from a recipe to an engine: reads the data, builds the net, decides how each weight learns, makes the plan.
 * Used by train, eval, bench, trace, plan and the public engine.
 *
 *     ghl_setup_begin -> (own ghl_plan_compile calls) -> ghl_setup_programs or ghl_plan_seal -> ... -> ghl_setup_release
 */
#ifndef GHL_TRAIN_SETUP_H
#define GHL_TRAIN_SETUP_H

#include "ckpt/ckpt.h"
#include "data/data.h"
#include "plan/plan.h"
#include "train/learn.h"
#include "train/recipe.h"

typedef struct ghl_setup_options {
    ghl_shape image;     /* h, w, c of an image when not 0: no data is read, ... */
    int64_t classes;     /* ... and this is the number of classes, unless the recipe's model says it */
    bool test_only;      /* reads the test part only (and the train part where mean_std or holdout needs it) */
    const char *device;  /* NULL: the recipe's */
    int64_t batch;       /* 0: the recipe's */
} ghl_setup_options;

typedef struct ghl_setup {
    const ghl_recipe *recipe; /* borrowed */
    ghl_images train, test;   /* count 0 where not read */
    ghl_shape image;          /* n = 1 */
    int64_t classes, batch;
    float *affine;            /* [2 * channels] */
    ghl_net *net;             /* ends in the logits */
    ghl_learnings learnings;  /* how each weight learns; groups of rates */
    ghl_plan *plan;
    ghl_program *step;        /* training, batch */
    ghl_program *rest;        /* training, the last partial batch; NULL: none */
    ghl_program *evaluation;  /* batch */
    int64_t steps_per_epoch;
} ghl_setup;

/* Zeroes *setup first. Options may be NULL. The plan is created, nothing is compiled. Release also after an error. */
ghl_status ghl_setup_begin(const ghl_recipe *recipe, const ghl_setup_options *options, ghl_setup *setup);
/* Compiles step, rest and evaluation (train: false only evaluation) and seals the plan. */
ghl_status ghl_setup_programs(ghl_setup *setup, bool train);
void ghl_setup_release(ghl_setup *setup);
/* The rates of a step. rates: [groups]. */
void ghl_setup_rates(const ghl_setup *setup, const ghl_progress *progress, double factor, float *rates);

/* Names and layouts of a net's weights in files: PyTorch's. See checkpoint.c. */
/* Adds the weights and buffers to `t` under prefix + name. values: *memory owns the copies, freed by the caller after writing. */
ghl_status ghl_checkpoint_collect(ghl_plan *plan, const char *prefix, ghl_tensors *t, void **memory);
/* Reads prefix + name of every weight from `t` into the plan. Errors name `path`, the tensor and both shapes; NaN and infinities are refused;
 * with an empty prefix every tensor of the file must be one of the net's. */
ghl_status ghl_checkpoint_apply(ghl_plan *plan, const char *prefix, const ghl_tensors *t, const char *path);

#endif
