/* SPDX-License-Identifier: Apache-2.0
 *
 * The pipeline of steps: a few are queued ahead, results are read back in order as their places are needed again, so that the device
 * never waits for the host. What is summed is summed in the order of the steps, whatever the timing.
 */
#include <math.h>

#include "base/machine.h"
#include "train/training.h"

/* Of the step that is launched next, in its phase. */
void ghl_training_progress(const ghl_training *t, ghl_progress *progress)
{
    int64_t epochs = t->phase->train.epochs, per_epoch = t->setup.steps_per_epoch;
    *progress = (ghl_progress){.step = t->launched - t->counts[GHL_COUNT_PHASE_STEP], .steps = epochs * per_epoch,
                               .epoch = t->counts[GHL_COUNT_EPOCH] - t->counts[GHL_COUNT_PHASE_EPOCH], .epochs = epochs,
                               .steps_per_epoch = per_epoch};
}

const char *ghl_training_phase(const ghl_training *t)
{
    return t->recipe->n_phases > 0 ? t->phase->phase.name : NULL;
}

/* Figures since the last row of the log. */
static ghl_step_row row_of(const ghl_training *t, double now)
{
    const int64_t *counts = t->counts;
    int64_t all = t->setup.train.count, images = counts[GHL_COUNT_ROW_IMAGES];
    double seconds = now - t->watch.row;
    ghl_progress progress;
    ghl_training_progress(t, &progress);
    return (ghl_step_row){
        .step = counts[GHL_COUNT_STEP],
        .epoch = counts[GHL_COUNT_EPOCH] + 1,
        .epochs = ghl_recipe_epochs(t->recipe, ghl_recipe_phases(t->recipe)),
        .phase = ghl_training_phase(t),
        .scored = t->setup.scored,
        .epoch_images = counts[GHL_COUNT_POSITION],
        .epoch_all = all,
        .images_left = (progress.epochs - progress.epoch) * all - counts[GHL_COUNT_POSITION],
        .loss = images > 0 && t->setup.scored ? t->sums[GHL_SUM_ROW_LOSS] / (double)images : NAN,
        .top1 = images > 0 && t->setup.scored ? 100.0 * (double)counts[GHL_COUNT_ROW_TOP1] / (double)images : NAN,
        .images_per_s = seconds > 0 ? (double)t->watch.row_images / seconds : 0,
        .wait_percent = seconds > 0 ? 100.0 * (ghl_loader_waited(t->loader) - t->watch.row_waited) / seconds : 0,
        .elapsed_s = now - t->watch.start,
    };
}

static void show(ghl_training *t)
{
    double now = ghl_now();
    ghl_step_row row = row_of(t, now);
    ghl_metrics_progress(t->metrics, &row); /* a bar that cannot be drawn is no reason to stop */
    if (t->counts[GHL_COUNT_STEP] % t->phase->train.log_every != 0)
        return;
    if (ghl_metrics_step(t->metrics, &row) != GHL_OK) /* it waits, and is written before the next save */
        ghl_tell(t->host, GHL_LEVEL_WARNING, "%s", ghl_error_message());
    t->counts[GHL_COUNT_ROW_IMAGES] = t->counts[GHL_COUNT_ROW_TOP1] = 0;
    t->sums[GHL_SUM_ROW_LOSS] = 0;
    t->watch.row = now;
    t->watch.row_waited = ghl_loader_waited(t->loader);
    t->watch.row_images = 0;
}

/* Waits for what is queued behind a step that is not finite (nothing of it was committed) and says where it began. */
static ghl_status blame(ghl_training *t, ghl_flight *flight)
{
    for (int i = 0; i < GHL_FLIGHTS; i++)
        if (t->flights[i].busy)
            GHL_TRY(ghl_plan_wait(t->setup.plan, t->flights[i].ticket));
    ghl_status status = ghl_plan_diagnose(t->setup.plan, flight->program, &flight->step);
    for (int i = 0; i < GHL_FLIGHTS; i++)
        t->flights[i].busy = false; /* the loader goes with the training */
    return status != GHL_OK ? status : ghl_fail(GHL_NAN, NULL, "step %lld was not finite", (long long)flight->clock[GHL_CLOCK_STEP]);
}

/* Told in the order of the steps, when a step is read back, so that the log does not depend on how many were queued. */
static ghl_status look_at_damages(ghl_training *t, const ghl_slot *slot)
{
    const ghl_status status = ghl_setup_damages(&t->setup, false, t->counts[GHL_COUNT_EPOCH], slot);
    if (status == GHL_DATA)
        ghl_failure_take(&t->spoiled, status);
    return status == GHL_DATA ? GHL_OK : status;
}

static ghl_status collect(ghl_training *t, ghl_flight *flight)
{
    GHL_TRY(ghl_plan_wait(t->setup.plan, flight->ticket));
    const double *result = flight->result;
    bool finite = result[GHL_RESULT_OK] != 0;
    if (!finite && t->phase->train.nan == GHL_NAN_STOP)
        return blame(t, flight);
    int64_t images = flight->slot.count;
    t->counts[GHL_COUNT_STEP]++;
    t->counts[GHL_COUNT_POSITION] += images;
    t->counts[GHL_COUNT_SKIPPED] += !finite;
    if (finite) {
        t->counts[GHL_COUNT_EPOCH_IMAGES] += images;
        t->counts[GHL_COUNT_ROW_IMAGES] += images;
        t->counts[GHL_COUNT_EPOCH_TOP1] += (int64_t)result[GHL_RESULT_TOP1];
        t->counts[GHL_COUNT_ROW_TOP1] += (int64_t)result[GHL_RESULT_TOP1];
        t->sums[GHL_SUM_EPOCH_LOSS] += result[GHL_RESULT_LOSS];
        t->sums[GHL_SUM_ROW_LOSS] += result[GHL_RESULT_LOSS];
    }
    t->watch.images += images;
    t->watch.row_images += images;
    GHL_TRY(look_at_damages(t, &flight->slot));
    ghl_loader_release(t->loader, flight->slot.index);
    flight->busy = false;
    show(t);
    return GHL_OK;
}

ghl_status ghl_training_launch(ghl_training *t)
{
    ghl_flight *flight = &t->flights[t->launched % GHL_FLIGHTS];
    if (flight->busy)
        GHL_TRY(collect(t, flight));
    if (t->watch.segment == 0)
        t->watch.segment = ghl_now();
    GHL_TRY(ghl_loader_next(t->loader, &flight->slot));
    const ghl_slot *slot = &flight->slot;
    if (slot->hopeless) {
        GHL_TRY(ghl_training_drain(t));
        return look_at_damages(t, slot);
    }
    ghl_progress progress;
    ghl_training_progress(t, &progress);
    if (slot->epoch != progress.epoch || slot->position != t->taken)
        return ghl_fail(GHL_INTERNAL, NULL, "the loader is at epoch %lld, image %lld in the place of %lld, %lld", (long long)slot->epoch,
                        (long long)slot->position, (long long)progress.epoch, (long long)t->taken);
    ghl_setup_rates(&t->setup, &progress, 1.0, flight->rates);
    flight->program = slot->count == t->setup.batch ? t->setup.step : t->setup.rest;
    flight->clock[GHL_CLOCK_STEP] = t->launched;
    flight->clock[GHL_CLOCK_PHASE] = t->counts[GHL_COUNT_PHASE];
    flight->clock[GHL_CLOCK_EPOCH] = slot->epoch;
    flight->clock[GHL_CLOCK_POSITION] = slot->position;
    flight->clock[GHL_CLOCK_COUNT] = flight->clock[GHL_CLOCK_TOTAL] = slot->count;
    flight->step = (ghl_step){.images = ghl_resident_images(&t->setup, false, slot), .features = slot->images,
                              .labels = slot->labels, .samples = slot->samples, .clock = flight->clock, .rates = flight->rates,
                              .result = flight->result};
    GHL_TRY(ghl_plan_run(t->setup.plan, flight->program, &flight->step, NULL, &flight->ticket));
    flight->busy = true;
    t->launched++;
    t->taken += slot->count;
    return GHL_OK;
}

ghl_status ghl_training_drain(ghl_training *t)
{
    for (int64_t i = 0; i < GHL_FLIGHTS; i++) {
        ghl_flight *flight = &t->flights[(t->launched + i) % GHL_FLIGHTS]; /* the oldest first */
        if (flight->busy)
            GHL_TRY(collect(t, flight));
    }
    if (t->watch.segment > 0)
        t->watch.busy += ghl_now() - t->watch.segment;
    t->watch.segment = 0;
    return GHL_OK;
}
