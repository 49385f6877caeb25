/* SPDX-License-Identifier: Apache-2.0
 *
 * multi_step.c - the rate times gamma at each epoch of a list, which may be given as shares of all epochs: so a schedule that was
 * published for fifty epochs keeps its form when there are five (SoftHebb's head: halved at .2 .35 .5 .6 .7 .8 .9 of them).
 */
#include "optim/optim.h"

#include <math.h>

typedef struct options {
    ghl_ints milestones;
    ghl_reals fractions;
    double gamma;
    ghl_warmup warmup;
} options;

static const ghl_option rows[] = {
    {.name = "milestones", .type = GHL_OPTION_INTS, .offset = offsetof(options, milestones), .fallback = "[]", .min = 0, .max = 1e9,
     .help = "epochs (from 0) at which the rate changes"},
    {.name = "fractions", .type = GHL_OPTION_REALS, .offset = offsetof(options, fractions), .fallback = "[]", .min = 0, .max = 1,
     .help = "further such epochs, as shares f of all epochs E: floor(f E)"},
    {.name = "gamma", .type = GHL_OPTION_REAL, .offset = offsetof(options, gamma), .fallback = "0.1", .min = 0, .max = 1,
     .help = "factor of each change"},
    GHL_WARMUP_ROWS(options),
    {0},
};

static double factor(const void *settings, const ghl_progress *progress)
{
    const options *o = settings;
    int passed = 0;
    for (int i = 0; i < o->milestones.count; i++)
        passed += o->milestones.values[i] <= progress->epoch;
    for (int i = 0; i < o->fractions.count; i++)
        passed += floor(o->fractions.values[i] * (double)progress->epochs + 1e-9) <= (double)progress->epoch;
    return pow(o->gamma, passed) * ghl_warmup_factor(&o->warmup, progress);
}

const ghl_schedule ghl_schedule_multi_step = {
    .name = "multi_step",
    .summary = "times gamma at each epoch of a list, or at shares of all epochs",
    .source = "factor gamma^(number of milestones and of floor(fraction * epochs) that are <= epoch)",
    .options = rows,
    .options_size = sizeof(options),
    .factor = factor,
};
