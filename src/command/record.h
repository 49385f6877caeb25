/* SPDX-License-Identifier: Apache-2.0
 *
 * record.h - what the folder of a run tells once it has been trained: recipe.yaml, the rows of metrics.csv, times of log.jsonl.
 */
#ifndef GHL_COMMAND_RECORD_H
#define GHL_COMMAND_RECORD_H

#include "base/value.h"
#include "metric/chart.h"

/* The first columns of a record; behind them stand those of probes, "sign_agreement/conv1.weight", where there are some. */
enum { GHL_RECORD_EPOCH, GHL_RECORD_TRAIN_LOSS, GHL_RECORD_TRAIN_TOP1, GHL_RECORD_TEST_TOP1, GHL_RECORD_TEST_TOP5, GHL_RECORD_COLUMNS };

/* Rows of a phase, one after the other; of a run without phases all of them, and no name. */
typedef struct ghl_record_phase {
    char name[64];
    int first, count;
    double best_top1; /* NAN: nothing was tested */
} ghl_record_phase;

/* Of metrics.csv. */
typedef struct ghl_record_column {
    const char *name;
    int place;      /* among the fields of a line */
    double *values; /* [count]; NAN: not measured */
    int capacity;
} ghl_record_column;

typedef struct ghl_record {
    char *recipe;     /* resolved */
    ghl_value *tree;  /* the same, parsed */
    char *metrics;    /* the text of metrics.csv, cut; names of columns lie in it */
    ghl_record_column *columns; /* [n_columns] */
    int n_columns, columns_capacity, count;
    ghl_record_phase *phases; /* [n_phases] */
    int n_phases, phases_capacity;
    const char *phase; /* the one that this is a record of; NULL: of the whole run */
    double last_top1, best_top1; /* of the tested epochs, per cent; NAN: none is */
    int64_t best_epoch;
    double seconds;      /* of all calls that trained it, by log.jsonl; NAN: no row of it */
    double images_per_s; /* the middle one of log.jsonl's rows, or that of point.json; NAN: neither */
} ghl_record;

/* Of the whole run, or (phase: a pattern) of the phase alone, of those whose names match, that came out best; its epochs then count from 1.
 * GHL_RUN where the folder is no run. Release also after an error. */
ghl_status ghl_record_read(const char *folder, const char *phase, ghl_record *record);
/* A value of the recipe by its dotted path, "learn.conv.rule" (names of layers may hold dots too); NULL where there is none. */
const ghl_value *ghl_record_find(const ghl_value *tree, const char *path);
void ghl_record_release(ghl_record *record);

#endif
