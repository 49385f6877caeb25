/* SPDX-License-Identifier: Apache-2.0
 *
 * cosine.c - lr_i = lr_0 (1 + cos(pi i / T)) / 2, i = 0 .. T-1 (Loshchilov & Hutter 2017, eq. 5, without restarts).
 * After a warm-up of W steps, i and T count from its end. Per epoch, the rate of an epoch is that of its first step.
 */
#include "optim/optim.h"

#include <math.h>

enum { PER_STEP, PER_EPOCH };

typedef struct options {
    int per;
    ghl_warmup warmup;
} options;

static const char *const periods[] = {"step", "epoch", NULL};

static const ghl_option rows[] = {
    {.name = "per", .type = GHL_OPTION_CHOICE, .offset = offsetof(options, per), .fallback = "step", .choices = periods,
     .help = "the rate changes each step or each epoch"},
    GHL_WARMUP_ROWS(options),
    {0},
};

static double factor(const void *settings, const ghl_progress *progress)
{
    const options *o = settings;
    const double pi = 3.14159265358979323846;
    double warmup = ghl_warmup_length(&o->warmup, progress), total = (double)progress->steps - warmup;
    double at = (double)(o->per == PER_EPOCH ? progress->epoch * progress->steps_per_epoch : progress->step) - warmup;
    double cosine = at > 0 && total > 0 ? (1.0 + cos(pi * at / total)) / 2.0 : 1.0;
    return cosine * ghl_warmup_factor(&o->warmup, progress);
}

const ghl_schedule ghl_schedule_cosine = {
    .name = "cosine",
    .summary = "half a cosine from the base rate to 0",
    .source = "Loshchilov & Hutter 2017, eq. 5; factor (1 + cos(pi i/T))/2",
    .options = rows,
    .options_size = sizeof(options),
    .factor = factor,
};
