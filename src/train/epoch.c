/* SPDX-License-Identifier: Apache-2.0
 *
 * The end of an epoch: evaluation on the test images, the best epoch so far, a row of metrics.csv.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "train/fit.h"
#include "train/probing.h"
#include "train/training.h"

/* ---- Evaluation: batches in order, the last one masked by its count ---- */

typedef struct evaluation {
    ghl_setup *setup;
    int64_t pass; /* for the damaged images that it meets */
    ghl_loader *loader;
    ghl_flight flights[GHL_FLIGHTS];
    double loss;
    int64_t top1, top5, count;
} evaluation;

static ghl_status pass_collect(evaluation *p, ghl_flight *flight)
{
    if (!flight->busy)
        return GHL_OK;
    GHL_TRY(ghl_plan_wait(p->setup->plan, flight->ticket));
    flight->busy = false;
    p->loss += flight->result[GHL_RESULT_LOSS];
    p->top1 += (int64_t)flight->result[GHL_RESULT_TOP1];
    p->top5 += (int64_t)flight->result[GHL_RESULT_TOP5];
    p->count += (int64_t)flight->result[GHL_RESULT_COUNT];
    ghl_loader_release(p->loader, flight->slot.index);
    return GHL_OK;
}

static ghl_status pass_launch(evaluation *p, int64_t number)
{
    ghl_flight *flight = &p->flights[number % GHL_FLIGHTS];
    const ghl_slot *slot = &flight->slot;
    GHL_TRY(pass_collect(p, flight));
    GHL_TRY(ghl_loader_next(p->loader, &flight->slot));
    GHL_TRY(ghl_setup_damages(p->setup, true, p->pass, slot));
    flight->clock[GHL_CLOCK_COUNT] = flight->clock[GHL_CLOCK_TOTAL] = slot->count;
    flight->step = (ghl_step){.images = ghl_resident_images(p->setup, true, slot), .features = slot->images,
                              .labels = slot->labels, .samples = slot->samples, .clock = flight->clock, .result = flight->result};
    GHL_TRY(ghl_plan_run(p->setup->plan, p->setup->evaluation, &flight->step, NULL, &flight->ticket));
    flight->busy = true;
    return GHL_OK;
}

static ghl_status pass_run(evaluation *p)
{
    const ghl_images *test = ghl_setup_feed(p->setup, true);
    int64_t batch = p->setup->batch, batches = (test->count + batch - 1) / batch;
    GHL_TRY(ghl_setup_loader(p->setup, test, GHL_EVALUATION_SLOTS, false, &p->loader));
    bool stopped = false;
    for (int64_t i = 0; i < batches && !stopped; i++) {
        stopped = ghl_stop_requested();
        if (!stopped)
            GHL_TRY(pass_launch(p, i));
    }
    for (int64_t i = 0; i < GHL_FLIGHTS; i++)
        GHL_TRY(pass_collect(p, &p->flights[(batches + i) % GHL_FLIGHTS]));
    return stopped ? ghl_fail(GHL_INTERRUPTED, NULL, "interrupted in an evaluation") : GHL_OK;
}

ghl_status ghl_evaluation_run(ghl_setup *setup, int64_t pass, ghl_score *score)
{
    evaluation p = {.setup = setup, .pass = pass};
    ghl_status status = pass_run(&p);
    for (int i = 0; i < GHL_FLIGHTS; i++) /* after a failure: queued steps read the loader's slots */
        if (p.flights[i].busy)
            ghl_plan_wait(setup->plan, p.flights[i].ticket);
    ghl_loader_free(p.loader);
    *score = (ghl_score){.loss = p.count > 0 ? p.loss / (double)p.count : NAN, .top1 = p.top1, .top5 = p.top5, .count = p.count};
    return status;
}

/* ---- The end of an epoch ---- */

/* Base rate times schedule, of the epoch's last step and of the first weight that learns. */
static double shown_rate(const ghl_training *t)
{
    const ghl_learnings *l = &t->setup.learnings;
    int group = 0;
    for (int i = t->setup.net->weights - 1; i >= 0; i--)
        if (l->weights[i].rule != NULL && !l->weights[i].rule->frozen)
            group = l->weights[i].step.group;
    ghl_progress progress;
    ghl_training_progress(t, &progress);
    progress.step--;
    return l->n_groups > 0 ? l->groups[group].lr * l->groups[group].schedule->factor(l->groups[group].schedule_options, &progress) : 0;
}

static ghl_status keep_best(ghl_training *t)
{
    void *snapshot = NULL;
    GHL_TRY(ghl_snapshot_take_averages(t->setup.plan, &snapshot)); /* what was tested */
    free(t->best);
    t->best = snapshot;
    t->counts[GHL_COUNT_BEST_EPOCH] = t->counts[GHL_COUNT_EPOCH] + 1;
    t->sums[GHL_SUM_BEST_TOP1] = t->sums[GHL_SUM_TEST_TOP1];
    return GHL_OK;
}

/* Where the run stands; nothing in a phase that does not ask, or of a branch, whose layers have no columns. */
static ghl_status probe(ghl_training *t)
{
    const int64_t clock[GHL_CLOCK_SIZE] = {[GHL_CLOCK_STEP] = t->counts[GHL_COUNT_STEP], [GHL_CLOCK_PHASE] = t->counts[GHL_COUNT_PHASE],
                                           [GHL_CLOCK_EPOCH] = t->counts[GHL_COUNT_EPOCH], [GHL_CLOCK_COUNT] = t->setup.batch,
                                           [GHL_CLOCK_TOTAL] = t->setup.batch};
    for (int i = 0; i < ghl_probing_count(t->nets[0]); i++)
        t->probes[i] = NAN;
    return t->phase->train.probes && !t->phase->phase.branch ? ghl_probing_read(&t->setup, clock, t->probes) : GHL_OK;
}

static ghl_status write_row(ghl_training *t, double rate, bool best)
{
    const double *sums = t->sums;
    ghl_epoch_row row = {
        .epoch = t->counts[GHL_COUNT_EPOCH] + 1,
        .epochs = ghl_recipe_epochs(t->recipe, ghl_recipe_phases(t->recipe)),
        .step = t->counts[GHL_COUNT_STEP],
        .phase = ghl_training_phase(t),
        .scored = t->setup.scored,
        .train_loss = sums[GHL_SUM_TRAIN_LOSS],
        .train_top1 = sums[GHL_SUM_TRAIN_TOP1],
        .tested = t->setup.tested,
        .test_loss = sums[GHL_SUM_TEST_LOSS],
        .test_top1 = sums[GHL_SUM_TEST_TOP1],
        .test_top5 = sums[GHL_SUM_TEST_TOP5],
        .best_top1 = sums[GHL_SUM_BEST_TOP1],
        .best = best,
        .lr = rate,
        .images_per_s = t->watch.busy > 0 ? (double)t->watch.images / t->watch.busy : 0,
        .more = t->probes,
        .n_more = t->probes != NULL ? ghl_probing_count(t->nets[0]) : 0,
    };
    ghl_status status = ghl_metrics_epoch(t->metrics, &row);
    const int64_t damaged = ghl_damages_count(&t->damages, 0, t->counts[GHL_COUNT_EPOCH]);
    char note[120];
    if (status == GHL_OK && damaged > 0) {
        snprintf(note, sizeof note, "%lld damaged images of epoch %lld were replaced", (long long)damaged, (long long)row.epoch);
        status = ghl_metrics_note(t->metrics, t->counts[GHL_COUNT_STEP], note);
    }
    if (status == GHL_OK && t->counts[GHL_COUNT_SKIPPED] > 0) {
        snprintf(note, sizeof note, "%lld steps skipped so far: they were not finite", (long long)t->counts[GHL_COUNT_SKIPPED]);
        status = ghl_metrics_note(t->metrics, t->counts[GHL_COUNT_STEP], note);
    }
    return status;
}

/* What the device has noted since it was last asked: that steps are no graph, say. */
static ghl_status note_device(ghl_training *t)
{
    void *self = NULL;
    const ghl_device *device = ghl_plan_device(t->setup.plan, &self);
    const char *news = device->describe(self) + t->described;
    if (*news == '\0')
        return GHL_OK;
    t->described += strlen(news);
    return ghl_metrics_note(t->metrics, t->counts[GHL_COUNT_STEP], news + strspn(news, "; "));
}

static ghl_status test(ghl_training *t, bool *best)
{
    ghl_score score;
    GHL_TRY(ghl_evaluation_run(&t->setup, t->counts[GHL_COUNT_EPOCH], &score));
    const double tests = (double)score.count;
    t->sums[GHL_SUM_TEST_LOSS] = isnan(score.loss) ? NAN : score.loss; /* one spelling: no sign */
    t->sums[GHL_SUM_TEST_TOP1] = 100.0 * (double)score.top1 / tests;
    t->sums[GHL_SUM_TEST_TOP5] = 100.0 * (double)score.top5 / tests;
    *best = t->counts[GHL_COUNT_BEST_EPOCH] == 0 || t->sums[GHL_SUM_TEST_TOP1] > t->sums[GHL_SUM_BEST_TOP1];
    return *best ? keep_best(t) : GHL_OK;
}

ghl_status ghl_training_finish_epoch(ghl_training *t)
{
    bool best = false;
    if (t->setup.tested)
        GHL_TRY(test(t, &best));
    if (t->probes != NULL)
        GHL_TRY(probe(t));
    double images = t->setup.scored ? (double)t->counts[GHL_COUNT_EPOCH_IMAGES] : 0;
    t->sums[GHL_SUM_TRAIN_LOSS] = images > 0 ? t->sums[GHL_SUM_EPOCH_LOSS] / images : NAN;
    t->sums[GHL_SUM_TRAIN_TOP1] = images > 0 ? 100.0 * (double)t->counts[GHL_COUNT_EPOCH_TOP1] / images : NAN;
    if (write_row(t, shown_rate(t), best) != GHL_OK || note_device(t) != GHL_OK) /* it waits, and is written before the next save */
        ghl_tell(t->host, GHL_LEVEL_WARNING, "%s", ghl_error_message());
    t->counts[GHL_COUNT_EPOCH]++;
    t->counts[GHL_COUNT_POSITION] = t->counts[GHL_COUNT_EPOCH_IMAGES] = t->counts[GHL_COUNT_EPOCH_TOP1] = 0;
    t->sums[GHL_SUM_EPOCH_LOSS] = 0;
    t->taken = 0;
    return GHL_OK;
}
