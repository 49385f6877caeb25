/* SPDX-License-Identifier: Apache-2.0
 *
 * phase.c - from one phase of a recipe to the next. Each has a plan of its own, so that data, rules, batch and type of numbers may all be
 * others; the net's weights and buffers go on, while moments and what rules remember begin anew.
 */
#include <stdlib.h>

#include "train/fit.h"
#include "train/inspect.h"
#include "train/training.h"

bool ghl_phase_done(const ghl_training *t)
{
    return t->counts[GHL_COUNT_EPOCH] - t->counts[GHL_COUNT_PHASE_EPOCH] >= t->phase->train.epochs;
}

/* ---- Before the first step ---- */

static ghl_status check_net(const ghl_recipe *phase, const ghl_net *first, const ghl_net *net)
{
    bool same = first->weights == net->weights;
    for (int i = 0; same && i < net->weights; i++)
        same = ghl_shape_equal(first->all[i]->shape, net->all[i]->shape);
    if (same)
        return GHL_OK;
    return ghl_fail(GHL_RECIPE, "all phases train one net: one size of images, one data.whiten, one number of classes",
                    "%s: phase %s has another net than the first", phase->origin, phase->phase.name);
}

static ghl_status check_phase(const ghl_recipe *phase, ghl_net **first)
{
    ghl_setup setup;
    ghl_status status = ghl_inspect_begin(phase, 0, &setup);
    if (status == GHL_OK)
        status = ghl_setup_compile(&setup, true);
    if (status == GHL_OK)
        status = ghl_setup_weigh(&setup, &(ghl_program_settings){.purpose = GHL_TRAIN, .batch = setup.batch,
                                                                 .recompute = phase->train.recompute != 0}, true);
    if (status == GHL_OK && *first == NULL)
        *first = ghl_net_share(setup.net);
    if (status == GHL_OK)
        status = check_net(phase, *first, setup.net);
    ghl_failure failure;
    ghl_failure_take(&failure, status);
    ghl_setup_release(&setup);
    return status == GHL_OK ? GHL_OK : ghl_failure_raise(&failure);
}

ghl_status ghl_phases_check(const ghl_recipe *recipe)
{
    ghl_net *first = NULL;
    ghl_status status = GHL_OK;
    for (int i = 0; status == GHL_OK && i < recipe->n_phases; i++)
        status = check_phase(recipe->phases[i], &first);
    ghl_net_free(first);
    return status;
}

/* ---- One phase ---- */

ghl_status ghl_phase_open(ghl_training *t)
{
    t->phase = ghl_recipe_phase_at(t->recipe, (int)t->counts[GHL_COUNT_PHASE]);
    GHL_TRY(ghl_setup_begin(t->phase, &(ghl_setup_options){.folder = t->folder, .choices = t->choices}, &t->setup));
    GHL_TRY(ghl_setup_programs(&t->setup, true));
    for (int i = 0; i < GHL_FLIGHTS; i++)
        GHL_TRY(GHL_NEW(t->flights[i].rates, t->setup.learnings.n_groups + 1));
    return GHL_OK;
}

ghl_status ghl_phase_begin(ghl_training *t)
{
    const ghl_loader_settings settings = {.images = ghl_setup_feed(&t->setup, false), .batch = t->setup.batch, .shuffle = true,
                                          .seed = (uint64_t)t->recipe->top.seed, .slots = GHL_LOADER_SLOTS,
                                          .threads = (int)t->phase->train.workers};
    const bool over = t->taken == t->setup.train.count; /* its evaluation is due */
    ghl_progress progress;
    GHL_TRY(ghl_run_describe(t));
    if (!ghl_phase_done(t))
        GHL_TRY(ghl_features_make(&t->setup, t->fingerprint, t->host));
    GHL_TRY(ghl_loader_create(&settings, &t->loader));
    ghl_training_progress(t, &progress);
    t->watch = (ghl_watch){.start = t->watch.start, .row = ghl_now()};
    if (ghl_phase_done(t))
        return GHL_OK;
    return ghl_loader_seek(t->loader, t->counts[GHL_COUNT_PHASE], progress.epoch + over, over ? 0 : t->taken);
}

void ghl_phase_close(ghl_training *t)
{
    for (int i = 0; i < GHL_FLIGHTS; i++) { /* queued steps read the loader's slots: they end before it does */
        if (t->flights[i].busy)
            ghl_plan_wait(t->setup.plan, t->flights[i].ticket);
        free(t->flights[i].rates);
        t->flights[i] = (ghl_flight){0};
    }
    ghl_loader_free(t->loader);
    t->loader = NULL;
    ghl_setup_release(&t->setup);
}

ghl_status ghl_phase_next(ghl_training *t)
{
    void *weights = NULL;
    GHL_TRY(ghl_features_remove(&t->setup));
    GHL_TRY(ghl_snapshot_take(t->setup.plan, &weights));
    ghl_phase_close(t);
    free(t->choices); /* those of the last phase */
    t->choices = NULL;
    t->counts[GHL_COUNT_PHASE]++;
    t->counts[GHL_COUNT_PHASE_STEP] = t->counts[GHL_COUNT_STEP];
    t->counts[GHL_COUNT_PHASE_EPOCH] = t->counts[GHL_COUNT_EPOCH];
    ghl_status status = ghl_phase_open(t);
    if (status == GHL_OK)
        status = ghl_snapshot_put(t->setup.plan, weights);
    free(weights);
    return status == GHL_OK ? ghl_phase_begin(t) : status;
}
