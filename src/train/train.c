/* SPDX-License-Identifier: Apache-2.0
 *
 * ghl_train: a training from its start, or from where it was left, to its end.
 *
 * What happens between two steps, in this order: stop if asked to (the state is saved first); at the end of an epoch evaluate and write
 * its row; end; stop where --stop-after says; save where it is due; else queue the next step.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "train/fit.h"
#include "train/probing.h"
#include "train/training.h"
#include "train/whiten.h"

static atomic_int scopes; /* trainings and sweeps of this process */

void ghl_stop_scope_enter(void)
{
    atomic_fetch_add(&scopes, 1);
}

void ghl_stop_scope_leave(void)
{
    if (atomic_fetch_sub(&scopes, 1) == 1)
        ghl_stop_clear();
}

static void note_damage(void *user, const char *text)
{
    ghl_training *t = user;
    if (ghl_metrics_note(t->metrics, t->counts[GHL_COUNT_STEP], text) != GHL_OK) /* it waits, and is written before the next save */
        ghl_tell(t->host, GHL_LEVEL_WARNING, "%s", ghl_error_message());
}

static bool epoch_done(const ghl_training *t)
{
    return t->taken == t->setup.train.count;
}

static ghl_status interrupted(ghl_training *t)
{
    GHL_TRY(ghl_training_drain(t));
    ghl_training_save(t);
    if (t->save_failed)
        return ghl_failure_raise(&t->failure);
    return ghl_fail(GHL_INTERRUPTED, "run the same command again to continue", "interrupted after step %lld, saved in %s",
                    (long long)t->counts[GHL_COUNT_STEP], t->folder);
}

/* Too many images are damaged: what was learned is kept, for when they are mended or allowed. */
static ghl_status spoiled(ghl_training *t)
{
    GHL_TRY(ghl_training_drain(t));
    ghl_training_save(t);
    return ghl_failure_raise(&t->spoiled);
}

static ghl_status end_epoch(ghl_training *t)
{
    GHL_TRY(ghl_training_drain(t));
    if (t->spoiled.status != GHL_OK)
        return spoiled(t);
    ghl_status status = ghl_training_finish_epoch(t);
    if (status == GHL_INTERRUPTED)
        return interrupted(t);
    if (status == GHL_DATA) {
        ghl_failure_take(&t->spoiled, status);
        return spoiled(t);
    }
    GHL_TRY(status);
    int64_t every = t->phase->train.save_every;
    if (every == 0 || ghl_phase_done(t) || t->counts[GHL_COUNT_STEP] % every == 0)
        ghl_training_save(t);
    return GHL_OK;
}

static bool is_last_phase(const ghl_training *t)
{
    return t->counts[GHL_COUNT_PHASE] == ghl_recipe_phases(t->recipe) - 1;
}

static void announce_phase(const ghl_training *t)
{
    if (ghl_training_phase(t) != NULL)
        ghl_tell(t->host, GHL_LEVEL_INFO, "phase %s, %lld of %d: %lld epochs%s", t->phase->phase.name,
                 (long long)t->counts[GHL_COUNT_PHASE] + 1, ghl_recipe_phases(t->recipe), (long long)t->phase->train.epochs,
                 t->setup.scored ? "" : ", without labels");
}

static ghl_status steps(ghl_training *t)
{
    for (;;) {
        const int64_t every = t->phase->train.save_every;
        if (ghl_stop_requested())
            return interrupted(t);
        if (t->spoiled.status != GHL_OK)
            return spoiled(t);
        if (epoch_done(t))
            GHL_TRY(end_epoch(t));
        if (ghl_phase_done(t) && is_last_phase(t))
            break;
        if (ghl_phase_done(t)) {
            const ghl_status status = ghl_phase_next(t);
            if (status == GHL_INTERRUPTED)
                return interrupted(t);
            GHL_TRY(status);
            announce_phase(t);
            continue;
        }
        if (t->stop_after > 0 && t->launched >= t->stop_after)
            return interrupted(t);
        GHL_TRY(ghl_training_launch(t));
        if (every > 0 && t->launched % every == 0 && !epoch_done(t)) {
            GHL_TRY(ghl_training_drain(t));
            ghl_training_save(t);
        }
    }
    return t->save_failed ? ghl_failure_raise(&t->failure) : ghl_features_remove(&t->setup);
}

/* Is that line, of so many characters, one of the text? */
static bool has_line(const char *text, const char *line, size_t length)
{
    for (const char *at = text; at != NULL; at = strchr(at, '\n'), at += at != NULL)
        if (strncmp(at, line, length) == 0 && (at[length] == '\n' || at[length] == 0))
            return true;
    return false;
}

/* A note where the device has not made the choices of kernels that the state has recorded. */
static ghl_status compare_choices(ghl_training *t)
{
    char *ours = NULL, note[512];
    bool others = false;
    size_t length = 0;
    GHL_TRY(ghl_plan_choices(t->setup.plan, &ours));
    for (const char *line = ours; !others && line != NULL && *line != 0 && t->choices != NULL; line += length + (line[length] != 0)) {
        length = strcspn(line, "\n");
        others = !has_line(t->choices, line, length);
        if (others)
            snprintf(note, sizeof note, "continued with other kernels than %.200s/state says, so not to the last bit: now \"%.*s\"",
                     t->folder, length < 200 ? (int)length : 200, line);
    }
    free(ours);
    return others ? ghl_metrics_note(t->metrics, t->counts[GHL_COUNT_STEP], note) : GHL_OK;
}

static ghl_status announce(ghl_training *t, const ghl_tensors *state, bool found)
{
    void *self = NULL;
    const ghl_device *device = ghl_plan_device(t->setup.plan, &self);
    const ghl_setup *s = &t->setup;
    ghl_tell(t->host, GHL_LEVEL_INFO, "%s: %s, %lld parameters, %lld training and %lld %s images, %s (%s)", t->recipe->top.name,
             s->net->name, (long long)ghl_net_parameters(s->net), (long long)s->train.count, (long long)s->test.count,
             t->phase->data.holdout > 0 ? "held-out" : "test", device->name, device->describe(self));
    announce_phase(t);
    if (!found)
        return GHL_OK;
    ghl_tell(t->host, GHL_LEVEL_INFO, "continues %s after step %lld of %lld", t->folder, (long long)t->counts[GHL_COUNT_STEP],
             (long long)(t->counts[GHL_COUNT_PHASE_STEP] + t->phase->train.epochs * s->steps_per_epoch));
    const char *before = ghl_tensors_note_of(state, "ghl.fingerprint");
    char note[1024];
    GHL_TRY(compare_choices(t));
    if (before != NULL && strcmp(before, t->fingerprint) == 0)
        return GHL_OK;
    snprintf(note, sizeof note, "continued on another machine or build, so not to the last bit: before \"%.400s\", now \"%.400s\"",
             before != NULL ? before : "", t->fingerprint);
    return ghl_metrics_note(t->metrics, t->counts[GHL_COUNT_STEP], note);
}

/* Columns of metrics.csv behind the fixed ones: the phase, what probes measure in any. */
static ghl_status open_metrics(ghl_training *t, int n, const ghl_sink_length *lengths)
{
    ghl_text columns = {0};
    bool probes = false;
    for (int i = 0; i < ghl_recipe_phases(t->recipe); i++)
        probes = probes || ghl_recipe_phase_at(t->recipe, i)->train.probes;
    if (t->recipe->n_phases > 0)
        ghl_text_add(&columns, ",phase");
    if (probes) {
        GHL_TRY(GHL_NEW(t->probes, ghl_probing_count(t->nets[0]) + 1));
        ghl_probing_columns(t->nets[0], &columns);
    }
    ghl_status status = ghl_text_end(&columns);
    if (status == GHL_OK)
        status = ghl_metrics_open(t->folder, t->host, columns.data, n, lengths, &t->metrics);
    ghl_text_release(&columns);
    return status;
}

static ghl_status prepare(ghl_training *t, const ghl_train_options *options, ghl_tensors *state)
{
    bool found = false;
    ghl_sink_length lengths[16];
    int n = 0;
    t->text = ghl_recipe_text(t->recipe);
    if (t->text == NULL)
        return ghl_fail(GHL_MEMORY, NULL, "out of memory for the resolved recipe");
    GHL_TRY(ghl_run_open(t, options->run));
    if (options->fresh)
        GHL_TRY(ghl_run_remove(t->folder));
    GHL_TRY(ghl_training_find(t, state, &found));
    GHL_TRY(ghl_phases_check(t));
    GHL_TRY(ghl_phase_open(t));
    ghl_recipe_tell(t->recipe, t->host);
    if (found) {
        GHL_TRY(ghl_training_restore(t, state));
        n = ghl_training_lengths(state, 16, lengths);
    } else
        GHL_TRY(ghl_whiten_fit(&t->setup, t->host));
    GHL_TRY(open_metrics(t, n, lengths));
    if (!found)
        GHL_TRY(ghl_training_init(t));
    GHL_TRY(ghl_phase_begin(t));
    return announce(t, state, found);
}

static void fill_result(const ghl_training *t, ghl_train_result *result)
{
    *result = (ghl_train_result){
        .epoch = t->counts[GHL_COUNT_EPOCH],
        .step = t->counts[GHL_COUNT_STEP],
        .train_loss = t->sums[GHL_SUM_TRAIN_LOSS],
        .train_top1 = t->sums[GHL_SUM_TRAIN_TOP1],
        .test_loss = t->sums[GHL_SUM_TEST_LOSS],
        .test_top1 = t->sums[GHL_SUM_TEST_TOP1],
        .test_top5 = t->sums[GHL_SUM_TEST_TOP5],
        .best_top1 = t->sums[GHL_SUM_BEST_TOP1],
        .best_epoch = t->counts[GHL_COUNT_BEST_EPOCH],
        .images_per_s = t->watch.busy > 0 ? (double)t->watch.images / t->watch.busy : 0,
    };
}

static ghl_status run(ghl_training *t)
{
    if (ghl_phase_done(t) && is_last_phase(t)) {
        ghl_tell(t->host, GHL_LEVEL_INFO, "%s is finished: %lld epochs are done; --fresh starts over, more train.epochs go on", t->folder,
                 (long long)t->counts[GHL_COUNT_EPOCH]);
        return ghl_features_remove(&t->setup);
    }
    t->watch.start = t->watch.row = ghl_now();
    return steps(t);
}

static void release(ghl_training *t)
{
    ghl_phase_close(t);
    ghl_metrics_close(t->metrics);
    if (t->lock >= 0)
        ghl_file_close(t->lock);
    for (int i = 0; t->nets != NULL && i < ghl_recipe_phases(t->recipe); i++)
        ghl_net_free(t->nets[i]);
    free(t->nets);
    free(t->best);
    free(t->trunk);
    free(t->probes);
    free(t->text);
    free(t->fingerprint);
    free(t->choices);
    free(t->affine);
    ghl_damages_release(&t->damages);
    free(t);
}

ghl_status ghl_train(const ghl_recipe *recipe, const ghl_train_options *options, const ghl_host *host, ghl_train_result *result)
{
    static const ghl_train_options none = {0};
    options = options != NULL ? options : &none;
    ghl_training *t = NULL;
    ghl_tensors state = {0};
    if (result != NULL)
        *result = (ghl_train_result){0};
    if (options->stop_after < 0)
        return ghl_fail(GHL_USAGE, "0 trains to the end", "stop after %lld steps: not a number of steps", (long long)options->stop_after);
    GHL_TRY(GHL_NEW(t, 1));
    t->recipe = recipe;
    t->phase = ghl_recipe_phase_at(recipe, 0);
    t->host = host;
    t->stop_after = options->stop_after;
    t->lock = -1;
    t->damages.tell = note_damage;
    t->damages.user = t;
    ghl_stop_scope_enter();
    ghl_status status = prepare(t, options, &state);
    ghl_tensors_release(&state);
    if (status == GHL_OK)
        status = run(t);
    if (result != NULL)
        fill_result(t, result);
    ghl_failure failure;
    ghl_failure_take(&failure, status);
    release(t);
    ghl_stop_scope_leave();
    return status == GHL_OK ? GHL_OK : ghl_failure_raise(&failure);
}
