/* SPDX-License-Identifier: Apache-2.0
 *
 * step.c - the rate times gamma after every `size` epochs.
 */
#include "optim/optim.h"

#include <math.h>

typedef struct options {
    int64_t size;
    double gamma;
    ghl_warmup warmup;
} options;

static const ghl_option rows[] = {
    {.name = "size", .type = GHL_OPTION_INT, .offset = offsetof(options, size), .fallback = "30", .min = 1, .max = 1e9,
     .help = "epochs from one change to the next"},
    {.name = "gamma", .type = GHL_OPTION_REAL, .offset = offsetof(options, gamma), .fallback = "0.1", .min = 0, .max = 1,
     .help = "factor of each change"},
    GHL_WARMUP_ROWS(options),
    {0},
};

static double factor(const void *settings, const ghl_progress *progress)
{
    const options *o = settings;
    return pow(o->gamma, (double)(progress->epoch / o->size)) * ghl_warmup_factor(&o->warmup, progress);
}

const ghl_schedule ghl_schedule_step = {
    .name = "step",
    .summary = "times gamma every `size` epochs",
    .source = "factor gamma^floor(epoch / size)",
    .options = rows,
    .options_size = sizeof(options),
    .factor = factor,
};
