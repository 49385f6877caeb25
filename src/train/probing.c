/* SPDX-License-Identifier: Apache-2.0
 *
 * See probing.h. The program's results are as large as weights, and are looked at on the host.
 */
#include "train/probing.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "probe/probe.h"

static const ghl_probe *probe_at(int i)
{
    return (const ghl_probe *)ghl_registry_at(&ghl_probes, i);
}

/* ---- Columns: weight by weight, probe by probe ---- */

void ghl_probing_columns(const ghl_net *net, ghl_text *text)
{
    for (int i = 0; i < net->weights; i++)
        for (int p = 0; net->all[i]->role == GHL_MATRIX && probe_at(p) != NULL; p++)
            for (int f = 0; probe_at(p)->figures[f] != NULL; f++)
                ghl_text_add(text, ",%s/%s", probe_at(p)->figures[f], net->all[i]->name);
}

static int figures_each(void)
{
    int n = 0;
    for (int p = 0; probe_at(p) != NULL; p++)
        for (int f = 0; probe_at(p)->figures[f] != NULL; f++)
            n++;
    return n;
}

int ghl_probing_count(const ghl_net *net)
{
    int matrices = 0;
    for (int i = 0; i < net->weights; i++)
        matrices += net->all[i]->role == GHL_MATRIX;
    return matrices * figures_each();
}

/* ---- A reading ---- */

/* On the first images, as tests see them. */
static ghl_status run_step(ghl_setup *setup, const int64_t *clock)
{
    double result[GHL_RESULT_SIZE];
    int64_t ticket;
    float *rates = NULL;
    ghl_loader *loader = NULL;
    ghl_slot slot = {0};
    ghl_status status = GHL_NEW(rates, setup->learnings.n_groups + 1);
    if (status == GHL_OK)
        status = ghl_setup_loader(setup, &setup->train, 1, false, &loader);
    if (status == GHL_OK)
        status = ghl_loader_next(loader, &slot);
    if (status == GHL_OK)
        status = ghl_setup_damages(setup, false, clock[GHL_CLOCK_EPOCH], &slot);
    const ghl_step step = {.images = ghl_resident_images(setup, false, &slot), .labels = slot.labels, .samples = slot.samples,
                           .clock = clock, .rates = rates, .result = result};
    if (status == GHL_OK)
        status = ghl_plan_run(setup->plan, setup->probe, &step, NULL, &ticket);
    if (status == GHL_OK)
        status = ghl_plan_wait(setup->plan, ticket);
    ghl_loader_free(loader);
    free(rates);
    return status;
}

/* The tensor PREFIX/NAME of the probes' step; NULL where there is none. The caller frees. */
static ghl_status read_named(ghl_setup *setup, const char *prefix, const char *name, float **values)
{
    char wanted[160];
    snprintf(wanted, sizeof wanted, "%s/%s", prefix, name);
    for (int i = 0; i < ghl_program_named(setup->probe); i++) {
        ghl_state_info info = ghl_program_name(setup->probe, i);
        if (strcmp(info.name, wanted) != 0)
            continue;
        GHL_TRY(GHL_NEW(*values, ghl_shape_elements(info.shape)));
        return ghl_program_read(setup->plan, setup->probe, i, *values);
    }
    return GHL_OK;
}

static ghl_status read_weight(ghl_setup *setup, const ghl_weight *w, double *figures)
{
    static const char *const prefixes[] = {"grad", "local", "direction", "wins"};
    float *values[4] = {NULL}, *weight = NULL;
    ghl_status status = GHL_NEW(weight, ghl_shape_elements(w->shape));
    if (status == GHL_OK)
        status = ghl_plan_read(setup->plan, w->index, weight);
    for (int i = 0; status == GHL_OK && i < 4; i++)
        status = read_named(setup, prefixes[i], w->name, &values[i]);
    const ghl_probe_view view = {.neurons = w->shape.n, .fan_in = ghl_shape_elements(w->shape) / w->shape.n, .weight = weight,
                                 .gradient = values[0], .local = values[1], .direction = values[2], .wins = values[3]};
    for (int p = 0; status == GHL_OK && probe_at(p) != NULL; p++) {
        probe_at(p)->measure(&view, figures);
        for (int f = 0; probe_at(p)->figures[f] != NULL; f++)
            figures++;
    }
    for (int i = 0; i < 4; i++)
        free(values[i]);
    free(weight);
    return status;
}

ghl_status ghl_probing_read(ghl_setup *setup, const int64_t *clock, double *figures)
{
    const ghl_net *net = setup->net;
    const ghl_program_settings settings = {.purpose = GHL_TRAIN, .batch = setup->batch, .trace = true, .fused = true,
                                           .resident = setup->resident[0].count, .gradients = setup->scored, .no_commit = true,
                                           .observe = ghl_probe_observe};
    if (setup->probe == NULL)
        GHL_TRY(ghl_plan_compile(setup->plan, &settings, &setup->probe));
    GHL_TRY(run_step(setup, clock));
    for (int i = 0; i < net->weights; i++) {
        if (net->all[i]->role != GHL_MATRIX)
            continue;
        GHL_TRY(read_weight(setup, net->all[i], figures));
        figures += figures_each();
    }
    return GHL_OK;
}
