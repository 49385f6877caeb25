/* SPDX-License-Identifier: Apache-2.0
 *
 * phase.c - from one phase of a recipe to the next. Each has a plan of its own, so that data, rules, batch and type of numbers may all be
 * others; the net's weights and buffers go on, while moments and what rules remember begin anew.
 *
 * A branch is a phase of another model: what it freezes it has from the net, by name, and the rest begins anew. The net waits as a
 * snapshot, the trunk, and the next phase of it goes on as if there had been no branch.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "train/fit.h"
#include "train/training.h"

bool ghl_phase_done(const ghl_training *t)
{
    return t->counts[GHL_COUNT_EPOCH] - t->counts[GHL_COUNT_PHASE_EPOCH] >= t->phase->train.epochs;
}

/* ---- Before the first step ---- */

static const ghl_weight *find_weight(const ghl_net *net, const char *name)
{
    for (int i = 0; i < net->weights; i++)
        if (strcmp(net->all[i]->name, name) == 0)
            return net->all[i];
    return NULL;
}

static ghl_status check_branch(const ghl_recipe *recipe, const ghl_recipe *phase, const ghl_net *first, const ghl_setup *setup)
{
    static const char hint[] = "what lies up to frozen_to is the first phase's, the rest begins anew";
    const int frozen_to = setup->learnings.frozen_to;
    if (first == setup->net || frozen_to == 0)
        return ghl_fail(GHL_RECIPE, hint, "%s: phase %s has another model than the recipe, but %s", phase->origin, phase->phase.name,
                        frozen_to == 0 ? "freezes nothing (frozen_to)" : "comes first");
    bool same = phase->data.whiten == recipe->phases[0]->data.whiten;
    for (int i = 0; same && i < setup->net->weights; i++) {
        const ghl_weight *w = setup->net->all[i], *theirs = w->node <= frozen_to ? find_weight(first, w->name) : w;
        if (theirs == NULL || !ghl_shape_equal(theirs->shape, w->shape))
            return ghl_fail(GHL_RECIPE, hint, "%s: phase %s freezes %s, which the net of the first phase %s", phase->origin,
                            phase->phase.name, w->name, theirs == NULL ? "lacks" : "has in another shape");
    }
    return same ? GHL_OK : ghl_fail(GHL_RECIPE, hint, "%s: phase %s has another data.whiten than the first", phase->origin,
                                    phase->phase.name);
}

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

static ghl_status check_phase(const ghl_recipe *recipe, int number, ghl_net **nets)
{
    const ghl_recipe *phase = recipe->phases[number];
    ghl_setup setup;
    ghl_status status = ghl_setup_describe(phase, 0, &setup);
    if (status == GHL_OK)
        status = ghl_setup_compile(&setup, true);
    if (status == GHL_OK)
        status = ghl_setup_weigh(&setup, &(ghl_program_settings){.purpose = GHL_TRAIN, .batch = setup.batch,
                                                                 .recompute = phase->train.recompute != 0}, true);
    if (status == GHL_OK) {
        nets[number] = ghl_net_share(setup.net);
        status = phase->phase.branch ? check_branch(recipe, phase, nets[0], &setup) : check_net(phase, nets[0], setup.net);
    }
    ghl_failure failure;
    ghl_failure_take(&failure, status);
    ghl_setup_release(&setup);
    return status == GHL_OK ? GHL_OK : ghl_failure_raise(&failure);
}

ghl_status ghl_phases_check(ghl_training *t)
{
    GHL_TRY(GHL_NEW(t->nets, ghl_recipe_phases(t->recipe)));
    for (int i = 0; i < t->recipe->n_phases; i++)
        GHL_TRY(check_phase(t->recipe, i, t->nets));
    return GHL_OK;
}

/* ---- One phase ---- */

ghl_status ghl_phase_open(ghl_training *t)
{
    t->phase = ghl_recipe_phase_at(t->recipe, (int)t->counts[GHL_COUNT_PHASE]);
    GHL_TRY(ghl_setup_begin(t->phase, &(ghl_setup_options){.folder = t->folder, .choices = t->choices, .damages = &t->damages,
                                                           .affine = t->affine, .channels = t->channels}, &t->setup));
    t->damages.budget = t->phase->data.error_budget;
    snprintf(t->data, sizeof t->data, "%016llx %016llx", (unsigned long long)ghl_images_fingerprint(&t->setup.train),
             (unsigned long long)ghl_images_fingerprint(&t->setup.test));
    GHL_TRY(ghl_setup_programs(&t->setup, true));
    if (t->recipe->n_phases == 0)
        t->nets[0] = ghl_net_share(t->setup.net);
    for (int i = 0; i < GHL_FLIGHTS; i++)
        GHL_TRY(GHL_NEW(t->flights[i].rates, t->setup.learnings.n_groups + 1));
    return GHL_OK;
}

ghl_status ghl_phase_begin(ghl_training *t)
{
    const bool over = t->taken == t->setup.train.count; /* its evaluation is due */
    ghl_progress progress;
    GHL_TRY(ghl_run_describe(t));
    if (!ghl_phase_done(t))
        GHL_TRY(ghl_features_make(&t->setup, t->fingerprint, t->host));
    GHL_TRY(ghl_setup_loader(&t->setup, ghl_setup_feed(&t->setup, false), GHL_LOADER_SLOTS, true, &t->loader));
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

/* The trunk's weights, to the net itself or to a branch of it. */
static ghl_status go_on(ghl_training *t)
{
    void *weights = NULL;
    if (!t->phase->phase.branch) {
        GHL_TRY(ghl_snapshot_put(t->setup.plan, t->trunk));
        free(t->trunk);
        t->trunk = NULL;
        return GHL_OK;
    }
    GHL_TRY(ghl_snapshot_take(t->setup.plan, &weights));
    ghl_snapshot_graft(t->setup.net, weights, t->setup.learnings.frozen_to, t->nets[0], t->trunk);
    const ghl_status status = ghl_snapshot_put(t->setup.plan, weights);
    free(weights);
    return status;
}

ghl_status ghl_phase_next(ghl_training *t)
{
    GHL_TRY(ghl_features_remove(&t->setup));
    if (!t->phase->phase.branch)
        GHL_TRY(ghl_snapshot_take(t->setup.plan, &t->trunk));
    ghl_phase_close(t);
    free(t->choices); /* those of the last phase */
    free(t->affine);
    t->choices = NULL;
    t->affine = NULL;
    t->counts[GHL_COUNT_PHASE]++;
    t->counts[GHL_COUNT_PHASE_STEP] = t->counts[GHL_COUNT_STEP];
    t->counts[GHL_COUNT_PHASE_EPOCH] = t->counts[GHL_COUNT_EPOCH];
    GHL_TRY(ghl_phase_open(t));
    GHL_TRY(go_on(t));
    return ghl_phase_begin(t);
}
