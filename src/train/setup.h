/* SPDX-License-Identifier: Apache-2.0
 *
 * setup.h - from a recipe to an engine: reads the data, builds the net, decides how each weight learns, makes the plan.
 * Used by train, eval, bench, trace, plan and the public engine.
 *
 *     ghl_setup_begin -> ghl_setup_programs, or own ghl_plan_compile calls and ghl_setup_seal -> ... -> ghl_setup_release
 */
#ifndef GHL_TRAIN_SETUP_H
#define GHL_TRAIN_SETUP_H

#include "ckpt/ckpt.h"
#include "data/data.h"
#include "plan/plan.h"
#include "recipe/learn.h"
#include "recipe/recipe.h"
#include "train/features.h"
#include "train/resident.h"

typedef struct ghl_setup_options {
    bool describe;       /* no images are read where the format can say what they are: for plan, bench, trace */
    bool test_only;      /* reads the test part only (and the training part where the recipe needs it) */
    ghl_shape image;     /* h, w, c of an image when not 0: no data is read */
    int64_t classes;     /* outputs of the net, unless the recipe's model says it or the data has more */
    const float *affine; /* [2 * channels] a checkpoint's; NULL: from the recipe and the training images */
    int64_t channels;    /* of affine: GHL_DATA where the data have another number */
    const char *device;  /* NULL: the recipe's */
    int64_t batch;       /* 0: the recipe's */
    const char *folder;  /* of the run, for what it keeps beside its state; borrowed; NULL: none */
    const char *choices; /* of kernels, to be made again; NULL: the device's own */
    ghl_damages *damages; /* of who reads images; borrowed */
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
    const char *folder;       /* borrowed */
    ghl_damages *damages;     /* borrowed; NULL: no images are read */
    ghl_features features;    /* what steps read in the place of images */
    ghl_resident resident[2]; /* images of training and of testing that stay with the device */
    ghl_program *step;        /* training, batch */
    ghl_program *rest;        /* training, the last partial batch; NULL: none */
    ghl_program *evaluation;  /* batch */
    ghl_program *probe;       /* training that commits nothing, batch; NULL: not asked for yet */
    int64_t steps_per_epoch;
    bool scored, tested;      /* there is a loss, which needs labels; and test images with labels to measure it on */
} ghl_setup;

/* Zeroes *setup first. Options may be NULL. The plan is created, nothing is compiled. Release also after an error. */
ghl_status ghl_setup_begin(const ghl_recipe *recipe, const ghl_setup_options *options, ghl_setup *setup);
/* Of the recipe's first phase, for images as its data format describes them, no file of which needs to be there: for who trains nothing.
 * batch: 0: the recipe's. */
ghl_status ghl_setup_describe(const ghl_recipe *recipe, int64_t batch, ghl_setup *setup);
/* For a net of the caller's own (shared; frozen for further layers), which the recipe's model and data do not matter to. */
ghl_status ghl_setup_net(const ghl_recipe *recipe, const ghl_setup_options *options, const ghl_net *net, ghl_setup *setup);
/* Compiles step, rest and evaluation (train: false only evaluation). */
ghl_status ghl_setup_compile(ghl_setup *setup, bool train);
/* What steps are fed with: images, or their features. */
const ghl_images *ghl_setup_feed(const ghl_setup *setup, bool test);
/* Batches of a training, shuffled epoch by epoch, or of one pass in order through the views of testing. */
ghl_status ghl_setup_loader(const ghl_setup *setup, const ghl_images *images, int slots, bool training, ghl_loader **out);
/* Tells and counts the damaged images that a batch met in the place of images that are read; nothing where features are (data.h). */
ghl_status ghl_setup_damages(const ghl_setup *setup, bool test, int64_t pass, const ghl_slot *slot);
/* And seals the plan, where the machine has the memory (fit.h). */
ghl_status ghl_setup_programs(ghl_setup *setup, bool train);
void ghl_setup_release(ghl_setup *setup);
const char *ghl_setup_rule(const ghl_setup *setup); /* the name of the rule of the first weight that is a matrix */
/* The rates of a step. rates: [groups]. */
void ghl_setup_rates(const ghl_setup *setup, const ghl_progress *progress, double factor, float *rates);

/* ---- Snapshots: all weights and buffers of a net as files have them, PyTorch's names and layouts (checkpoint.c). ---------------- */

/* A snapshot is one block of memory, freed with free(). */
ghl_status ghl_snapshot_take(ghl_plan *plan, void **snapshot);
ghl_status ghl_snapshot_take_averages(ghl_plan *plan, void **snapshot); /* what evaluation reads: of train.ema, where there are some */
/* From the tensors prefix + name of a file; what it lacks from the snapshot `rest` (NULL: it must have all). GHL_CHECKPOINT names
 * `path`, the tensor and both shapes; what is not finite is refused;
 * with an empty prefix every tensor of the file must be one of the net's. Nothing is changed after an error. */
ghl_status ghl_snapshot_load(const ghl_net *net, const char *prefix, const ghl_tensors *t, const char *path, const void *rest,
                             void **snapshot);
ghl_status ghl_snapshot_put(ghl_plan *plan, const void *snapshot); /* averages begin there too */
/* What `net` has up to node `last`, by name, from a snapshot of another net. */
void ghl_snapshot_graft(const ghl_net *net, void *snapshot, int last, const ghl_net *from, const void *other);
/* Has the entry of a file the type and shape of the weight? Its shape in files, "[10,512]". */
bool ghl_snapshot_fits(const ghl_weight *w, const ghl_entry *entry);
void ghl_weight_print(const ghl_weight *w, char out[120]);
void ghl_entry_print(const ghl_entry *entry, char out[120]);
/* Adds the tensors to `t`, which borrows the snapshot. */
ghl_status ghl_snapshot_add(const ghl_net *net, const void *snapshot, const char *prefix, ghl_tensors *t);

/* What makes a snapshot a checkpoint that eval and predict need nothing beside: resolved recipe, classes, scale and shift of pixels. */
ghl_status ghl_checkpoint_note(const ghl_setup *setup, const char *recipe_text, ghl_tensors *t);
/* Image and classes, affine (*affine freed by the caller) and recipe text (borrowed from t) of a checkpoint. */
ghl_status ghl_checkpoint_read_notes(const ghl_tensors *t, const char *path, ghl_setup_options *options, float **affine,
                                     const char **recipe);

#endif
