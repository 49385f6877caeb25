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

static ghl_status end_epoch(ghl_training *t)
{
    GHL_TRY(ghl_training_drain(t));
    ghl_status status = ghl_training_finish_epoch(t);
    if (status == GHL_INTERRUPTED)
        return interrupted(t);
    GHL_TRY(status);
    int64_t every = t->recipe->train.save_every;
    bool last = t->counts[GHL_COUNT_EPOCH] == t->recipe->train.epochs;
    if (every == 0 || last || t->counts[GHL_COUNT_STEP] % every == 0)
        ghl_training_save(t);
    return GHL_OK;
}

static ghl_status steps(ghl_training *t)
{
    int64_t every = t->recipe->train.save_every;
    for (;;) {
        if (ghl_stop_requested())
            return interrupted(t);
        if (epoch_done(t))
            GHL_TRY(end_epoch(t));
        if (t->counts[GHL_COUNT_EPOCH] >= t->recipe->train.epochs)
            break;
        if (t->stop_after > 0 && t->launched >= t->stop_after)
            return interrupted(t);
        GHL_TRY(ghl_training_launch(t));
        if (every > 0 && t->launched % every == 0 && !epoch_done(t)) {
            GHL_TRY(ghl_training_drain(t));
            ghl_training_save(t);
        }
    }
    return t->save_failed ? ghl_failure_raise(&t->failure) : GHL_OK;
}

static ghl_status announce(ghl_training *t, const ghl_tensors *state, bool found)
{
    void *self = NULL;
    const ghl_device *device = ghl_plan_device(t->setup.plan, &self);
    const ghl_setup *s = &t->setup;
    ghl_tell(t->host, GHL_LEVEL_INFO, "%s: %s, %lld parameters, %lld training and %lld %s images, %s (%s)", t->recipe->top.name,
             s->net->name, (long long)ghl_net_parameters(s->net), (long long)s->train.count, (long long)s->test.count,
             t->recipe->data.holdout > 0 ? "held-out" : "test", device->name, device->describe(self));
    if (!found)
        return GHL_OK;
    ghl_tell(t->host, GHL_LEVEL_INFO, "continues %s after step %lld of %lld", t->folder, (long long)t->counts[GHL_COUNT_STEP],
             (long long)(t->recipe->train.epochs * s->steps_per_epoch));
    const char *before = ghl_tensors_note_of(state, "ghl.fingerprint");
    if (before != NULL && strcmp(before, t->fingerprint) == 0)
        return GHL_OK;
    char note[1024];
    snprintf(note, sizeof note, "continued on another machine or build, so not to the last bit: before \"%.400s\", now \"%.400s\"",
             before != NULL ? before : "", t->fingerprint);
    return ghl_metrics_note(t->metrics, t->counts[GHL_COUNT_STEP], note);
}

static ghl_status open_loader(ghl_training *t)
{
    ghl_loader_settings settings = {.images = &t->setup.train, .batch = t->setup.batch, .seed = (uint64_t)t->recipe->top.seed,
                                    .shuffle = true,
                                    .slots = GHL_LOADER_SLOTS, .threads = (int)t->recipe->train.workers};
    GHL_TRY(ghl_loader_create(&settings, &t->loader));
    int groups = t->setup.learnings.n_groups;
    for (int i = 0; i < GHL_FLIGHTS; i++)
        GHL_TRY(GHL_NEW(t->flights[i].rates, groups + 1));
    if (t->counts[GHL_COUNT_EPOCH] >= t->recipe->train.epochs)
        return GHL_OK;
    bool done = epoch_done(t);
    return ghl_loader_seek(t->loader, 0, t->counts[GHL_COUNT_EPOCH] + done, done ? 0 : t->taken);
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
    GHL_TRY(ghl_setup_begin(t->recipe, NULL, &t->setup));
    GHL_TRY(ghl_setup_programs(&t->setup, true));
    ghl_recipe_tell(t->recipe, t->host);
    if (found) {
        GHL_TRY(ghl_training_restore(t, state));
        n = ghl_training_lengths(state, 16, lengths);
    } else
        GHL_TRY(ghl_whiten_fit(&t->setup, t->host));
    GHL_TRY(ghl_run_describe(t));
    GHL_TRY(ghl_metrics_open(t->folder, t->host, n, lengths, &t->metrics));
    GHL_TRY(open_loader(t));
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
    if (t->counts[GHL_COUNT_EPOCH] >= t->recipe->train.epochs) {
        ghl_tell(t->host, GHL_LEVEL_INFO, "%s is finished: %lld epochs are done; --fresh starts over, more train.epochs go on", t->folder,
                 (long long)t->counts[GHL_COUNT_EPOCH]);
        return GHL_OK;
    }
    t->watch.start = t->watch.row = ghl_now();
    return steps(t);
}

/* Queued steps read the loader's slots: they end before it does. */
static void release(ghl_training *t)
{
    for (int i = 0; i < GHL_FLIGHTS; i++)
        if (t->flights[i].busy)
            ghl_plan_wait(t->setup.plan, t->flights[i].ticket);
    ghl_loader_free(t->loader);
    ghl_metrics_close(t->metrics);
    ghl_setup_release(&t->setup);
    for (int i = 0; i < GHL_FLIGHTS; i++)
        free(t->flights[i].rates);
    if (t->lock >= 0)
        ghl_folder_unlock(t->lock);
    free(t->best);
    free(t->text);
    free(t->fingerprint);
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
    t->host = host;
    t->stop_after = options->stop_after;
    t->lock = -1;
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
