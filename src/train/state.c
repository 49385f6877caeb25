/* SPDX-License-Identifier: Apache-2.0
 *
 * state.c - FOLDER/state: one safetensors file that holds everything a training needs to go on, and nothing that depends on the clock or
 * on where it lies. It is written first; last.safetensors and best.safetensors follow from it, so that a kill between two files loses
 * nothing.
 *
 *     weights/NAME, best/NAME   as a checkpoint has them        state/NAME    what rules and optimisers keep, and averages, [n,h,w,c]
 *     trunk/NAME                of the net, in a branch
 *     train/counts, train/sums  see training.h                  metadata: recipe, fingerprint, choices of kernels,
 *     train/damaged             [n,3], see data.h; where any        lengths of the sinks' files
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "train/training.h"

enum { SINKS = 16 };
static const char length_key[] = "ghl.length.", choices_key[] = "ghl.choices", data_key[] = "ghl.data";

static size_t state_bytes(ghl_state_info info)
{
    return (size_t)ghl_shape_elements(info.shape) * ghl_dtype_bytes(info.dtype);
}

/* ---- Saving ---- */

static ghl_status add_choices(const ghl_training *t, ghl_tensors *out)
{
    char *text = NULL;
    ghl_status status = ghl_plan_choices(t->setup.plan, &text);
    if (status == GHL_OK && text != NULL)
        status = ghl_tensors_note(out, choices_key, text);
    free(text);
    return status;
}

static ghl_status add_notes(const ghl_training *t, ghl_tensors *out)
{
    GHL_TRY(ghl_tensors_note(out, "ghl.fingerprint", t->fingerprint));
    GHL_TRY(ghl_tensors_note(out, data_key, t->data));
    GHL_TRY(ghl_checkpoint_note(&t->setup, t->text, out));
    GHL_TRY(add_choices(t, out));
    ghl_sink_length lengths[SINKS];
    int n = ghl_metrics_lengths(t->metrics, SINKS, lengths);
    for (int i = 0; i < n && i < SINKS; i++) {
        char key[80], value[32];
        snprintf(key, sizeof key, "%s%s", length_key, lengths[i].name);
        snprintf(value, sizeof value, "%lld", (long long)lengths[i].length);
        GHL_TRY(ghl_tensors_note(out, key, value));
    }
    return GHL_OK;
}

static ghl_status add_figures(const ghl_training *t, ghl_tensors *out)
{
    const int64_t counts = GHL_COUNTS, sums = GHL_SUMS;
    const int64_t damaged[2] = {t->damages.count, 3};
    GHL_TRY(ghl_tensors_add(out, "train/counts", GHL_I64, 1, &counts, t->counts));
    if (t->damages.count > 0)
        GHL_TRY(ghl_tensors_add(out, "train/damaged", GHL_I64, 2, damaged, t->damages.rows));
    return ghl_tensors_add(out, "train/sums", GHL_F64, 1, &sums, t->sums);
}

/* What is not of the net: *memory owns the values. */
static ghl_status add_states(const ghl_training *t, ghl_tensors *out, void **memory)
{
    ghl_plan *plan = t->setup.plan;
    int first = t->setup.net->weights, n = ghl_plan_states(plan);
    size_t total = 1;
    for (int i = first; i < n; i++)
        total += (state_bytes(ghl_plan_state(plan, i)) + 7) & ~(size_t)7;
    GHL_TRY(ghl_allocate(total, 1, memory));
    char *at = *memory;
    for (int i = first; i < n; i++) {
        ghl_state_info info = ghl_plan_state(plan, i);
        int64_t dim[4] = {info.shape.n, info.shape.h, info.shape.w, info.shape.c};
        char name[256];
        snprintf(name, sizeof name, "state/%s", info.name);
        GHL_TRY(ghl_plan_read(plan, i, at));
        GHL_TRY(ghl_tensors_add(out, name, info.dtype, 4, dim, at));
        at += (state_bytes(info) + 7) & ~(size_t)7;
    }
    return GHL_OK;
}

/* The phase of the best epoch. */
static int best_phase(const ghl_training *t)
{
    int i = 0;
    while (i < t->counts[GHL_COUNT_PHASE] && ghl_recipe_epochs(t->recipe, i + 1) < t->counts[GHL_COUNT_BEST_EPOCH])
        i++;
    return i;
}

static ghl_status write_state(const ghl_training *t, const void *weights)
{
    ghl_tensors out = {0};
    void *memory = NULL;
    char path[4096];
    ghl_status status = ghl_path_join(path, t->folder, "state");
    if (status == GHL_OK)
        status = add_notes(t, &out);
    if (status == GHL_OK)
        status = add_figures(t, &out);
    if (status == GHL_OK)
        status = ghl_snapshot_add(t->setup.net, weights, "weights/", &out);
    if (status == GHL_OK)
        status = add_states(t, &out, &memory);
    if (status == GHL_OK && t->best != NULL)
        status = ghl_snapshot_add(t->nets[best_phase(t)], t->best, "best/", &out);
    if (status == GHL_OK && t->trunk != NULL)
        status = ghl_snapshot_add(t->nets[0], t->trunk, "trunk/", &out);
    if (status == GHL_OK)
        status = ghl_tensors_write(&out, path);
    ghl_tensors_release(&out);
    free(memory);
    return status;
}

static ghl_status write_checkpoint(const ghl_training *t, const char *name, const void *snapshot, int64_t phase, int64_t epoch)
{
    const ghl_phase *p = &ghl_recipe_phase_at(t->recipe, (int)phase)->phase;
    ghl_tensors out = {0};
    char path[4096], value[32];
    snprintf(value, sizeof value, "%lld", (long long)epoch);
    ghl_status status = ghl_path_join(path, t->folder, name);
    if (status == GHL_OK)
        status = ghl_checkpoint_note(&t->setup, t->text, &out);
    if (status == GHL_OK)
        status = ghl_tensors_note(&out, "ghl.epoch", value);
    if (status == GHL_OK && p->branch) /* whose net it is */
        status = ghl_tensors_note(&out, "ghl.phase", p->name);
    if (status == GHL_OK)
        status = ghl_snapshot_add(t->nets[phase], snapshot, "", &out);
    if (status == GHL_OK)
        status = ghl_tensors_write(&out, path);
    ghl_tensors_release(&out);
    return status;
}

static ghl_status write_checkpoints(const ghl_training *t)
{
    const int64_t *c = t->counts;
    void *last = NULL;
    GHL_TRY(ghl_snapshot_take_averages(t->setup.plan, &last));
    const ghl_status status = write_checkpoint(t, "last.safetensors", last, c[GHL_COUNT_PHASE], c[GHL_COUNT_EPOCH]);
    free(last);
    GHL_TRY(status);
    return t->best != NULL ? write_checkpoint(t, "best.safetensors", t->best, best_phase(t), c[GHL_COUNT_BEST_EPOCH]) : GHL_OK;
}

static ghl_status save(const ghl_training *t)
{
    GHL_TRY(ghl_metrics_sync(t->metrics));
    void *weights = NULL;
    GHL_TRY(ghl_snapshot_take(t->setup.plan, &weights));
    const ghl_status status = write_state(t, weights);
    free(weights);
    return status == GHL_OK ? write_checkpoints(t) : status;
}

void ghl_training_save(ghl_training *t)
{
    ghl_status status = save(t);
    if (status != GHL_OK) {
        ghl_failure_take(&t->failure, status);
        t->failure.status = GHL_RUN;
        ghl_tell(t->host, GHL_LEVEL_WARNING, "step %lld: not saved, the previous state is kept: %s", (long long)t->counts[GHL_COUNT_STEP],
                 t->failure.message);
    } else if (t->save_failed) {
        ghl_tell(t->host, GHL_LEVEL_INFO, "step %lld: saved again", (long long)t->counts[GHL_COUNT_STEP]);
    }
    t->save_failed = status != GHL_OK;
}

/* ---- Resuming ---- */

ghl_status ghl_run_compare(const char *folder, const char *theirs, const char *ours)
{
    /* Settled by the machine, or for the eye only. Epochs are compared once the schedules are known, data by what they are. */
    static const char *const free_keys[] = {"train.device", "train.threads", "train.workers", "train.log_every", "train.epochs",
                                            "train.recompute", "train.features", "train.resident", "data.error_budget", "data.path", NULL};
    ghl_text names = {0};
    ghl_recipe *before = NULL;
    int count = 0;
    GHL_TRY(ghl_recipe_parse(theirs, folder, 0, NULL, &before)); /* keys that are newer than the run get their defaults */
    char *again = ghl_recipe_text(before);
    ghl_recipe_free(before);
    ghl_status status = again != NULL ? ghl_recipe_difference(again, ours, free_keys, &names, &count)
                                      : ghl_fail(GHL_MEMORY, NULL, "out of memory for a recipe");
    ghl_free(again);
    if (status == GHL_OK)
        status = ghl_text_end(&names);
    if (status == GHL_OK && count > 0)
        status = ghl_fail(GHL_RECIPE, "continue with the same recipe, choose another --run, or start over with --fresh",
                          "%s is a run of another recipe: %.300s differ%s", folder, names.data, count == 1 ? "s" : "");
    ghl_text_release(&names);
    return status;
}

static ghl_status read_figures(const ghl_training *t, const ghl_tensors *state, const char *name, ghl_dtype dtype, int64_t count,
                               void *out)
{
    const ghl_entry *entry = ghl_tensors_find(state, name);
    if (entry == NULL || entry->dtype != dtype || entry->rank != 1 || entry->dim[0] != count)
        return ghl_fail(GHL_RUN, "it was written by another version: start over with --fresh",
                        "%s/state: tensor %s is missing or of another shape",
                        t->folder, name);
    memcpy(out, entry->data, entry->bytes);
    return GHL_OK;
}

static ghl_status read_damages(ghl_training *t, const ghl_tensors *state)
{
    const ghl_entry *entry = ghl_tensors_find(state, "train/damaged");
    if (entry == NULL)
        return GHL_OK;
    if (entry->dtype != GHL_I64 || entry->rank != 2 || entry->dim[1] != 3 || entry->dim[0] > INT32_MAX / 3)
        return ghl_fail(GHL_RUN, "start over with --fresh", "%s/state: tensor train/damaged is not i64 [n,3]", t->folder);
    GHL_TRY(GHL_GROW(t->damages.rows, t->damages.capacity, (int)entry->dim[0] * 3));
    memcpy(t->damages.rows, entry->data, entry->bytes);
    t->damages.count = (int)entry->dim[0];
    return GHL_OK;
}

/* What pixels are normalised with in the phase under way. */
static ghl_status read_affine(ghl_training *t, const ghl_tensors *state, const char *path)
{
    ghl_setup_options input = {0};
    const char *recipe = NULL;
    GHL_TRY(ghl_checkpoint_read_notes(state, path, &input, &t->affine, &recipe));
    t->channels = input.channels;
    return GHL_OK;
}

ghl_status ghl_training_find(ghl_training *t, ghl_tensors *state, bool *found)
{
    char path[4096];
    GHL_TRY(ghl_path_join(path, t->folder, "state"));
    *found = ghl_file_exists(path);
    if (!*found)
        return GHL_OK;
    GHL_TRY(ghl_tensors_read(path, GHL_RUN, state));
    const char *theirs = ghl_tensors_note_of(state, "ghl.recipe");
    if (theirs == NULL)
        return ghl_fail(GHL_RUN, "start over with --fresh", "%s: no recipe in its metadata", path);
    GHL_TRY(ghl_run_compare(t->folder, theirs, t->text));
    GHL_TRY(ghl_copy_text(ghl_tensors_note_of(state, choices_key), &t->choices));
    GHL_TRY(read_figures(t, state, "train/counts", GHL_I64, GHL_COUNTS, t->counts));
    GHL_TRY(read_figures(t, state, "train/sums", GHL_F64, GHL_SUMS, t->sums));
    GHL_TRY(read_damages(t, state));
    GHL_TRY(read_affine(t, state, path));
    t->launched = t->counts[GHL_COUNT_STEP];
    t->taken = t->counts[GHL_COUNT_POSITION];
    const int64_t phase = t->counts[GHL_COUNT_PHASE];
    if (phase >= 0 && phase < ghl_recipe_phases(t->recipe))
        return GHL_OK;
    return ghl_fail(GHL_RUN, "start over with --fresh", "%s: it is in phase %lld of %d", path, (long long)phase + 1,
                    ghl_recipe_phases(t->recipe));
}

static ghl_status restore_states(ghl_training *t, const ghl_tensors *state)
{
    ghl_plan *plan = t->setup.plan;
    for (int i = t->setup.net->weights; i < ghl_plan_states(plan); i++) {
        ghl_state_info info = ghl_plan_state(plan, i);
        char name[256];
        snprintf(name, sizeof name, "state/%s", info.name);
        const ghl_entry *entry = ghl_tensors_find(state, name);
        if (entry == NULL || entry->dtype != info.dtype || entry->bytes != state_bytes(info))
            return ghl_fail(GHL_RUN, "start over with --fresh", "%s/state: tensor %s is missing or of another shape", t->folder, name);
        GHL_TRY(ghl_plan_write(plan, i, entry->data));
    }
    return GHL_OK;
}

static ghl_status fail_epochs(const ghl_training *t, int phase, int64_t before, int64_t done)
{
    const char *name = t->recipe->n_phases > 0 ? t->recipe->phases[phase]->phase.name : NULL;
    return ghl_fail(GHL_RECIPE, "continue with the same train.epochs, choose another --run, or start over with --fresh",
                    "%s is a run of train.epochs = %lld%s%s, and with %lld the %lld steps that are done would have been others",
                    t->folder, (long long)before, name != NULL ? " in phase " : "", name != NULL ? name : "",
                    (long long)ghl_recipe_phase_at(t->recipe, phase)->train.epochs, (long long)done);
}

/* More epochs are the same training only if every rate so far would have been the same. */
static bool same_rates(const ghl_training *t, int64_t old_epochs, int64_t epochs, int64_t done)
{
    const int64_t per_epoch = t->setup.steps_per_epoch, stride = done / 1000000 + 1;
    bool same = epochs * per_epoch >= done;
    for (int64_t step = 0; same && step < done; step += stride) {
        ghl_progress a = {.step = step, .steps = old_epochs * per_epoch, .epoch = step / per_epoch, .epochs = old_epochs,
                          .steps_per_epoch = per_epoch};
        ghl_progress b = a;
        b.steps = epochs * per_epoch;
        b.epochs = epochs;
        for (int i = 0; same && i < t->setup.learnings.n_groups; i++) {
            const ghl_rate_group *group = &t->setup.learnings.groups[i];
            same = group->schedule->factor(group->schedule_options, &a) == group->schedule->factor(group->schedule_options, &b);
        }
    }
    return same;
}

static ghl_status compare_epochs(const ghl_training *t, const ghl_tensors *state)
{
    const int phase = (int)t->counts[GHL_COUNT_PHASE];
    const int64_t done = t->counts[GHL_COUNT_STEP] - t->counts[GHL_COUNT_PHASE_STEP];
    ghl_recipe *before = NULL;
    GHL_TRY(ghl_recipe_parse(ghl_tensors_note_of(state, "ghl.recipe"), "state", 0, NULL, &before));
    ghl_status status = GHL_OK;
    for (int i = 0; status == GHL_OK && i <= phase && i < ghl_recipe_phases(before); i++) {
        const int64_t theirs = ghl_recipe_phase_at(before, i)->train.epochs, ours = ghl_recipe_phase_at(t->recipe, i)->train.epochs;
        if (theirs != ours && (i < phase || !same_rates(t, theirs, ours, done)))
            status = fail_epochs(t, i, theirs, i < phase ? t->counts[GHL_COUNT_STEP] : done);
    }
    ghl_recipe_free(before);
    return status;
}

/* States of before know nothing of their images. */
static ghl_status check_data(const ghl_training *t, const ghl_tensors *state)
{
    const char *theirs = ghl_tensors_note_of(state, data_key);
    if (theirs == NULL || strcmp(theirs, t->data) == 0)
        return GHL_OK;
    return ghl_fail(GHL_RUN, "bring the run's own back, set data.path to where they lie now, or start over with --fresh",
                    "the images of \"%s\" are not those that %s was begun with", t->phase->data.path, t->folder);
}

static ghl_status check_figures(const ghl_training *t)
{
    const int64_t *c = t->counts;
    int64_t count = t->setup.train.count, batch = t->setup.batch, per_epoch = t->setup.steps_per_epoch;
    int64_t epoch = c[GHL_COUNT_EPOCH] - c[GHL_COUNT_PHASE_EPOCH], step = c[GHL_COUNT_STEP] - c[GHL_COUNT_PHASE_STEP];
    bool good = c[GHL_COUNT_POSITION] >= 0 && c[GHL_COUNT_POSITION] <= count && epoch >= 0 && step >= 0 &&
                (c[GHL_COUNT_POSITION] % batch == 0 || c[GHL_COUNT_POSITION] == count) &&
                step == epoch * per_epoch + (c[GHL_COUNT_POSITION] + batch - 1) / batch;
    if (good)
        return GHL_OK;
    return ghl_fail(GHL_RUN, "the data are not those of the run: bring them back, or start over with --fresh",
                    "%s/state is at step %lld, image %lld of epoch %lld, which %lld training images do not have", t->folder,
                    (long long)c[GHL_COUNT_STEP], (long long)c[GHL_COUNT_POSITION], (long long)c[GHL_COUNT_EPOCH] + 1, (long long)count);
}

ghl_status ghl_training_restore(ghl_training *t, const ghl_tensors *state)
{
    char path[4096];
    void *weights = NULL;
    GHL_TRY(ghl_path_join(path, t->folder, "state"));
    GHL_TRY(check_data(t, state));
    GHL_TRY(check_figures(t));
    GHL_TRY(compare_epochs(t, state));
    GHL_TRY(ghl_snapshot_load(t->setup.net, "weights/", state, path, NULL, &weights));
    ghl_status status = ghl_snapshot_put(t->setup.plan, weights);
    if (status == GHL_OK && t->counts[GHL_COUNT_BEST_EPOCH] > 0)
        status = ghl_snapshot_load(t->nets[best_phase(t)], "best/", state, path, NULL, &t->best);
    if (status == GHL_OK && t->phase->phase.branch)
        status = ghl_snapshot_load(t->nets[0], "trunk/", state, path, NULL, &t->trunk);
    if (status == GHL_OK)
        status = restore_states(t, state);
    free(weights);
    return status == GHL_OK ? write_checkpoints(t) : status; /* a kill may have come between state and these */
}

int ghl_training_lengths(const ghl_tensors *state, int room, ghl_sink_length *out)
{
    const ghl_descriptor *sink = NULL;
    int n = 0;
    for (int i = 0; n < room && (sink = ghl_registry_at(&ghl_sinks, i)) != NULL; i++) {
        char key[80];
        snprintf(key, sizeof key, "%s%s", length_key, sink->name);
        const char *value = ghl_tensors_note_of(state, key);
        if (value != NULL)
            out[n++] = (ghl_sink_length){.name = sink->name, .length = strtoll(value, NULL, 10)};
    }
    return n;
}
