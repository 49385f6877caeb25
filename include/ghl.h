/* SPDX-License-Identifier: Apache-2.0
 *
 * ghl.h - the stable interface of libghl: trains deep networks with Global-guided Hebbian Learning
 * (Hua, Zhao, Leng, Cheng, Ma, Guo: "Hebbian Learning with Global Direction", ICASSP 2026).
 *
 * Reading order: status, host, recipe, the commands (train, sweep, compare, reproduce, evaluate, predict, bench, trace, plan, data,
 * list, doctor, selftest), then nets and engines for programs that bring their own images.
 *
 * Ownership: objects come from ..._create/_load and go back with ..._free (NULL is fine). Text returned as `char *` is freed with
 * ghl_free. Borrowed pointers (`const`) live as long as the object they came from.
 * Errors: functions return a ghl_status; after one that is not GHL_OK, ghl_error_message() of the same thread says what failed.
 * The library never exits, prints, reads the environment or installs signal handlers. Objects are not shared between threads.
 */
#ifndef GHL_H
#define GHL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define GHL_API __attribute__((visibility("default")))
#else
#define GHL_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Status ------------------------------------------------------------------------------------------------------------- */

/* name, exit status of the command line tool, meaning */
#define GHL_STATUS_MAP(X)                                                        \
    X(OK, 0, "done")                                                             \
    X(INTERNAL, 1, "internal error")                                             \
    X(USAGE, 2, "wrong argument")                                                \
    X(RECIPE, 2, "recipe missing, broken or of another run")                     \
    X(DATA, 3, "data unusable")                                                  \
    X(CHECKPOINT, 3, "checkpoint unusable")                                      \
    X(RUN, 3, "run folder unusable")                                             \
    X(NAN, 4, "not a number")                                                    \
    X(DEVICE, 5, "device or library missing or lost")                            \
    X(MEMORY, 5, "out of memory")                                                \
    X(INTERRUPTED, 75, "interrupted, state saved")

typedef enum ghl_status {
#define GHL_STATUS(name, exit_status, meaning) GHL_##name,
    GHL_STATUS_MAP(GHL_STATUS)
#undef GHL_STATUS
} ghl_status;

GHL_API const char *ghl_version(void);
GHL_API const char *ghl_status_name(ghl_status status); /* "DATA" */
GHL_API int ghl_status_exit(ghl_status status);         /* 3 */
GHL_API const char *ghl_error_message(void);            /* one line, of this thread's last failure; never NULL */
GHL_API const char *ghl_error_hint(void);               /* what to do about it; "" where there is none */
GHL_API void ghl_free(void *text);

/* Asks every training of the process to save its state and return GHL_INTERRUPTED within a step. Async-signal-safe. */
GHL_API void ghl_stop(void);

/* Folders in which cuDNN and cuBLASLt are looked for before the system's own, with ":" between them; shell patterns are allowed. Copied;
 * NULL: none. Call it before a device is opened; the library itself reads no environment. */
GHL_API void ghl_cuda_folders(const char *folders);

/* The folder for what is measured once on a machine and kept: which of cuDNN's plans are quickest on its cards. Made when there is
 * something to keep; what is in it may be deleted. Copied; NULL: none, and every run measures. */
GHL_API void ghl_cache_folder(const char *folder);

/* ---- Host: how the library talks ----------------------------------------------------------------------------------------- */

typedef enum ghl_level { GHL_LEVEL_INFO, GHL_LEVEL_WARNING } ghl_level;

/* All members may be NULL or 0. Called on the thread that called the library. */
typedef struct ghl_host {
    void *user;
    void (*log)(void *user, ghl_level level, const char *line); /* without a newline */
    void (*progress)(void *user, const char *line);             /* a bar that replaces the last one; "" wipes it */
    void (*result)(void *user, const char *text, size_t bytes); /* what a command was asked for */
    int columns;                                                /* width of the terminal that shows progress; 0: no bar */
} ghl_host;

/* ---- Recipe --------------------------------------------------------------------------------------------------------------- */

typedef struct ghl_recipe ghl_recipe;

/* Reads a YAML file, applies "key.path=value" overrides in order, checks every key. Loads its plugins. GHL_RECIPE with
 * file:line:column and the nearest known name otherwise. */
GHL_API ghl_status ghl_recipe_load(const char *path, int n, const char *const *overrides, ghl_recipe **out);
/* The same from text; `name` stands in messages for the file. */
GHL_API ghl_status ghl_recipe_parse(const char *text, const char *name, int n, const char *const *overrides, ghl_recipe **out);
GHL_API char *ghl_recipe_text(const ghl_recipe *recipe); /* resolved, every default written out; NULL without memory */
/* One of its phases, by name or number ("0"), for plan, bench and trace, which take the first where they get the whole; of a recipe without
 * phases itself. NULL: the first. Lives as long as the recipe. */
GHL_API ghl_status ghl_recipe_phase(const ghl_recipe *recipe, const char *name, const ghl_recipe **out);
GHL_API void ghl_recipe_free(ghl_recipe *recipe);

/* ---- Commands -------------------------------------------------------------------------------------------------------------- */

typedef struct ghl_train_options {
    const char *run;    /* folder; NULL: runs/NAME */
    bool fresh;         /* start over */
    int64_t stop_after; /* stop after that many steps in all, saved; 0: at the end */
} ghl_train_options;

typedef struct ghl_train_result {
    int64_t epoch, step;
    double train_loss, train_top1, test_loss, test_top1, test_top5; /* of the last epoch; accuracies are per cent */
    double best_top1;
    int64_t best_epoch;
    double images_per_s; /* of the training steps of this call */
} ghl_train_result;

/* Trains, or continues the run that is in the folder, exactly. `result` may be NULL. */
GHL_API ghl_status ghl_train(const ghl_recipe *recipe, const ghl_train_options *options, const ghl_host *host, ghl_train_result *result);

typedef struct ghl_sweep_options {
    const char *run;    /* folder of the sweep; NULL: runs/NAME-sweep */
    bool fresh;         /* start all points over */
    bool json;          /* the table as a JSON object */
    int64_t stop_after; /* stop after that many steps of all points, saved; 0: at the end */
} ghl_sweep_options;

/* A grid of trainings of the recipe in file `recipe`, one after the other, each a run in its own folder of the sweep's: a setting
 * "key=v1,v2,..." with several values is an axis, one with a single value holds for all. Every point's recipe is checked before the first
 * training. Points are judged on images held out of the training set (data.holdout, set where the recipe has none), never on the test set.
 * Points that are over are not trained again; the one that was interrupted continues exactly. A point that ends in NaN is a row of the
 * table, no failure. The table goes to the host, and to sweep.csv in the folder after every point. */
GHL_API ghl_status ghl_sweep(const char *recipe, int n, const char *const *settings, const ghl_sweep_options *options,
                             const ghl_host *host);

typedef struct ghl_compare_options {
    const char *output; /* folder of compare.csv, .md, .html and curves; NULL: runs/compare */
    bool json;          /* the table as JSON */
    bool probes;        /* a table of what probes measured by layer, also as compare-probes.csv, in the place of accuracies */
} ghl_compare_options;

/* Runs side by side: accuracy, time, speed, the settings that differ, curves. Runs that differ by their seed alone are one row. */
GHL_API ghl_status ghl_runs_compare(int n, const char *const *runs, const ghl_compare_options *options, const ghl_host *host);

typedef struct ghl_reproduce_options {
    const char *recipes; /* folder of the recipes; its folder tables/ has a file a table. NULL: recipes */
    const char *run;     /* folder of runs and tables; NULL: runs/reproduce */
    const char *data;    /* folder that the data sets' folders lie in; NULL: as the recipes say */
    int64_t seeds;       /* runs a row, each with a seed of its own; 0: one */
    double epochs_scale; /* number of epochs over the recipe's; 0: 1 */
    bool show;           /* trains nothing */
    bool fresh;          /* the chosen rows start over */
    bool json;           /* the table as JSON */
    bool probes;         /* a table of what probes measured by layer, also as TABLE-probes.csv, in the place of accuracies */
    int64_t stop_after;  /* stop after that many steps of all runs, saved; 0: at the end */
} ghl_reproduce_options;

/* what: "table1", "table1/ROW" (ROW: a name or a pattern, "deephebb-*"), or NULL, which lists the tables. Trains the runs of the chosen
 * rows that are missing, one after the other, each in its own folder, then prints the whole table beside the published numbers and writes
 * it as CSV, Markdown and HTML. Settings hold for every recipe. Rows whose recipe does not exist are marked "not built", those whose
 * data are missing "no data": GHL_DATA where no chosen row has a result for want of data. */
GHL_API ghl_status ghl_reproduce(const char *what, int n, const char *const *settings, const ghl_reproduce_options *options,
                                 const ghl_host *host);

/* Test accuracy of a checkpoint file, or of best.safetensors in a run folder. Text, or JSON with json. */
GHL_API ghl_status ghl_evaluate(const char *run_or_checkpoint, int n, const char *const *overrides, bool json, const ghl_host *host);

typedef struct ghl_predict_options {
    int n;                       /* settings that override the checkpoint's recipe */
    const char *const *settings;
    int64_t top;                 /* classes an image; 0: 5 */
    bool json;
} ghl_predict_options;
/* Which classes images (JPEG, PNG) are of, by a checkpoint file or best.safetensors in a run folder: the likeliest ones by name, with
 * their probabilities. Images that cannot be read are told by name, the others are predicted all the same, and GHL_DATA comes last. */
GHL_API ghl_status ghl_predict(const char *run_or_checkpoint, int n, const char *const *images, const ghl_predict_options *options,
                               const ghl_host *host);

typedef struct ghl_bench_options {
    int64_t steps; /* 0: as many as make the figures steady */
    bool profile, json;
} ghl_bench_options;
GHL_API ghl_status ghl_bench(const ghl_recipe *recipe, const ghl_bench_options *options, const ghl_host *host);

typedef struct ghl_trace_options {
    const char *input, *weights, *output; /* safetensors; the first two may be NULL */
    bool fused, dropout, grad;
} ghl_trace_options;
/* One training step, every tensor named, written to `output`. */
GHL_API ghl_status ghl_trace(const ghl_recipe *recipe, const ghl_trace_options *options, const ghl_host *host);

/* The command `plan`: nodes, shapes, parameters, FLOPs, the program, memory. */
GHL_API ghl_status ghl_plan_show(const ghl_recipe *recipe, bool json, const ghl_host *host);
/* What lies at `path`, a data set of any format that we read, found by a look: images and classes, sizes, mean and deviation of the
 * channels, what is damaged, the last three of a sample. */
GHL_API ghl_status ghl_data_info(const char *path, bool json, const ghl_host *host);
/* Reads every image, whole, and lists the damaged ones ("NAME: REASON"): GHL_DATA where there is one. */
GHL_API ghl_status ghl_data_check(const char *path, bool json, const ghl_host *host);

typedef struct ghl_pack_options {
    int64_t size, quality; /* pixels of the shorter side at most, 0: 256; of JPEG, 1 to 100, 0: 90 */
    bool raw;              /* pixels, not JPEG */
    bool orientation;      /* turned as their EXIF data say */
} ghl_pack_options;
/* A folder of photographs into one file, for data.kind=packed. What is written before an interruption (GHL_INTERRUPTED), a kill or a full
 * disk stays in TO.partial, and the same call goes on behind it. */
GHL_API ghl_status ghl_data_pack(const char *from, const char *to, const ghl_pack_options *options, const ghl_host *host);
/* Images a second through the loader: each stage on one thread, and all of it on one and on all processors. */
GHL_API ghl_status ghl_data_bench(const char *path, bool json, const ghl_host *host);
/* what: rules, models, layers, data, devices, optimisers, schedules, probes, ops, statuses. */
GHL_API ghl_status ghl_list(const char *what, bool json, const ghl_host *host);
GHL_API ghl_status ghl_doctor(bool json, const ghl_host *host);
/* Does a device (NULL: "auto") compute what the device ref does? Every op, and a training step by every rule; GHL_DEVICE where it does
 * not. */
GHL_API ghl_status ghl_selftest(const char *device, bool json, const ghl_host *host);
/* Every recipe key with its type, range, default and help; or one rule's, model's, ... options. topic: "recipe" or a name. */
GHL_API ghl_status ghl_help(const char *topic, const ghl_host *host);

/* ---- Nets and engines: for programs that bring their own images ------------------------------------------------------------- */

typedef struct ghl_net ghl_net;
typedef struct ghl_engine ghl_engine;

/* A net begins with its input node, number 0: images of height x width x channels. */
GHL_API ghl_status ghl_net_create(const char *name, int64_t height, int64_t width, int64_t channels, ghl_net **out);
/* Adds a node of a layer kind on the nodes `inputs`; options as YAML flow text, "channels: 32, kernel: 5, padding: 2" (NULL: none).
 * Its number goes to *node (may be NULL). */
GHL_API ghl_status ghl_net_add(ghl_net *net, const char *name, const char *kind, int n_inputs, const int *inputs, const char *options,
                               int *node);
/* The same, on the last node. */
GHL_API ghl_status ghl_net_append(ghl_net *net, const char *name, const char *kind, const char *options);
GHL_API int64_t ghl_net_parameters(const ghl_net *net); /* elements of all weights, biases, scales and shifts */
GHL_API void ghl_net_free(ghl_net *net);

typedef struct ghl_engine_settings {
    const char *device; /* "auto" where NULL */
    int threads;        /* 0: all cores */
    int64_t batch;
    uint64_t seed;
    const char *learn;     /* as the recipe's learn section; NULL: "{conv: {rule: ghl}, linear: {rule: backprop}}" */
    const char *optimiser; /* as the recipe's optimiser section; NULL: plain SGD */
} ghl_engine_settings;

/* Compiles a training program and an evaluation program for the net, whose last node gives the logits. The net may be freed after. */
GHL_API ghl_status ghl_engine_create(const ghl_net *net, const ghl_engine_settings *settings, ghl_engine **out);

typedef struct ghl_score {
    double loss;               /* mean cross entropy */
    int64_t top1, top5, count; /* images whose label is the first, among the first five, all */
} ghl_score;
/* One training step at rate_factor times the learn rows' rates. images u8 [batch,height,width,channels], scaled to -1..1. */
GHL_API ghl_status ghl_engine_train(ghl_engine *engine, const uint8_t *images, const int32_t *labels, double rate_factor, ghl_score *score);
/* count <= batch images. */
GHL_API ghl_status ghl_engine_evaluate(ghl_engine *engine, const uint8_t *images, const int32_t *labels, int64_t count, ghl_score *score);
GHL_API ghl_status ghl_engine_save(ghl_engine *engine, const char *path); /* a safetensors checkpoint */
GHL_API ghl_status ghl_engine_load(ghl_engine *engine, const char *path);
GHL_API void ghl_engine_free(ghl_engine *engine);

#ifdef __cplusplus
}
#endif
#endif
