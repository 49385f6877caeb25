/* SPDX-License-Identifier: Apache-2.0
 *
 * training.h - a training under way, for the files that share it: train.c (from start to end), steps.c (the pipeline of steps), epoch.c
 * (what happens at the end of one), phase.c (from one phase to the next), state.c (saved and resumed), start.c (initial
 * weights from a file), run_folder.c (files beside it).
 */
#ifndef GHL_TRAIN_TRAINING_H
#define GHL_TRAIN_TRAINING_H

#include "base/machine.h"
#include "metric/metric.h"
#include "train/setup.h"

/* Figures that go on from step to step. They are saved as two tensors, in this order. */
enum {
    GHL_COUNT_STEP,         /* finished steps */
    GHL_COUNT_EPOCH,        /* finished epochs */
    GHL_COUNT_POSITION,     /* images done of the epoch; all of them: its evaluation is due */
    GHL_COUNT_SKIPPED,      /* steps that were not finite */
    GHL_COUNT_BEST_EPOCH,   /* 1-based; 0: none */
    GHL_COUNT_EPOCH_IMAGES, /* of the finite steps of the epoch */
    GHL_COUNT_EPOCH_TOP1,
    GHL_COUNT_ROW_IMAGES,   /* the same since the last row of log.jsonl */
    GHL_COUNT_ROW_TOP1,
    GHL_COUNT_PHASE,       /* the phase under way, from 0 on; a recipe without phases has one */
    GHL_COUNT_PHASE_STEP,  /* steps and epochs that were finished when it began */
    GHL_COUNT_PHASE_EPOCH,
    GHL_COUNTS
};
enum {
    GHL_SUM_EPOCH_LOSS,
    GHL_SUM_ROW_LOSS,
    GHL_SUM_TRAIN_LOSS, /* means of the last finished epoch; accuracies are per cent */
    GHL_SUM_TRAIN_TOP1,
    GHL_SUM_TEST_LOSS,
    GHL_SUM_TEST_TOP1,
    GHL_SUM_TEST_TOP5,
    GHL_SUM_BEST_TOP1,
    GHL_SUMS
};

/* A step in the queue. */
enum { GHL_FLIGHTS = 4 };
typedef struct ghl_flight {
    bool busy;
    ghl_slot slot;
    ghl_program *program;
    ghl_step step;
    int64_t clock[GHL_CLOCK_SIZE];
    double result[GHL_RESULT_SIZE];
    float *rates; /* [groups] */
    int64_t ticket;
} ghl_flight;

/* Clocks: of the host, in seconds; never part of the state. */
typedef struct ghl_watch {
    double start, row, row_waited; /* of the training, of the last row */
    double segment;                /* when the steps under way began; 0: none */
    double busy;                   /* seconds spent in steps */
    int64_t images, row_images;    /* done by this call; since the last row */
} ghl_watch;

typedef struct ghl_training {
    const ghl_recipe *recipe;
    const ghl_recipe *phase; /* the one under way; the recipe itself where it has none */
    const ghl_host *host;
    int64_t stop_after;
    char folder[4096];
    int lock;          /* descriptor; -1: none */
    char *text;        /* the resolved recipe */
    char *fingerprint; /* what byte-exactness depends on beside the recipe */
    char data[2 * 16 + 2]; /* fingerprints of the training and the test images */
    size_t described;  /* characters of the device's description that have been told: it notes behind them what happens later */
    char *choices;     /* of kernels, as the state that is continued has them; NULL: it has none */
    float *affine;     /* likewise, [2 * channels], so that nothing is measured again */
    int64_t channels;
    ghl_damages damages;  /* images that could not be read */
    ghl_failure spoiled;  /* GHL_DATA where they are too many: the run is saved and stops */
    ghl_setup setup;
    ghl_loader *loader;
    ghl_metrics *metrics;
    double *probes; /* of the last epoch, [ghl_probing_count]; NULL: none are asked for */
    int64_t counts[GHL_COUNTS];
    double sums[GHL_SUMS];
    ghl_net **nets; /* of each phase; those that are no branches have the same weights as the first */
    void *best;     /* snapshot of the best epoch, of its phase's net; NULL: none */
    void *trunk;    /* snapshot of the first net, which waits while a branch is under way; else NULL */
    ghl_flight flights[GHL_FLIGHTS];
    int64_t launched; /* steps, finished and queued */
    int64_t taken;    /* images of the epoch, finished and queued */
    bool save_failed;
    ghl_failure failure; /* of the last save */
    ghl_watch watch;
} ghl_training;

/* steps.c */
ghl_status ghl_training_launch(ghl_training *t); /* queues the next step; collects an older one where the queue is full */
ghl_status ghl_training_drain(ghl_training *t);  /* waits for all queued steps. GHL_NAN under policy stop */
void ghl_training_progress(const ghl_training *t, ghl_progress *progress);
const char *ghl_training_phase(const ghl_training *t); /* its name; NULL where the recipe has no phases */

/* phase.c. Before the first step: every phase of the recipe compiles, to the same net or a branch of it, and fits the machine. */
ghl_status ghl_phases_check(ghl_training *t);
/* The setup of the phase that the counters name, with fresh state. */
ghl_status ghl_phase_open(ghl_training *t);
/* Once its weights are there: what describes the run, and the loader at the place where the counters are. */
ghl_status ghl_phase_begin(ghl_training *t);
bool ghl_phase_done(const ghl_training *t);
/* Weights and buffers go on to the next phase; all else begins anew. */
ghl_status ghl_phase_next(ghl_training *t);
void ghl_phase_close(ghl_training *t);

/* epoch.c */
/* Evaluation of the test images, number `pass`; GHL_INTERRUPTED when asked to stop, GHL_DATA where too many of them are damaged. */
ghl_status ghl_evaluation_run(ghl_setup *setup, int64_t pass, ghl_score *score);
ghl_status ghl_training_finish_epoch(ghl_training *t);

/* state.c */
/* Saves state, last and best. Failures are told and kept in t->failure: training goes on. */
void ghl_training_save(ghl_training *t);
/* Reads FOLDER/state into `state` and the counters, and compares the recipe; *found: whether there is one. */
ghl_status ghl_training_find(ghl_training *t, ghl_tensors *state, bool *found);
/* Puts a state into the plan of its phase; `state` from ghl_training_find. */
ghl_status ghl_training_restore(ghl_training *t, const ghl_tensors *state);
int ghl_training_lengths(const ghl_tensors *state, int room, ghl_sink_length *out);

/* Two resolved recipes, of the run in a folder and of the one that is asked for. GHL_RECIPE names the keys in which they differ; those
 * that one may change in a run are passed over. */
ghl_status ghl_run_compare(const char *folder, const char *theirs, const char *ours);

/* start.c: weights and buffers from the file of train.init, as far as they fit; a note says what did and what did not. GHL_CHECKPOINT
 * where the file is damaged or nothing fits. */
ghl_status ghl_training_init(ghl_training *t);

/* train.c */
/* Around everything that one ghl_stop() ends: when the last of these scopes is left, the request is forgotten. */
void ghl_stop_scope_enter(void);
void ghl_stop_scope_leave(void);

/* run_folder.c */
ghl_status ghl_run_folder(const char *run, const char *name, char folder[4096]); /* `run`, or runs/NAME where it is NULL */
ghl_status ghl_run_open(ghl_training *t, const char *run); /* folder and lock */
ghl_status ghl_run_describe(ghl_training *t);              /* fingerprint, recipe.yaml, env.json */
ghl_status ghl_run_remove(const char *folder);             /* what a fresh start must not find */

void ghl_tell(const ghl_host *host, ghl_level level, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
