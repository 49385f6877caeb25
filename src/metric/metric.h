/* SPDX-License-Identifier: Apache-2.0
 *
 * metric.h - where a training's figures go: metrics.csv (a row an epoch), log.jsonl (a row every N steps, and notes), a progress bar.
 * Each is a sink: a const descriptor in its own file and a row in the registry ghl_sinks.
 *
 * A run opens all sinks with its folder. The state file records the length of every sink's file; a resumed run opens with these
 * lengths and the files are cut back to them. So the lengths are a pure function of the training: figures that depend on the clock
 * stand in fields of fixed width, and metrics.csv has none of them.
 *
 * Not shared between threads. The host is borrowed until ghl_metrics_close.
 */
#ifndef GHL_METRIC_METRIC_H
#define GHL_METRIC_METRIC_H

#include "base/registry.h"

typedef struct ghl_epoch_row {
    int64_t epoch, epochs;         /* finished ones, all */
    int64_t step;                  /* finished steps */
    const char *phase;             /* of a run with phases */
    bool scored;                   /* false: training without a loss, the two figures of it are not measured, their fields stay empty */
    double train_loss, train_top1; /* mean over the epoch's images; accuracies are per cent */
    bool tested;                   /* false: the three test figures were not measured, their fields stay empty */
    double test_loss, test_top1, test_top5;
    double best_top1;
    bool best;                     /* this epoch is the best one (shown in the plain line) */
    double lr;                     /* base rate times schedule, of the epoch's last step */
    double images_per_s;           /* for the plain line only */
    const double *more;            /* [n_more] in metrics.csv behind the others; NAN: an empty field */
    int n_more;
} ghl_epoch_row;

typedef struct ghl_step_row {
    int64_t step;                    /* finished steps */
    int64_t epoch, epochs;           /* under way (1-based), all */
    int64_t epoch_images, epoch_all; /* done and all images of the epoch */
    int64_t images_left;             /* of the training, or of its phase, for the time that is left */
    const char *phase;               /* of a run with phases; NULL: it has none */
    bool scored;                     /* false: training without a loss and its accuracy */
    double loss, top1;               /* means over the steps since the last row; per cent */
    double images_per_s;             /* since the last row */
    double wait_percent;             /* share of the time in which the step waited for the loader */
    double elapsed_s;                /* since the start of this process's training */
} ghl_step_row;

/* Length of a sink's file, by the sink's name. */
typedef struct ghl_sink_length {
    const char *name;
    int64_t length;
} ghl_sink_length;

typedef struct ghl_sink_place {
    const char *folder;   /* the run folder, exists */
    const ghl_host *host; /* may be NULL: then nothing is shown */
    const char *columns;  /* of metrics.csv behind the fixed ones, ",NAME" for each; "": none */
    int64_t length;       /* of the sink's file: cut back to it; 0: start anew */
} ghl_sink_place;

/* Functions that are NULL are passed over. One that fails leaves the sink usable: what could not be written is kept and written
 * before the next row, so that a full disk that gets room again loses nothing. */
typedef struct ghl_sink {
    GHL_DESCRIPTOR
    ghl_status (*open)(const ghl_sink_place *place, void **self);
    ghl_status (*progress)(void *self, const ghl_step_row *row); /* every step that is read back */
    ghl_status (*step)(void *self, const ghl_step_row *row);     /* every N steps */
    ghl_status (*epoch)(void *self, const ghl_epoch_row *row);
    ghl_status (*note)(void *self, int64_t step, const char *text);
    ghl_status (*sync)(void *self); /* rows that wait are written, and all is on the disk */
    int64_t (*length)(void *self); /* bytes of its file that are written; NULL: it has no file */
    void (*close)(void *self);
} ghl_sink;

extern ghl_registry ghl_sinks;

typedef struct ghl_metrics ghl_metrics;

/* Opens every sink; columns as in ghl_sink_place. A sink with a file whose name is not among the n `lengths` starts it anew (n = 0: all
 * of them). GHL_RUN where a file cannot be written or is shorter than its length. */
ghl_status ghl_metrics_open(const char *folder, const ghl_host *host, const char *columns, int n, const ghl_sink_length *lengths,
                            ghl_metrics **out);
/* Each hands the row to every sink, also after one has failed, and returns the first failure. */
ghl_status ghl_metrics_progress(ghl_metrics *metrics, const ghl_step_row *row); /* cheap: call it as often as figures are known */
ghl_status ghl_metrics_step(ghl_metrics *metrics, const ghl_step_row *row);
ghl_status ghl_metrics_epoch(ghl_metrics *metrics, const ghl_epoch_row *row);
/* A line worth keeping ("resumed on another CPU"), to log.jsonl and the host's log. It counts in the lengths: not for what every resume
 * does. */
ghl_status ghl_metrics_note(ghl_metrics *metrics, int64_t step, const char *text);
/* Puts the files on the disk: before a state that records their lengths is written, or a power cut would leave them shorter than it. */
ghl_status ghl_metrics_sync(ghl_metrics *metrics);
/* The sinks that have files, with the lengths of these: at most `room` into out; returns how many there are. Names are literals. */
int ghl_metrics_lengths(const ghl_metrics *metrics, int room, ghl_sink_length *out);
void ghl_metrics_close(ghl_metrics *metrics); /* wipes the bar; NULL is fine */

/* "1:02:03", "4:05", or "-:--" where nothing is known (negative). */
void ghl_time_print(double seconds, char out[16]);

/* Appends a bar of `cells` columns and its two frames, full to the share 0..1 in eighths of a column. */
void ghl_bar_draw(ghl_text *text, double share, int cells);

#endif
